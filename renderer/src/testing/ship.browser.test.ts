import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityViolations } from "./axe.ts";
import { browserTestObstacle, type FakeWindowServer, type OpenOptions, startFakeWindow } from "./browser.ts";

/** A busy machine may take its time. */
const SLOW = { timeout: 15_000 };
/** Where pictures of the screens go, for those who look at them. */
const SHOTS = process.env.WARDLINE_SHOTS ?? "";

describe.skipIf(browserTestObstacle)(
  `before an apply, in Chromium${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  { timeout: 120_000 },
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 120_000);
    afterAll(() => server.close());

    async function open(scenario: string, options: OpenOptions = {}) {
      const { page, complaints } = await server.open({ scenario, ...options });
      await page
        .getByRole("navigation", { name: "Views" })
        .getByRole("button", { name: /Changes/ })
        .click();
      await page.getByRole("tab", { name: "Verdicts" }).waitFor();
      return { page, complaints };
    }

    async function inBothThemes(page: Page, what: string) {
      for (const theme of ["dark", "light"] as const) {
        await page.emulateMedia({ colorScheme: theme, contrast: "no-preference" });
        await page.locator(`html[data-theme="${theme}"]`).waitFor();
        const violations = await accessibilityViolations(page, { themeOnly: theme === "light" });
        expect({ what, theme, violations }).toEqual({ what, theme, violations: [] });
        if (SHOTS !== "") await page.screenshot({ path: `${SHOTS}/e-${what}-${theme}.png` });
      }
    }

    const cell = (page: Page, row: RegExp, index: number) =>
      page.getByRole("row", { name: row }).getByRole("cell").nth(index);

    it("shows four verdicts of one row, and what stands behind each cell", async () => {
      const { page, complaints } = await open("normal");
      const row = /app=office.*app=web.*22/;
      await page.getByRole("row", { name: row }).waitFor();
      await expect.poll(() => cell(page, row, 0).innerText(), SLOW).toContain("would be denied");
      await expect.poll(() => cell(page, row, 1).innerText()).toContain("nothing staged");
      await expect.poll(() => cell(page, row, 2).innerText()).toContain("allowed");
      await expect.poll(() => cell(page, row, 3).innerText()).toContain("40 times");
      await page.locator(".run-line", { hasText: "3,400,000 of 3,400,000 records checked" }).waitFor();
      await cell(page, row, 0).getByRole("button").click();
      const detail = page.getByRole("complementary", { name: "Draft verdict" });
      await detail.getByRole("region", { name: "Walkthrough" }).waitFor();
      await detail
        .getByRole("button", { name: /policies\/web\.yaml:13/ })
        .first()
        .waitFor();
      await inBothThemes(page, "verdict-detail");
      const mixed = /app=web.*app=db.*5432/;
      await cell(page, mixed, 2).getByRole("button").click();
      const enforced = page.getByRole("complementary", { name: "Enforced verdict" });
      await enforced.getByText("on 2 hosts:").waitFor();
      await enforced.getByText("version 38").first().waitFor();
      expect(complaints).toEqual([]);
    });

    it("asks for pairs of verdicts, groups and ports, by keyboard alone", async () => {
      const { page } = await open("normal");
      await page.getByRole("row", { name: /app=batch/ }).waitFor();
      const group = page.getByRole("textbox", { name: "Group" });
      await group.focus();
      await page.keyboard.type("office");
      await expect.poll(() => page.locator("tbody tr").count(), SLOW).toBe(1);
      await page.keyboard.press("Tab");
      await page.keyboard.type("23");
      await page.getByRole("heading", { name: "No group of connections is like that" }).waitFor();
      await page.getByRole("button", { name: "Show every difference" }).focus();
      await page.keyboard.press("Enter");
      await page.getByRole("row", { name: /app=batch/ }).waitFor();
      const opener = cell(page, /app=office/, 3).getByRole("button");
      await opener.focus();
      await page.keyboard.press("Enter");
      await page.getByRole("complementary", { name: "Reported verdict" }).getByText("by generation 41").waitFor();
      const asked = (await page.evaluate("window.fake.verdicts.asked.length")) as number;
      expect(asked).toBeGreaterThan(2);
    });

    it("can be cancelled, and says what was checked until then", async () => {
      const { page } = await open("verdicts-slow");
      await page.locator(".run-line", { hasText: "1,200,000 of 3,400,000 records checked" }).waitFor();
      await page.getByRole("button", { name: "Cancel" }).click();
      await page.locator(".run-line", { hasText: /Cancelled: 1,200,000 of 3,400,000/ }).waitFor();
      await page.getByRole("tab", { name: "Simulation" }).click();
      await page.getByRole("button", { name: "Simulate the draft" }).click();
      await page.locator(".run-line", { hasText: "1,200,000 of 3,400,000 flows checked" }).waitFor();
      await page.getByRole("button", { name: "Cancel" }).click();
      await page.locator(".run-line", { hasText: /Cancelled: 1,200,000/ }).waitFor();
    });

    it("simulates the draft on recorded flows, and walks to the reason of each group", async () => {
      const { page, complaints } = await open("normal");
      await page.getByRole("tab", { name: "Simulation" }).click();
      await page.keyboard.press("Control+Enter");
      await page.getByRole("button", { name: /Newly blocked 311/ }).waitFor();
      const group = page.getByRole("button", { name: /app=office.*22/ });
      await group.click();
      await page.getByRole("region", { name: "Walkthrough" }).waitFor();
      await page.getByRole("button", { name: "Make a test" }).waitFor();
      await inBothThemes(page, "simulation");
      await page.getByRole("button", { name: /Newly allowed/ }).click();
      await page.getByRole("button", { name: /8443/ }).waitFor();
      expect(complaints).toEqual([]);
    });

    it("suggests policies with their evidence, wider or narrower, and saves one into the draft only", async () => {
      const { page, complaints } = await open("normal");
      await page.getByRole("tab", { name: "Suggestions" }).click();
      const card = page.getByRole("region", { name: "Suggested policy db" });
      await card.getByText("82 %, well seen").first().waitFor();
      await page.getByText(/look like a scan/).waitFor();
      await inBothThemes(page, "suggestions");
      const slider = page.getByRole("slider", { name: /How wide/ });
      await slider.focus();
      await page.keyboard.press("Home");
      await card
        .getByText(/10\.20\.0\.21/)
        .first()
        .waitFor();
      await card.getByRole("button", { name: "Add to the draft" }).click();
      await card.getByText(/Saved as policies\/default-db\.yaml/).waitFor();
      const saved = (await page.evaluate("window.fake.files.get('policies/default-db.yaml').text")) as string;
      expect(saved).toContain("kind: PolicyTest");
      expect(complaints).toEqual([]);
    });

    it("shows before an apply what hosts load and where a roll-back leads, and goes back to an earlier version", async () => {
      const { page, complaints } = await open("normal");
      await page.getByRole("main").getByRole("button", { name: "Review and apply" }).click();
      const drawer = page.getByRole("dialog", { name: "Review and apply" });
      await drawer.getByText("412 → 428").waitFor();
      await drawer
        .getByRole("region", { name: "If it is rolled back" })
        .getByText(/comes back/)
        .waitFor();
      await expect.poll(() => drawer.locator("[aria-current=step]").innerText()).toBe("Draft");
      await inBothThemes(page, "ship");
      await drawer.getByRole("button", { name: /Choose a version/ }).click();
      await page.getByRole("option", { name: /Version 1/ }).click();
      await drawer.getByRole("button", { name: "Make version 1 the draft" }).click();
      await expect
        .poll(() => page.evaluate("[...window.fake.files.values()].some(({ text }) => text.includes('5433'))"), SLOW)
        .toBe(true);
      expect(complaints).toEqual([]);
    });

    it("says what agrees, and holds thousands of rows and hostile names", async () => {
      const agreeing = await open("verdicts-agree");
      await agreeing.page.getByRole("heading", { name: "Draft, hosts and records say the same" }).waitFor();
      await agreeing.page.context().close();
      const many = await open("verdicts-many");
      const table = many.page.getByRole("table");
      await expect.poll(() => table.getAttribute("aria-rowcount"), SLOW).toBe("5001");
      const last = many.page.locator('.verdict-table tr[aria-rowindex="5001"]');
      expect(await last.count()).toBe(0);
      // Heights are measured on the way, so the end is where scrolling no longer helps.
      await expect
        .poll(async () => {
          await many.page.getByRole("region", { name: "Verdicts" }).evaluate((region) => region.scrollTo(0, 1e6));
          return last.count();
        }, SLOW)
        .toBe(1);
      expect(await many.page.locator(".verdict-table tbody tr").count()).toBeLessThan(60);
      await many.page.getByText("4,200 rows not listed").waitFor();
      await many.page.getByRole("button", { name: "3 hosts" }).first().click();
      await many.page
        .getByText(/· generation 41/)
        .first()
        .waitFor();
      await many.page.context().close();
      const hostile = await open("hostile");
      await hostile.page.getByRole("row", { name: /onerror/ }).waitFor();
      expect(await hostile.page.locator("img[src='x']").count()).toBe(0);
      expect(await hostile.page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
      expect(hostile.complaints).toEqual([]);
    });
  },
);
