import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityViolations } from "./axe.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";

const PRELOADED = { timeout: 120_000 };

async function inBothThemes(page: Page, what: string) {
  await page.emulateMedia({ colorScheme: "dark" });
  await page.locator('html[data-theme="dark"]').waitFor();
  expect({ what, violations: await accessibilityViolations(page) }).toEqual({ what, violations: [] });
  await shot(page, `${what}-dark`);
  await page.emulateMedia({ colorScheme: "light" });
  await page.locator('html[data-theme="light"]').waitFor();
  expect({ what, violations: await accessibilityViolations(page, { themeOnly: true }) }).toEqual({
    what,
    violations: [],
  });
  await shot(page, `${what}-light`);
}

/** For people who judge the screens: only where somebody wants them. */
async function shot(page: Page, name: string) {
  const directory = process.env.WARDLINE_SHOTS;
  if (directory) await page.screenshot({ path: `${directory}/ask-${name}.png` });
}

describe.skipIf(browserTestObstacle)(
  `questions, palette and keys in Chromium${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  PRELOADED,
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 120_000);
    afterAll(() => server.close());

    it("answers in the palette by keyboard alone, with rule and walkthrough, and goes to the line", async () => {
      const { page, complaints } = await server.open();
      await page.keyboard.press("Control+K");
      const box = page.getByRole("combobox", { name: "Command" });
      await box.fill("can atlas reach db-1 on 5432?");
      await page.getByRole("option", { name: /can host\/atlas reach host\/db-1 on 5432\/tcp/ }).waitFor();
      await shot(page, "palette-question");
      await page.keyboard.press("Enter");
      const answer = page.getByRole("article", { name: "Answer" });
      await answer.getByText(/^(Yes, every|No, none|Partly)/).waitFor();
      await answer
        .getByText(/For example/)
        .first()
        .waitFor();
      await inBothThemes(page, "answer-in-palette");
      await answer
        .getByRole("button", { name: /^Open policies\// })
        .first()
        .click();
      await page.waitForURL(/#\/policies/);
      expect(complaints).toEqual([]);
    });

    it("asks back, corrects slips, keeps what was asked, and keeps an answer as a test in a draft", async () => {
      const { page, complaints } = await server.open();
      await page.keyboard.press("Alt+q");
      const box = page.getByRole("combobox", { name: "Question" });
      await box.fill("can atlas raech db-1 on 5432");
      await box.press("Enter");
      await page.getByRole("button", { name: "can atlas reach db-1 on 5432" }).click();
      const answer = page.getByRole("article", { name: "Answer" });
      await answer.getByText(/Answered for the draft/).waitFor();
      await page
        .getByRole("region", { name: "Asked before" })
        .getByRole("button", { name: /can host\/atlas reach/ })
        .waitFor();
      await inBothThemes(page, "sheet");
      await answer.getByRole("button", { name: /Asked about/ }).click();
      await page.getByRole("option", { name: /What is enforced/ }).click();
      await answer.getByText(/enforced on atlas · generation 41/).waitFor();
      await answer.getByRole("button", { name: "Keep as a test…" }).click();
      await answer.getByText("kind: PolicyTest").waitFor();
      await inBothThemes(page, "keep-as-test");
      await answer.getByRole("button", { name: "Add to the draft" }).click();
      await expect
        .poll(() => page.evaluate("window.fake.files.get('tests/kept.yaml')?.text ?? ''"))
        .toContain("kind: PolicyTest");
      expect(complaints).toEqual([]);
    });

    it("survives hostile names, a dead console and nonsense", async () => {
      const { page, complaints } = await server.open({ scenario: "hostile" });
      await page.keyboard.press("Alt+q");
      const box = page.getByRole("combobox", { name: "Question" });
      await box.fill('<img src=x onerror=alert(1)> "💥" can \u202e reach');
      await box.press("Enter");
      await page.getByText(/is no question that is understood here/).waitFor();
      await page.getByRole("button", { name: "what has no policy?" }).first().click();
      // Its policies have errors, so there is no answer, and it is said why.
      await page
        .getByText(/have errors, so nobody can say/)
        .first()
        .waitFor();
      await page.evaluate("window.fake.isOffline = true");
      await box.fill("who can reach db-1?");
      await box.press("Enter");
      await page.getByRole("alert").first().waitFor();
      expect(complaints.filter((text) => !text.includes("Failed to fetch"))).toEqual([]);
    });

    it("lets who does not want to wait cancel, and ask again", async () => {
      const { page, complaints } = await server.open();
      await page.evaluate("window.fake.ask.isSlow = true");
      await page.keyboard.press("Alt+q");
      const box = page.getByRole("combobox", { name: "Question" });
      await box.fill("who can reach db-1?");
      await box.press("Enter");
      const sheet = page.getByRole("dialog", { name: "Ask" });
      await sheet.getByRole("button", { name: "Cancel", exact: true }).waitFor();
      await inBothThemes(page, "working");
      await sheet.getByRole("button", { name: "Cancel", exact: true }).click();
      await sheet.getByText("Cancelled: nothing was answered.").waitFor();
      await page.evaluate("window.fake.ask.isSlow = false");
      await sheet.getByRole("button", { name: "Ask again" }).click();
      await page.getByRole("article", { name: "Answer" }).waitFor();
      expect(complaints).toEqual([]);
    });

    it("goes from the palette to a rule and to a finding, and says why something cannot be done", async () => {
      const { page, complaints } = await server.open({ scenario: "anomalies" });
      const box = page.getByRole("combobox", { name: "Command" });
      const find = async (text: string, name: RegExp) => {
        await page.keyboard.press("Control+K");
        await box.fill(text);
        const option = page.getByRole("option", { name }).first();
        await option.waitFor();
        return option;
      };
      const rule = await find("ingress[0] tcp", /^Rules.* ingress\[0\]/);
      await shot(page, "palette-rules");
      await rule.click();
      await page.waitForURL(/#\/policies/);
      expect(await page.evaluate("window.windowStore.getState().editorTarget?.line ?? 0")).toBeGreaterThan(1);
      const finding = await find("finding", /Finding: /);
      await shot(page, "palette-findings");
      await finding.click();
      await page.waitForURL(/#\/anomalies/);
      expect(await page.evaluate("window.windowStore.getState().findingId")).not.toBeNull();
      const keep = await find("keep the generation", /Keep the generation that waits/);
      await expect.poll(() => keep.getAttribute("aria-disabled")).toBe("true");
      await keep.getByText("No generation waits for a decision.").waitFor();
      await page.keyboard.press("Enter");
      await keep.waitFor();
      expect(complaints).toEqual([]);
    });

    it("finds everything in the palette, says how many, and remembers what was used", async () => {
      const { page, complaints } = await server.open({ scenario: "fleet" });
      await page.keyboard.press("Control+K");
      const box = page.getByRole("combobox", { name: "Command" });
      for (const [text, name] of [
        ["db-1", /^Hosts/],
        ["default/web", /default\/web/],
        ["dark theme", /Dark theme/],
        ["single-key", /Single-key shortcuts/],
        ["review", /Review and apply the workspace…/],
      ] as const) {
        await box.fill(text);
        await page.getByRole("option", { name }).first().waitFor();
      }
      await box.fill("");
      await page
        .getByRole("status")
        .getByText(/^\d+ entries$/)
        .waitFor();
      await inBothThemes(page, "palette");
      await box.fill("anomalies");
      await page.keyboard.press("Enter");
      await page.waitForURL(/#\/anomalies/);
      await page.keyboard.press("Control+K");
      await expect.poll(() => page.getByRole("option").first().textContent()).toContain("Anomalies");
      expect(complaints).toEqual([]);
    });

    it("records other keys, refuses those that clash, and gives the usual ones back", async () => {
      const { page, complaints } = await server.open();
      await page.keyboard.press("?");
      const sheet = page.getByRole("dialog", { name: "Keyboard shortcuts" });
      await sheet.getByRole("button", { name: "Change the keys of Freeze or resume live rows" }).click();
      await page.keyboard.press("Control+K");
      await sheet.getByText("Ctrl+K is also “Go anywhere, do anything, ask (Everywhere)”.").waitFor();
      await inBothThemes(page, "shortcuts");
      await sheet.getByRole("button", { name: "Leave it" }).click();
      await sheet.getByRole("button", { name: "Change the keys of Freeze or resume live rows" }).click();
      await page.keyboard.press("Alt+F");
      await sheet.getByRole("button", { name: "Use them" }).click();
      await sheet.getByRole("button", { name: "Freeze or resume live rows: the usual keys again" }).waitFor();
      await page.keyboard.press("Escape");
      await sheet.waitFor({ state: "detached" });
      await page.keyboard.press("Alt+f");
      await expect.poll(() => page.evaluate("window.windowStore.getState().isFrozen")).toBe(true);
      await page.keyboard.press("Control+.");
      expect(await page.evaluate("window.windowStore.getState().isFrozen")).toBe(true);
      expect(complaints).toEqual([]);
    });
  },
);
