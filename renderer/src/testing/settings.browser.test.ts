import { mkdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityViolations } from "./axe.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";

const SLOW = { timeout: 60_000 };
const shotsDir = process.env.WARDLINE_SHOTS_DIR;

describe.skipIf(browserTestObstacle !== "")(
  `settings, audit and the bell (${browserTestObstacle || "Chromium"})`,
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
      if (shotsDir) mkdirSync(shotsDir, { recursive: true });
    }, 240_000);
    afterAll(() => server?.close());

    it.each(["dark", "light"] as const)(
      "have no barrier, %s",
      async (theme) => {
        const { page, complaints } = await server.open({ theme, scenario: "settings-locked" });
        const shot = async (name: string) => {
          if (shotsDir) await page.screenshot({ path: `${shotsDir}/g-${name}-${theme}.png` });
        };
        await page.keyboard.press("Alt+9");
        await page.getByRole("heading", { name: "Settings", level: 1 }).waitFor();
        await page.getByText("locked by an administrator").first().waitFor();
        expect(await accessibilityViolations(page)).toEqual([]);
        await shot("settings");
        await page.keyboard.press("Alt+8");
        await page.getByRole("grid", { name: "Audit entries" }).waitFor();
        expect(await accessibilityViolations(page)).toEqual([]);
        await shot("audit");
        await page.getByRole("button", { name: /^Notifications/ }).click();
        await page.getByRole("dialog", { name: "Notifications" }).waitFor();
        await shot("notifications");
        expect(complaints).toEqual([]);
      },
      120_000,
    );

    it("are worked by keys alone: find a setting, change it, and see it kept", async () => {
      const { page } = await server.open();
      await page.keyboard.press("Alt+9");
      const search = page.getByRole("textbox", { name: "Search the settings" });
      await search.focus();
      await page.keyboard.type("text size");
      const zoom = page.getByRole("textbox", { name: "Text size" });
      await zoom.focus();
      await page.keyboard.press("Control+A");
      await page.keyboard.type("400");
      await page.getByText("it takes a whole number from 50 to 200 %").waitFor();
      await page.keyboard.press("Control+A");
      await page.keyboard.type("120");
      await page.keyboard.press("Enter");
      await expect.poll(() => page.evaluate("document.documentElement.style.fontSize"), SLOW).toBe("120%");
      await page.getByText("yours, line 3").waitFor();
    }, 120_000);

    it("say where a broken file is wrong, write nothing over it, and let it be mended", async () => {
      const { page } = await server.open({ scenario: "settings-broken" });
      await page.keyboard.press("Alt+9");
      await page.getByText("The settings file cannot be read.").waitFor();
      await page.getByText("settings.yaml:4:1").waitFor();
      await page.getByRole("button", { name: "Mend the file" }).click();
      const text = page.getByRole("textbox", { name: "Text of the settings file" });
      await expect.poll(() => text.inputValue(), SLOW).toContain("[dark");
      expect(await page.getByRole("button", { name: "Save the file" }).isDisabled()).toBe(true);
      await text.fill("display:\n  theme: dark\n");
      await page.getByText("Nothing is wrong with it.").waitFor();
      await page.getByRole("button", { name: "Save the file" }).click();
      await page.getByText("The settings file cannot be read.").waitFor({ state: "detached" });
    }, 120_000);

    it("bear hostile text and ten thousand entries", async () => {
      const { page, complaints } = await server.open({ scenario: "settings-hostile" });
      await page.keyboard.press("Alt+8");
      await page.getByRole("grid", { name: "Audit entries" }).waitFor();
      await page.getByRole("button", { name: "Verify every log" }).click();
      await page.getByText("1 log not whole").waitFor();
      await page.keyboard.press("Alt+9");
      await page.getByText("and 40 more").waitFor();
      await page.getByRole("button", { name: /^Notifications/ }).click();
      await page.getByRole("button", { name: /^Show 14\d more$/ }).waitFor();
      expect(complaints).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    }, 120_000);
  },
);
