import { readFile } from "node:fs/promises";
import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityViolations } from "./axe.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";

/** A busy machine may take its time. */
const SLOW = { timeout: 30_000 };

describe.skipIf(browserTestObstacle)(
  `live flows in Chromium${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  { timeout: 120_000 },
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 120_000);
    afterAll(() => server.close());

    const gridOf = (page: Page) => page.getByRole("grid");
    const queryOf = (page: Page) => page.getByRole("combobox", { name: "Query of the flows" });
    const askedOf = (page: Page) => page.evaluate("window.fake.flowQuestions") as Promise<string[]>;
    const everyRow = (page: Page, has: string) =>
      expect
        .poll(
          // Not waitForFunction: asked again, it is what the page's security policy forbids.
          () =>
            page.evaluate<boolean>(
              `(() => { const rows = [...document.querySelectorAll(".record-row")]; return rows.length > 0 && rows.every((row) => ${has}); })()`,
            ),
          SLOW,
        )
        .toBe(true);

    async function open(scenario = "normal") {
      const { page, complaints } = await server.open({ scenario });
      await page.getByRole("navigation", { name: "Views" }).getByRole("button", { name: "Flows" }).click();
      await gridOf(page).locator(".record-row").first().waitFor();
      return { page, complaints, close: () => page.context().close() };
    }

    it("asks one question: a cell, a chip, a toggle and the text are the same, and the history has it too", async () => {
      const { page, complaints, close } = await open();
      await gridOf(page).locator('[data-column="port"]', { hasText: "TCP 5432" }).first().hover();
      await page.getByTitle("Only port:5432").click();
      await expect.poll(() => queryOf(page).inputValue(), SLOW).toBe("port:5432");
      await expect.poll(() => askedOf(page), SLOW).toContain("port:5432");
      await everyRow(page, 'row.textContent.includes("TCP 5432")');
      await page.getByRole("button", { name: "Only port:5432: turn round" }).click();
      await expect.poll(() => queryOf(page).inputValue(), SLOW).toBe("-port:5432");
      await everyRow(page, '!row.textContent.includes("TCP 5432")');
      await page.getByRole("button", { name: "denied", exact: true }).click();
      await expect.poll(() => askedOf(page), SLOW).toContain("-port:5432 verdict:deny");
      await everyRow(page, 'row.dataset.verdict === "deny"');
      // By keyboard, from the cell of the row that the keys are on.
      await gridOf(page).focus();
      await page.keyboard.press("ArrowDown");
      for (let cell = 0; cell < 6; cell++) await page.keyboard.press("ArrowRight");
      await page.keyboard.press("-");
      await expect.poll(() => queryOf(page).inputValue(), SLOW).toMatch(/^-port:5432,\d+ verdict:deny$/);
      const text = await queryOf(page).inputValue();
      await page.getByRole("tab", { name: "History" }).click();
      await expect.poll(() => page.evaluate("window.fake.history.asked"), SLOW).toContain(text);
      expect(await queryOf(page).inputValue()).toBe(text);
      await page.getByRole("tab", { name: "Live" }).click();
      await expect.poll(() => queryOf(page).inputValue()).toBe(text);
      expect(await accessibilityViolations(page)).toEqual([]);
      expect(complaints).toEqual([]);
      await close();
    });

    it("follows labels, and says of a text what cannot be read in it", async () => {
      const { page, complaints, close } = await open();
      await queryOf(page).fill("label:app=lab");
      await queryOf(page).press("Enter");
      await expect.poll(() => askedOf(page), SLOW).toContain("label:app=lab");
      await everyRow(page, 'row.textContent.includes("10.20.66.12")');
      const before = (await askedOf(page)).length;
      await queryOf(page).fill("prot:1");
      await queryOf(page).press("Enter");
      await page.getByText("The query cannot be read").waitFor();
      expect(await gridOf(page).count()).toBe(0);
      expect((await askedOf(page)).length).toBe(before);
      expect(complaints).toEqual([]);
      await close();
    });

    it("has the columns of the history, in the order that was chosen there", async () => {
      const { page, close } = await open();
      await page.getByRole("button", { name: "Columns" }).click();
      await page.getByRole("checkbox", { name: "Process group" }).press("Space");
      await page.keyboard.press("Escape");
      await page.getByRole("columnheader", { name: "Process group" }).waitFor();
      await gridOf(page).locator('[data-column="cgroup"]', { hasText: "/system.slice/" }).first().waitFor();
      await page.getByRole("tab", { name: "History" }).click();
      await page.getByRole("columnheader", { name: "Process group" }).waitFor();
      await close();
    });

    it("shows a stretch of the last minutes in the history, marked by the pointer or as a whole by a button", async () => {
      const { page, complaints, close } = await open();
      const strip = await page.locator(".time-strip svg").boundingBox();
      if (!strip) throw new Error("no strip");
      const at = (share: number) => strip.x + strip.width * share;
      await page.mouse.move(at(0.5), strip.y + 10);
      await page.mouse.down();
      await page.mouse.move(at(0.7), strip.y + 12, { steps: 4 });
      await page.mouse.move(at(0.75), strip.y + 12);
      await page.mouse.up();
      await page.getByRole("button", { name: "Back to the window's time range" }).waitFor();
      const marked = (await page.evaluate("windowStore.getState().markedRange")) as { fromMs: number; untilMs: number };
      expect((marked.untilMs - marked.fromMs) / 1000).toBeGreaterThanOrEqual(44);
      expect((marked.untilMs - marked.fromMs) / 1000).toBeLessThanOrEqual(46);
      await page.getByRole("tab", { name: "Live" }).click();
      await page.getByRole("button", { name: "These minutes in the history" }).press("Enter");
      await page.getByRole("button", { name: "Back to the window's time range" }).waitFor();
      const whole = (await page.evaluate("windowStore.getState().markedRange")) as { fromMs: number; untilMs: number };
      expect(whole.untilMs - whole.fromMs).toBe(180_000);
      expect(complaints).toEqual([]);
      await close();
    });

    it("writes the rows that it holds into a file, in the columns that are shown", async () => {
      const { page, complaints, close } = await open();
      await page.keyboard.press("Control+.");
      await page.getByText(/^frozen at/).waitFor();
      const rows = Number(await gridOf(page).getAttribute("aria-rowcount")) - 1;
      await page.evaluate("window.showSaveFilePicker = undefined");
      await page.getByRole("button", { name: "Export…" }).click();
      const download = page.waitForEvent("download");
      await page.getByRole("menuitem", { name: "CSV" }).click();
      const path = await (await download).path();
      const lines = (await readFile(path, "utf8")).trimEnd().split("\r\n");
      expect(lines[0]).toBe(
        "first_seen,last_seen,verdict,enforced,host,direction,subject_name,subject_address,peer_name,peer_address,port,policies,process,executable,connections,originator_bytes,responder_bytes",
      );
      expect(lines).toHaveLength(rows + 1);
      await page.getByText(`${rows} rows written`).waitFor();
      expect(complaints).toEqual([]);
      await close();
    });

    it("stands still when it is frozen or sorted, counts what it holds back, and shows the newest when it goes on", async () => {
      const { page, complaints, close } = await open("flood");
      const grid = gridOf(page);
      await page.getByRole("button", { name: "Peer", exact: true }).click();
      await page.getByText(/^frozen at .* newer held back/).waitFor();
      const peers = () => grid.locator('[data-column="peer"]').allInnerTexts();
      const shown = await peers();
      expect(shown).toEqual(shown.toSorted());
      const rows = await grid.getAttribute("aria-rowcount");
      // More than the window holds comes meanwhile: what left it is counted.
      await page.getByText(/of which [\d,]+ only the history still has/).waitFor();
      expect(await peers()).toEqual(shown);
      expect(await grid.getAttribute("aria-rowcount")).toBe(rows);
      await page
        .getByRole("contentinfo")
        .or(page.locator(".flows-footer"))
        .getByRole("button", { name: "Resume" })
        .click();
      await page.getByRole("grid", { name: "Flows, last to arrive first" }).waitFor();
      await expect.poll(() => gridOf(page).getAttribute("aria-rowcount"), SLOW).toBe("10001");
      expect(await grid.locator(".record-row").count()).toBeLessThan(80);
      expect(complaints).toEqual([]);
      await close();
    });

    it("says in the list and as the age of the data how far the flows are behind, for as long as they are", async () => {
      const { page, complaints, close } = await open();
      const footer = page.locator(".flows-footer");
      const age = page.getByRole("button", { name: "Age of the data" });
      await footer.getByText("live", { exact: true }).waitFor();
      await page.evaluate("window.fake.flowsBehindSeconds = 3_700");
      await footer.getByText("live, but 1 h behind the hosts").waitFor();
      await expect.poll(() => age.innerText(), SLOW).toContain("data 1 h old");
      await age.press("Enter");
      const details = page.getByRole("dialog", { name: "Age of the data" });
      await details
        .getByText("The live flows are 1 h behind, by the clocks of the hosts that recorded them.")
        .waitFor();
      expect(await accessibilityViolations(page)).toEqual([]);
      await page.keyboard.press("Escape");
      await page.evaluate("window.fake.flowsBehindSeconds = 0");
      await footer.getByText("live", { exact: true }).waitFor();
      await expect.poll(() => age.innerText(), SLOW).not.toContain("1 h");
      expect(complaints).toEqual([]);
      await close();
    });

    it("keeps the row under the pointer while hundreds come, and is at the top again afterwards", async () => {
      const { page, close } = await open("many");
      const cell = gridOf(page).locator('.record-row:nth-child(4) [data-column="when"]');
      await cell.hover();
      const text = await page.locator(".record-row:hover").innerText();
      await page.getByRole("button", { name: "To the top" }).waitFor();
      expect(await page.locator(".record-row:hover").innerText()).toBe(text);
      await page.mouse.move(4, 4);
      await page.getByRole("button", { name: "To the top" }).waitFor({ state: "detached" });
      await close();
    });

    it("puts the rows together, keeps the places of groups, and goes from one to the list of its rows", async () => {
      const { page, complaints, close } = await open("many");
      await page.locator(".history-place .select-button").first().click();
      await page.getByRole("option", { name: "Groups" }).click();
      const tree = page.getByRole("treegrid", { name: "Flows by peer address" });
      const names = () => tree.locator(".group-name").allInnerTexts();
      await expect.poll(async () => (await names()).length, SLOW).toBeGreaterThan(3);
      const before = await names();
      await tree.focus();
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("ArrowRight");
      await tree.locator(".group-child .record-row").first().waitFor();
      expect((await names()).slice(0, 1)).toEqual(before.slice(0, 1));
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      await page.getByRole("complementary", { name: "Flow details" }).waitFor();
      expect(await accessibilityViolations(page)).toEqual([]);
      await page.keyboard.press("Escape");
      await page.getByRole("complementary", { name: "Flow details" }).waitFor({ state: "detached" });
      await expect.poll(() => tree.evaluate((grid) => grid === grid.ownerDocument.activeElement), SLOW).toBe(true);
      await page.keyboard.press("ArrowLeft");
      await tree.locator(".group-line[data-active]").waitFor();
      await page.keyboard.press("+");
      await expect.poll(() => queryOf(page).inputValue(), SLOW).toMatch(/^peer:/);
      await expect.poll(async () => (await names()).length, SLOW).toBe(1);
      expect(complaints).toEqual([]);
      await close();
    });
  },
);
