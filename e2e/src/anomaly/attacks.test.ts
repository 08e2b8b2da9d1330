/** A scan and a beacon in the demo's hosts, as a person runs them: found, explained, proved and answered, within a minute. */
import type { Locator, Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FLEETS_DIRECTORY } from "../fleet/claim.ts";
import { fleetProblem } from "../fleet/fleet.ts";
import { OUTSIDE_ADDRESS } from "../fleet/outside.ts";
import { runToEnd } from "../fleet/run-program.ts";
import { skipReason, systemProblem } from "../harness.ts";
import { DemoLab } from "./demo-lab.ts";

const problem = systemProblem() ?? fleetProblem();
const FOUND_WITHIN_MS = 60_000;
const LIMIT_MS = 300_000;
const BEACON = /demo-beacon on web-1 contacted 203\.0\.113\.9:80 every [45]\.\d+ s/;
const SCAN = /demo-scan tried (about )?\d+ different ports of 10\.231\.\d+\.13 within/;

/** Of the list of the history: those near the visible part. */
const recordRows = (page: Page): Locator =>
  page
    .getByRole("grid", { name: "Records" })
    .getByRole("row")
    .filter({ has: page.getByRole("gridcell") });

describe.skipIf(problem !== null)(`attacks in the demo${skipReason(problem)}`, { timeout: LIMIT_MS }, () => {
  let lab: DemoLab;
  beforeAll(async () => {
    lab = await DemoLab.start();
  }, LIMIT_MS);
  afterAll(() => lab?.close(), LIMIT_MS);

  /** What the view lists, all of it. */
  const listed = () => lab.ui.anomalies.findings.getByRole("listitem").allInnerTexts();

  async function expectOnlyAttacks(): Promise<void> {
    const others = (await listed()).filter((text) => !SCAN.test(text) && !BEACON.test(text));
    expect(others).toEqual([]);
    expect((await listed()).length).toBe(2);
  }

  it("are listed within a minute of their beginning, and nothing of the ordinary traffic is", async () => {
    const { ui } = lab;
    await ui.goTo("Anomalies");
    const shown = () => ui.page.locator(".anomalies").innerText();
    await expect.poll(shown, { timeout: FOUND_WITHIN_MS, interval: 500 }).toContain("Nothing unusual was found");
    await lab.hasWatched();
    const startedAtMs = performance.now();
    lab.attack("scan", "--from", "web-1", "--to", "db-1");
    lab.attack("beacon", "--from", "web-1");
    for (const sentence of [SCAN, BEACON]) {
      await ui.anomalies.finding(sentence).waitFor({ timeout: FOUND_WITHIN_MS - (performance.now() - startedAtMs) });
    }
    expect(performance.now() - startedAtMs).toBeLessThan(FOUND_WITHIN_MS);
    await expectOnlyAttacks();
  });

  it("fire the alert that is there from the start", async () => {
    const { ui } = lab;
    await ui.anomalies.tab("Alerts");
    for (const sentence of [SCAN, BEACON]) await ui.anomalies.firing.getByText(sentence).waitFor();
    await ui.anomalies.tab("Findings");
  });

  it("are proved by records with both ends, which the history has too", async () => {
    const { ui, page } = lab;
    await ui.anomalies.finding(BEACON).click();
    await ui.anomalies.evidence.waitFor();
    const from = lab.fleet.host("web-1").address[4];
    const proof = await ui.anomalies.evidence.getByRole("row").allInnerTexts();
    expect(proof.length).toBeGreaterThan(3);
    for (const row of proof.slice(1)) {
      expect(row).toContain(from);
      expect(row).toContain(OUTSIDE_ADDRESS);
      expect(row).toContain("demo-beacon");
    }
    await ui.anomalies.detail.getByRole("button", { name: "Show all in the history" }).click();
    const history = recordRows(page);
    await history.filter({ hasText: OUTSIDE_ADDRESS }).first().waitFor();
    expect(await history.count()).toBeGreaterThanOrEqual(proof.length - 1);
    // Rows stand before what is in them has been read.
    const others = async () => (await history.allInnerTexts()).filter((row) => !row.includes(OUTSIDE_ADDRESS));
    await expect.poll(others, { timeout: 40_000 }).toEqual([]);
    // The view asks for a moment, and the flows go on: the newest may be in one and not in the other.
    await ui.goTo("Anomalies");
    await ui.anomalies.finding(SCAN).click();
    await ui.anomalies.detail.getByRole("heading", { level: 2, name: SCAN }).waitFor();
    await ui.anomalies.evidence.getByText(lab.fleet.host("db-1").address[4]).first().waitFor();
  });

  it("are held back once a person called the like normal", async () => {
    const { ui, page } = lab;
    await ui.anomalies.finding(BEACON).click();
    await ui.anomalies.callNormal("the updater of the vendor");
    await ui.anomalies.detail.getByText(/called it normal here/).waitFor();
    await ui.anomalies.tab("Alerts");
    await ui.anomalies.firing.getByText(BEACON).waitFor({ state: "detached" });
    await ui.anomalies.firing.getByText(SCAN).waitFor();
    await ui.anomalies.tab("Findings");
    // Another one of its kind: what comes of it after the word of the person is in the history, and nothing is told of it.
    lab.attack("beacon", "--from", "web-1");
    await ui.anomalies.detail.getByRole("button", { name: "Show all in the history" }).click();
    // That query ends with the finding; this one goes on.
    const query = page.getByRole("combobox", { name: "Query of the flows" });
    await query.fill("process:demo-beacon");
    await query.press("Enter");
    await query.press("Escape");
    const windows = async () => {
      await page.getByRole("button", { name: "Up to now" }).click();
      return Number(await page.getByRole("grid", { name: "Records" }).getAttribute("aria-rowcount"));
    };
    await expect.poll(windows, { timeout: 40_000, interval: 500 }).toBeGreaterThan(3);
    const before = await windows();
    await expect.poll(windows, { timeout: 40_000, interval: 1_000 }).toBeGreaterThan(before);
    await ui.goTo("Anomalies");
    await ui.anomalies.tab("Findings");
    await expectOnlyAttacks();
    expect(lab.complaints).toEqual([]);
  });

  it("are refused with a word when there is nothing to attack", async () => {
    const refused = async (...words: string[]) => {
      const attack = lab.attack(...words);
      await new Promise((resolve) => attack.child.once("close", resolve));
      return [attack.child.exitCode, attack.stderr];
    };
    expect(await refused("scan", "--to", "mail-1")).toEqual([2, expect.stringContaining('no host "mail-1"')]);
    expect(await refused("scan", "--to", "web-1")).toEqual([2, expect.stringContaining("cannot attack itself")]);
    expect(await refused("flood")).toEqual([2, expect.stringContaining("usage:")]);
    // As on a machine without a demo: the directory of fleets is another one there.
    const script = `mount -t tmpfs none ${FLEETS_DIRECTORY} && exec "$@"`;
    const words = ["--mount", "--propagation", "private", "sh", "-c", script, "sh", process.execPath];
    const { exitCode, stderr } = await runToEnd("unshare", [...words, DemoLab.attackScript, "scan"]);
    expect([exitCode, stderr]).toEqual([3, expect.stringContaining("No demo runs on this machine")]);
  });
});
