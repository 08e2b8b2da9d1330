import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityViolations } from "./axe.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";

/** A busy machine may take its time. */
const SLOW = { timeout: 15_000 };

const goTo = (page: Page, view: string) =>
  page.getByRole("navigation", { name: "Views" }).getByRole("button", { name: view }).click();
const askedOf = (page: Page, part: "anomalies" | "history") =>
  page.evaluate(`window.fake.${part}.asked`) as Promise<string[]>;

describe.skipIf(browserTestObstacle)(
  `findings, alerts and history in Chromium${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  { timeout: 60_000 },
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 120_000);
    afterAll(() => server.close());

    async function open(scenario: string, view: string) {
      const { page, complaints } = await server.open({ scenario });
      await goTo(page, view);
      return { page, complaints, close: () => page.context().close() };
    }

    it("opens a finding on its sentence, its reasons, its evidence and what can be done, in every theme", async () => {
      const { page, complaints, close } = await open("anomalies", "Anomalies");
      await page.getByRole("button", { name: /curl on web-1 contacted/ }).click();
      const detail = page.getByRole("complementary", { name: "Finding" });
      await detail.getByRole("heading", { level: 2, name: /every 10.0 s/ }).waitFor();
      await detail.getByText("usually 0.4 to 2.2").waitFor();
      await detail.getByText("12 records of 36").waitFor();
      await detail.getByText("The numbers as a table").click();
      await detail
        .getByRole("region", { name: "The numbers of the chart" })
        .getByText("0 connections to 3")
        .first()
        .waitFor();
      await page.getByText("3 hosts look for anomalies").click();
      await page.getByText("2 of 24 hours seen").first().waitFor();
      await page.getByText("its agent is older than anomaly detection").waitFor();
      for (const [theme, media] of [
        ["dark", { colorScheme: "dark", contrast: "no-preference" }],
        ["light", { colorScheme: "light", contrast: "no-preference" }],
        ["contrast", { colorScheme: "dark", contrast: "more" }],
      ] as const) {
        await page.emulateMedia(media);
        await page.locator(`html[data-theme="${theme}"]`).waitFor();
        expect({ theme, violations: await accessibilityViolations(page) }).toEqual({ theme, violations: [] });
      }
      expect(complaints).toEqual([]);
      await close();
    });

    it("makes the draft that denies it, and leads from the evidence to the history", async () => {
      const { page, close } = await open("anomalies", "Anomalies");
      await page.getByRole("button", { name: /curl on web-1 contacted/ }).click();
      await page.getByRole("button", { name: "Show all in the history" }).click();
      await expect.poll(() => askedOf(page, "history"), SLOW).toContain("host:web-1 dst:203.0.113.9 port:4444");
      await goTo(page, "Anomalies");
      await page.getByRole("button", { name: "Draft a policy that denies it…" }).click();
      await page.getByRole("region", { name: "The draft" }).getByText("action: deny").waitFor();
      await page.getByRole("button", { name: "Make the draft and open it" }).click();
      await expect
        .poll(() => page.evaluate("window.fake.files.has('policies/stop-beacon-web-1.yaml')"), SLOW)
        .toBe(true);
      await page.waitForURL(/policies%2Fstop-beacon-web-1\.yaml/);
      await close();
    });

    it("says what follows before a judgement and a quarantine, and takes a judgement back", async () => {
      const { page, close } = await open("anomalies", "Anomalies");
      const badge = page.getByRole("navigation", { name: "Views" }).getByText("3 things need you");
      await badge.waitFor({ state: "attached" });
      await page.getByRole("button", { name: /curl on web-1 contacted/ }).click();
      await page.getByRole("button", { name: "Quarantine…" }).click();
      await page.getByText("web-1 is cut off at once").waitFor();
      await page.getByRole("button", { name: "Cancel" }).click();
      await page.getByRole("button", { name: "It is normal here…" }).click();
      await page.getByText("will not report the like again").waitFor();
      await page.getByRole("textbox", { name: "Why" }).fill("health check of the vendor");
      await page.getByRole("button", { name: "Call it normal here" }).click();
      await page.getByText("lena called it normal here").waitFor();
      await badge.waitFor({ state: "detached" });
      await page.getByRole("button", { name: "Take it back" }).click();
      await badge.waitFor({ state: "attached" });
      expect(await askedOf(page, "anomalies")).toEqual([
        "feedback f-beacon NORMAL health check of the vendor",
        "feedback f-beacon UNDO Taken back in the console",
      ]);
      await close();
    });

    it("shows hostile texts as text, and what a fresh fleet does not know yet as not known", async () => {
      const { page, complaints, close } = await open("anomalies-hostile", "Anomalies");
      await page.getByRole("button", { name: /<img src=x onerror=alert\(1\)>/ }).click();
      expect(await page.locator(".anomalies img").count()).toBe(0);
      expect(complaints).toEqual([]);
      await close();
      const fresh = await open("normal", "Anomalies");
      await fresh.page.getByText("Nothing unusual was found").waitFor();
      await fresh.page.getByText("still learning what is usual").waitFor();
      expect(await accessibilityViolations(fresh.page)).toEqual([]);
      await fresh.close();
    });

    it("silences only after showing what that holds back, and tells the truth about a test message", async () => {
      const { page, close } = await open("anomalies", "Anomalies");
      await page.getByRole("button", { name: /^Alerts/ }).click();
      await page.getByRole("button", { name: "Silence the like…" }).click();
      await page.getByRole("button", { name: "See what that would hold back" }).click();
      await page.getByText("would have held back 14 in the last 7 days").waitFor();
      expect(await accessibilityViolations(page)).toEqual([]);
      await page.getByRole("button", { name: "Silence them" }).click();
      await page.getByRole("heading", { name: "Kept silent" }).waitFor();
      expect(await askedOf(page, "anomalies")).toEqual(["silence host,rule"]);
      await page.getByRole("button", { name: "Send a test" }).nth(1).click();
      await page.getByText("It did not arrive").waitFor();
      await page.getByText("certificate of mail.example.org").waitFor();
      await page.getByRole("button", { name: "Add a receiver…" }).click();
      await page.getByLabel("Name", { exact: true }).fill("hook");
      await page.getByRole("button", { name: "E-mail Kind" }).click();
      await page.getByRole("option", { name: "Webhook" }).click();
      await page.getByRole("textbox", { name: "URL" }).fill("https://169.254.169.254/latest");
      await page.getByRole("button", { name: "Add the receiver" }).click();
      await page.getByText("is a link-local address").waitFor();
      expect(await accessibilityViolations(page)).toEqual([]);
      await close();
    });

    it("runs detectors over history with two settings and says which findings only one of them has", async () => {
      const { page, close } = await open("anomalies", "Anomalies");
      await page.getByRole("button", { name: "Backtest" }).click();
      await page.getByRole("button", { name: "Compare with another setting" }).click();
      await page.getByRole("button", { name: "Run over history" }).click();
      await page.getByRole("heading", { name: "With: 4 findings" }).waitFor();
      await page.getByRole("heading", { name: "Beside it: 2 findings" }).waitFor();
      await expect.poll(() => page.getByText("only here").count()).toBe(2);
      await page.getByText("db-1 delivered nothing between 02:10 and 02:40.").waitFor();
      expect(await accessibilityViolations(page)).toEqual([]);
      await close();
    });

    it("searches the history by text, adds a condition by a click, sums up and compares; a bad query is marked", async () => {
      const { page, complaints, close } = await open("normal", "Flows");
      await page.getByRole("tab", { name: "History" }).click();
      const query = page.getByRole("combobox", { name: "Query of the flows" });
      await page.getByText("all 3,400,000 of the time range searched in 41 ms").waitFor();
      await page.getByText("db-1 has not delivered since 12:04.").waitFor();
      await query.fill("verd");
      await page.getByRole("option", { name: "verdict:deny" }).waitFor();
      await query.press("ArrowDown");
      await query.press("Enter");
      await query.press("Enter");
      await expect.poll(() => askedOf(page, "history"), SLOW).toContain("verdict:deny");
      await page.locator('[data-column="port"]', { hasText: "443" }).first().hover();
      await page.getByTitle("Only port:443").click();
      await expect.poll(() => askedOf(page, "history"), SLOW).toContain("verdict:deny port:443");
      expect(await accessibilityViolations(page)).toEqual([]);
      await query.fill("prot:tcp");
      await page.getByText("At 1: There is no field").waitFor();
      await query.press("Enter");
      await page.getByText("Did you mean `protocol`?").last().waitFor();
      await query.fill("");
      await query.press("Enter");
      await page.getByText("of 1,200,000 rows").waitFor();
      await page.locator(".history-bar .select-button").first().click();
      await page.getByRole("option", { name: "Groups" }).click();
      await page.getByText("4 of 4 groups").waitFor();
      await page.locator(".history-bar .select-button").first().click();
      await page.getByRole("option", { name: "What changed" }).click();
      await page.getByText("web-1 talks to 203.0.113.9 on tcp/4444").waitFor();
      expect(await accessibilityViolations(page)).toEqual([]);
      expect(complaints).toEqual([]);
      await close();
    });
  },
);
