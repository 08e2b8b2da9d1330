/** Every component in every state: looked at by axe in all themes, and moved by keyboard. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityViolations } from "./axe.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";

const ACTION_LIMIT_MS = 30_000;
const UI = join(import.meta.dirname, "../ui");

/** Names of components as the sources export them. */
function exportedComponents(): string[] {
  return readdirSync(UI)
    .filter((name) => name.endsWith(".tsx"))
    .flatMap((name) => [...readFileSync(join(UI, name), "utf8").matchAll(/^export function ([A-Z]\w*)/gm)])
    .map(([, name = ""]) => name)
    .sort();
}

describe.skipIf(browserTestObstacle)(
  `the design system${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  () => {
    let server: FakeWindowServer;
    let page: Page;
    const complaints: string[] = [];

    beforeAll(async () => {
      server = await startFakeWindow();
      const context = await server.browser.newContext({
        viewport: { width: 1440, height: 900 },
        reducedMotion: "reduce",
      });
      page = await context.newPage();
      page.setDefaultTimeout(ACTION_LIMIT_MS);
      page.on("pageerror", (error) => complaints.push(error.message));
      await page.goto(`${server.origin}/dev.html#scenario=design-system`);
      await page.getByRole("heading", { name: "Design system" }).waitFor();
    }, 120_000);
    afterAll(() => server.close());

    const part = (name: string) => page.locator(`[data-component="${name}"]`);

    it("has every component on its page", async () => {
      const shown = await page
        .locator("[data-component]")
        .evaluateAll((parts) => parts.map((each) => each.getAttribute("data-component") ?? "").sort());
      expect(shown).toEqual(exportedComponents());
    });

    it("has no violation in any theme and density", async () => {
      for (const [theme, media] of [
        ["dark", { colorScheme: "dark", contrast: "no-preference" }],
        ["light", { colorScheme: "light", contrast: "no-preference" }],
        ["contrast", { colorScheme: "dark", contrast: "more" }],
      ] as const) {
        await page.emulateMedia(media);
        await page.locator(`html[data-theme="${theme}"]`).waitFor();
        const found = await accessibilityViolations(page, { themeOnly: theme !== "dark" });
        expect.soft(found, theme).toEqual([]);
      }
      expect(complaints).toEqual([]);
    });

    it("is printed light and whole, whatever the window shows", async () => {
      await page.emulateMedia({ colorScheme: "dark", contrast: "no-preference", media: "print" });
      await page.locator('html[data-theme="light"]').waitFor();
      expect(await page.locator(".button").first().isVisible()).toBe(false);
      const isCut = await page.locator("main").evaluate((main) => main.scrollHeight > main.clientHeight + 1);
      expect(isCut).toBe(false);
      await page.emulateMedia({ colorScheme: "dark", contrast: "no-preference", media: "screen" });
      await page.locator('html[data-theme="dark"]').waitFor();
    });

    it("is moved by keyboard: tabs, menus, grids, switches, dialogs", async () => {
      const { keyboard } = page;
      await part("Tabs").getByRole("tab", { name: "Text" }).focus();
      await keyboard.press("ArrowRight");
      await part("Tabs").getByText("The form").waitFor();

      await part("ActionMenu").getByRole("button").focus();
      await keyboard.press("Enter");
      await page.getByRole("menuitem", { name: /Copy as YAML/ }).waitFor();
      await keyboard.press("Enter");
      await part("ActionMenu").getByText("copied").waitFor();

      await part("Switch").getByRole("switch", { name: "Live rows" }).focus();
      await keyboard.press("Space");
      await expect.poll(() => part("Switch").getByRole("switch", { name: "Live rows" }).isChecked()).toBe(false);

      const grid = part("DataGrid").getByRole("grid");
      await grid.focus();
      await keyboard.press("End");
      await expect.poll(() => grid.getByRole("row").last().innerText()).toContain("host-9999");
      await grid.getByRole("button", { name: "Connections" }).click();
      await expect
        .poll(() => grid.getByRole("columnheader", { name: "Connections" }).getAttribute("aria-sort"))
        .toBe("ascending");
      expect(await grid.getByRole("row").count()).toBeLessThan(60);

      // Of the times in a list Tab stops at one; arrow keys go on. A button with a time tells it when it has the focus.
      const times = part("MomentTooltip").locator("time");
      const tooltip = page.getByRole("tooltip");
      await part("Moment").locator("time").first().scrollIntoViewIfNeeded();
      await part("ActionMenu").getByRole("button").focus();
      for (
        let presses = 0;
        presses < 12 && !(await times.first().evaluate((time) => time === document.activeElement));
      )
        presses += await keyboard.press("Tab").then(() => 1);
      await tooltip.getByText(/\(here\)\s+22 Nov 2026 00:00:00 UTC$/).waitFor();
      await keyboard.press("ArrowDown");
      await tooltip.getByText(/00:01:00 UTC$/).waitFor();
      await keyboard.press("Escape");
      await tooltip.waitFor({ state: "detached" });
      await keyboard.press("Tab");
      expect(await page.evaluate("document.activeElement.textContent")).toContain("Kept at");
      await tooltip.getByText(/00:09:00 UTC$/).waitFor();

      for (const shape of ["dialog", "drawer", "palette"]) {
        const opener = part("Sheet").getByRole("button", { name: `Open a ${shape}` });
        await opener.focus();
        await keyboard.press("Enter");
        await page.getByRole("dialog", { name: `A ${shape}` }).waitFor();
        await keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "detached" });
        // Given back in a frame of its own.
        await expect.poll(() => opener.evaluate((element) => element === document.activeElement)).toBe(true);
      }
    });
  },
);
