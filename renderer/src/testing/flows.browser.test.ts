import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityViolations } from "./axe.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";

/** A busy machine may take its time. */
const SLOW = { timeout: 15_000 };

const HOSTILE = `</script><img src=x onerror="window.harmed=1">\u202e\u001b[31m${"x".repeat(10_000)} 🔥 שלום`;

describe.skipIf(browserTestObstacle)(
  `the list of flows in Chromium${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  { timeout: 120_000 },
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 120_000);
    afterAll(() => server.close());

    const gridOf = (page: Page) => page.getByRole("grid", { name: "Records" });
    const askedOf = (page: Page) => page.evaluate("window.fake.history.asked") as Promise<string[]>;
    const textOf = (page: Page) => page.getByRole("combobox", { name: "Query of the flows" }).inputValue();

    async function open(before = "", scenario = "normal") {
      const { page, complaints } = await server.open({ scenario });
      if (before !== "") await page.evaluate(before);
      await page.evaluate("windowStore.getState().openHistory('')");
      await gridOf(page)
        .getByRole("gridcell", { name: "web-1" })
        .or(gridOf(page).locator(".record-gap"))
        .first()
        .waitFor();
      return { page, complaints, close: () => page.context().close() };
    }

    it("holds a million rows: goes to the last by key, to the middle by the bar and to a moment, and draws only some", async () => {
      const { page, complaints, close } = await open();
      const grid = gridOf(page);
      await expect.poll(() => grid.getAttribute("aria-rowcount")).toBe("1200001");
      await page.getByText("of 1,200,000 rows").waitFor();
      await grid.focus();
      await page.keyboard.press("End");
      await grid.locator('[aria-rowindex="1200001"][aria-selected="true"]:not([aria-busy="true"])').waitFor();
      await page.keyboard.press("Escape");
      await page.evaluate(
        "(() => { const box = document.querySelector('.record-scroll'); box.scrollTop = box.scrollHeight / 2; })()",
      );
      await page.getByText(/^(59|60)\d,\d{3}–/).waitFor();
      // The wheel moves by what it says, also where the bar stands for more than can be placed.
      const before = await page.locator(".history-place").innerText();
      await page.locator(".record-scroll").hover();
      await page.mouse.wheel(0, 280);
      await expect.poll(() => page.locator(".history-place").innerText(), SLOW).not.toBe(before);
      const [one, other] = [before, await page.locator(".history-place").innerText()].map((text) =>
        Number(/([\d,]+)–/.exec(text)?.[1]?.replaceAll(",", "")),
      );
      expect(other! - one!).toBeLessThanOrEqual(12);
      await page.getByRole("button", { name: "Go to time…" }).click();
      const moment = await page.evaluate(
        "new Date(window.fake.history.newestMs - 700 * 300000).toISOString().slice(0, 19)",
      );
      await page.getByRole("textbox", { name: /^Time \(/ }).fill(`${String(moment).replace("T", " ")}Z`);
      await page.keyboard.press("Enter");
      await page.getByText(/^300,00\d–/).waitFor();
      expect(await grid.getByRole("row").count()).toBeLessThan(80);
      expect(complaints).toEqual([]);
      await close();
    });

    it("by keyboard: sorts, includes and excludes a cell, turns and removes chips; the text says the same", async () => {
      const { page, complaints, close } = await open();
      const grid = gridOf(page);
      await page.getByRole("button", { name: "Bytes", exact: true }).press("Enter");
      await expect.poll(() => page.evaluate("window.fake.history.ordered.at(-1)"), SLOW).toBe("15 down");
      await page.getByRole("columnheader", { name: "Bytes" }).and(page.locator("[aria-sort=descending]")).waitFor();
      await grid.focus();
      await page.keyboard.press("ArrowDown");
      for (let cell = 0; cell < 6; cell++) await page.keyboard.press("ArrowRight");
      await page.keyboard.press("+");
      await expect.poll(() => textOf(page), SLOW).toBe("port:443");
      await expect.poll(() => askedOf(page), SLOW).toContain("port:443");
      await page.getByRole("button", { name: "Only port:443: turn round" }).press("Enter");
      await expect.poll(() => textOf(page), SLOW).toBe("-port:443");
      await page.getByRole("button", { name: "Hide noise" }).press("Enter");
      await page.getByRole("checkbox", { name: /^DNS/ }).press("Space");
      await page.keyboard.press("Escape");
      await expect.poll(() => textOf(page), SLOW).toBe("-port:443,53,5353,853");
      await page.getByRole("button", { name: /^Remove the condition not port/ }).press("Enter");
      await expect.poll(() => textOf(page), SLOW).toBe("");
      await page.getByRole("button", { name: "Policy…" }).press("Enter");
      await page.getByRole("button", { name: "No policy decided" }).press("Enter");
      await expect.poll(() => textOf(page), SLOW).toBe("-policy:*");
      expect(complaints).toEqual([]);
      await close();
    });

    it("shows what is missing in its place, counts what waits, and keeps the list as it is until somebody asks", async () => {
      const { page, close } = await open("window.fake.history.newer = 12");
      await page.locator(".record-gap", { hasText: "3 batches of db-1 went before they were read" }).waitFor();
      await page.getByRole("button", { name: "12 newer wait" }).waitFor();
      await page.getByRole("button", { name: "1 gap in this time" }).click();
      await page.getByRole("dialog", { name: "What is missing" }).getByRole("button").first().waitFor();
      await close();
    });

    it("chooses columns and keeps them; exports them with how far it is; saves them with the question", async () => {
      const { page, close } = await open();
      await page.getByRole("button", { name: "Columns" }).click();
      await page.getByRole("checkbox", { name: "User" }).press("Space");
      await page.getByRole("checkbox", { name: "Host", exact: true }).press("Space");
      await page.keyboard.press("Escape");
      await page.getByRole("columnheader", { name: "User" }).waitFor();
      await expect.poll(() => page.getByRole("columnheader", { name: "Host" }).count()).toBe(0);
      expect(await page.evaluate("localStorage.getItem('wardline.flows.columns')")).toContain('"user"');
      await page.getByRole("button", { name: "Export…" }).click();
      await page.evaluate("delete window.showSaveFilePicker; window.showSaveFilePicker = undefined");
      const download = page.waitForEvent("download");
      await page.getByRole("button", { name: "Export 1,200,000 rows" }).click();
      expect((await download).suggestedFilename()).toBe("flows.csv");
      await page.getByText(/^Written: 300 of 1,200,000 rows/).waitFor();
      expect(await page.evaluate("window.fake.history.exported")).toEqual([
        expect.stringContaining("when,verdict,direction,"),
      ]);
      await close();
    });

    it("makes a rule of a row only after showing whom it changes, in both themes without a violation", async () => {
      const { page, complaints, close } = await open();
      await gridOf(page).focus();
      await page.keyboard.press("ArrowDown");
      const details = page.getByRole("complementary", { name: "Record details" });
      await details.waitFor();
      for (const theme of ["dark", "light"]) {
        await page.evaluate(`settingsStore.getState().change({ "display.theme": "${theme}" })`);
        await page.locator(`html[data-theme="${theme}"]`).waitFor({ state: "attached" });
        expect({ theme, found: await accessibilityViolations(page, { themeOnly: theme === "light" }) }).toEqual({
          theme,
          found: [],
        });
      }
      await details.getByRole("button", { name: "Deny it by a rule…" }).click();
      const dialog = page.getByRole("dialog", { name: "Deny this connection" });
      await dialog.getByText(/web-1 may connect to 203.0.113.9/).waitFor();
      expect(await page.evaluate("window.fake.flowActions.asked")).toEqual(["rule DENY 10.0.1.10 203.0.113.9 443 "]);
      expect(complaints).toEqual([]);
      await close();
    });

    it("chooses several rows by keyboard and by clicks, copies them, and makes one rule of them", async () => {
      const { page, complaints, close } = await open();
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
      const grid = gridOf(page);
      await grid.focus();
      await page.keyboard.press("ArrowDown");
      for (let row = 0; row < 4; row++) await page.keyboard.press("Shift+ArrowDown");
      const bar = page.getByRole("toolbar", { name: "Chosen rows" });
      await bar.getByText("5 rows chosen").waitFor();
      await expect.poll(() => grid.locator('[aria-selected="true"]').count()).toBe(5);
      // The fifth row is another connection, to a port that is refused.
      await bar.getByRole("button", { name: "Copy as" }).click();
      await page.getByRole("menuitem", { name: "CSV" }).click();
      await bar.getByRole("button", { name: "Copied as CSV" }).waitFor();
      const lines = String(await page.evaluate("navigator.clipboard.readText()"))
        .trim()
        .split("\r\n");
      expect(lines).toHaveLength(6);
      expect(lines[0]).toMatch(/^first_seen,last_seen,verdict,enforced,host,direction,/);
      expect(lines[5]).toContain("4444");
      await bar.getByRole("button", { name: "Allow them by a rule…" }).click();
      const dialog = page.getByRole("dialog", { name: "Allow these 2 connections" });
      await dialog.getByText(/may connect to 203.0.113.9/).waitFor();
      expect(await page.evaluate("window.fake.flowActions.asked")).toEqual(["rule ALLOW 10.0.1.10 203.0.113.9 443 "]);
      expect(await page.evaluate("window.fake.flowActions.counts")).toEqual([2]);
      await dialog.getByRole("button", { name: "Leave it as it is" }).click();
      await bar.getByRole("button", { name: "Make a test…" }).click();
      await bar.getByText("Some of them were allowed and some denied").waitFor();
      // One less, one far away, all of them.
      await grid.locator('[aria-rowindex="3"] [data-column="when"]').click({ modifiers: ["Control"] });
      await bar.getByText("4 rows chosen").waitFor();
      await grid.locator('[aria-rowindex="10"] [data-column="when"]').click({ modifiers: ["Shift"] });
      await bar.getByText("8 rows chosen").waitFor();
      await grid.focus();
      await page.keyboard.press("Control+a");
      await bar.getByText("1,200,000 rows chosen").waitFor();
      await bar.getByText("A copy has the first 10,000").waitFor();
      expect(await accessibilityViolations(page)).toEqual([]);
      await page.keyboard.press("Escape");
      await bar.waitFor({ state: "detached" });
      expect(complaints).toEqual([]);
      await close();
    });

    it("puts rows together, opens a group to its rows by keyboard, and goes on to the list of them", async () => {
      const { page, complaints, close } = await open();
      await page.locator(".history-bar .select-button").first().click();
      await page.getByRole("option", { name: "Groups" }).click();
      await page.getByRole("button", { name: /^peer address/ }).click();
      await page.getByRole("option", { name: "process", exact: true }).click();
      const tree = page.getByRole("treegrid", { name: "Flows by process" });
      await tree.focus();
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("ArrowRight");
      await tree.locator('[aria-expanded="true"]', { hasText: "curl" }).waitFor();
      await tree.locator(".group-child .record-row").first().waitFor();
      await expect.poll(() => askedOf(page), SLOW).toContain("process:curl");
      expect(await accessibilityViolations(page)).toEqual([]);
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      await page.getByRole("complementary", { name: "Record details" }).waitFor();
      await page.keyboard.press("Escape");
      await page.keyboard.press("ArrowLeft");
      await page.keyboard.press("ArrowLeft");
      await tree.locator('[aria-expanded="true"]').waitFor({ state: "detached" });
      await page.keyboard.press("ArrowRight");
      await tree.locator(".group-child .record-row").first().waitFor();
      await page.keyboard.press("End");
      await tree.getByText("300 older rows: show all of them as a list").click();
      await gridOf(page).waitFor();
      await expect.poll(() => textOf(page), SLOW).toBe("process:curl");
      expect(complaints).toEqual([]);
      await close();
    });

    it("flags what is evidence of a finding, and cuts a host off only after saying what that does", async () => {
      const { page, close } = await open("", "anomalies");
      const flagged = gridOf(page).locator(".record-row", { has: page.locator(".record-flag") });
      await flagged.first().waitFor();
      const ofFinding = gridOf(page).locator(".record-row", { hasText: "4444" });
      await expect.poll(async () => (await ofFinding.count()) - (await flagged.count())).toBe(0);
      for (const text of await flagged.allInnerTexts()) expect(text).toContain("4444");
      await flagged.first().locator('[data-column="when"]').click();
      const details = page.getByRole("complementary", { name: "Record details" });
      await details.getByText("Part of a finding").waitFor();
      await details.getByRole("button", { name: "Quarantine…" }).click();
      const dialog = page.getByRole("dialog", { name: "Quarantine web-1" });
      await dialog.getByText(/is cut off at once/).waitFor();
      expect(await page.evaluate("window.fake.quarantines")).toEqual([]);
      // What is refused cuts nobody off, and says why.
      await dialog.getByRole("textbox", { name: "SSH stays open for" }).fill("0.0.0.0/0");
      await dialog.getByRole("button", { name: "Cut web-1 off" }).click();
      await dialog.getByText("Everybody is no management network.").waitFor();
      await dialog.getByRole("textbox", { name: "SSH stays open for" }).fill("10.9.0.0/24, 10.8.0.1");
      await dialog.getByRole("textbox", { name: "Why" }).fill("beacon");
      await dialog.getByRole("button", { name: "Cut web-1 off" }).click();
      await dialog.waitFor({ state: "detached" });
      expect(await page.evaluate("window.fake.quarantines")).toEqual(["host-web-1  10.9.0.0/24,10.8.0.1 beacon"]);
      await details.getByRole("button", { name: "Open it" }).click();
      await page.getByRole("heading", { name: /contacted 203\.0\.113\.9:4444/ }).waitFor();
      await close();
    });

    it("shows what means no good as text", async () => {
      const { page, complaints, close } = await open(`window.fake.history.hostile = ${JSON.stringify(HOSTILE)}`);
      await page.getByText("</script>").first().waitFor();
      expect(await page.evaluate("window.harmed")).toBeUndefined();
      expect(await page.evaluate("document.querySelector('.record-grid').innerText.includes('\\u202e')")).toBe(false);
      expect(complaints).toEqual([]);
      await close();
    });
  },
);
