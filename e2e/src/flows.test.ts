/** Flows: what is shown, what is left out by choice, and what observe mode changes. */
import { PEER_ADDRESS } from "@wardline/helper/testing/kernelLab";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { STEP_LIMIT_MS, System, skipReason, systemProblem } from "./harness.ts";
import { ConsolePage } from "./pages/console.ts";
import { HOSTS, WEB_TO_DATABASE } from "./policies.ts";
import { expectPasses, expectRefused } from "./traffic.ts";

const problem = systemProblem();
const FILES = { "hosts.yaml": HOSTS, "web.yaml": WEB_TO_DATABASE };
const MANY = 10_000;

describe.skipIf(problem !== null)(`flows${skipReason(problem)}`, { timeout: STEP_LIMIT_MS }, () => {
  let system: System;
  let ui: ConsolePage;

  beforeAll(async () => {
    system = await System.start();
    ui = new ConsolePage(system.page);
    await system.enforce(FILES, { mode: "observe" });
    await ui.goTo("Flows");
  }, STEP_LIMIT_MS);
  afterAll(() => system?.close(), STEP_LIMIT_MS);
  beforeEach((context) => system.watch(context));

  it("shows in observe mode what would be denied, and lets it pass", async () => {
    await expectPasses(system, 8080);
    await expectPasses(system, 5432);
    await ui.flows.rows("8080", "would be denied", "web-to-database").first().waitFor();
    await ui.status("eBPF · observing").waitFor();
  });

  it("shows refusals once it enforces", async () => {
    await system.enforce(FILES);
    await expectRefused(system, 8080);
    await ui.flows.rows("8080", "denied", "web-to-database").first().waitFor();
  });

  it("names the process of a connection, where it was met, and filters by both process and user", async () => {
    const pid = String(system.host.pid);
    await ui.flows.rows("8080", "denied", pid).first().getByRole("gridcell").first().click();
    await ui.flows.details
      .getByText(process.execPath.split("/").at(-1) ?? "")
      .first()
      .waitFor();
    await ui.flows.details.getByText(/^(refused at connect\(\)|at the socket)$/).waitFor();
    await ui.flows.details.getByRole("button", { name: "Show only user:root" }).click();
    await ui.flows.rows("8080", pid).first().waitFor();
    await ui.flows.clearConditions();
    await system.page.keyboard.press("Escape");
    await ui.flows.addCondition(`!process:${pid}`);
    await ui.flows.rows(pid).first().waitFor({ state: "detached" });
    await ui.flows.clearConditions();
    await ui.flows.addCondition(`process:${pid}`);
    await ui.flows.rows("8080", pid).first().waitFor();
    await ui.flows.clearConditions();
    const { stdout } = await system.run(["flows", "--process", pid, "--user", "root", "--format", "json"]);
    const lines = stdout.trim().split("\n");
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines)
      expect(JSON.parse(line).process).toMatchObject({ pid: system.host.pid, userName: "root" });
  });

  it("filters by a verdict, by a port, and leaves a port out", async () => {
    const denied = ui.flows.filter.getByRole("button", { name: "denied" });
    await denied.click();
    await ui.flows.rows("5432").first().waitFor({ state: "detached" });
    await ui.flows.rows("8080").first().waitFor();
    await denied.click();
    await ui.flows.addCondition("port:5432");
    await ui.flows.rows("8080").first().waitFor({ state: "detached" });
    await ui.flows.rows("5432").first().waitFor();
    await ui.flows.clearConditions();
    await ui.flows.addCondition("!:5432");
    await ui.flows.rows("5432").first().waitFor({ state: "detached" });
    await ui.flows.rows("8080").first().waitFor();
    await ui.flows.clearConditions();
  });

  it("stays as it is while frozen, and says what it holds back", async () => {
    await system.page.getByRole("button", { name: "Freeze live rows" }).click();
    const before = await ui.flows.grid.getAttribute("aria-rowcount");
    await expectPasses(system, 5432);
    await system.page.getByText(/frozen at .* · \d+ newer held back/).waitFor();
    expect(await ui.flows.grid.getAttribute("aria-rowcount")).toBe(before);
    await system.page.getByRole("button", { name: "Resume live rows" }).click();
    await expect.poll(() => ui.flows.grid.getAttribute("aria-rowcount")).not.toBe(before);
  });

  it("holds ten thousand rows and draws only some", { timeout: 4 * STEP_LIMIT_MS }, async () => {
    expect(await system.host.floodTcp(PEER_ADDRESS[4], 5432, MANY)).toBe("ok");
    const rowCount = async () => Number(await ui.flows.grid.getAttribute("aria-rowcount")) - 1;
    // Every one of them is a row or is counted as not shown.
    const notShown = async () => Number((await ui.status(/ not shown$/).innerText()).replace(/\D/g, ""));
    await expect
      .poll(async () => (await rowCount()) + (await notShown()), { timeout: 240_000 })
      .toBeGreaterThanOrEqual(MANY);
    expect(await rowCount()).toBeGreaterThan(1_000);
    await system.page.getByRole("button", { name: "Freeze live rows" }).click();
    await ui.flows.grid.focus();
    await system.page.keyboard.press("End");
    await ui.flows.grid.getByRole("row", { selected: true }).waitFor();
    expect(await ui.flows.rows().count()).toBeLessThan(120);
  });
});

describe.skipIf(problem !== null)(
  `an agent that only observes${skipReason(problem)}`,
  { timeout: STEP_LIMIT_MS },
  () => {
    let system: System;
    let ui: ConsolePage;

    beforeAll(async () => {
      system = await System.start({ agentArguments: ["--backend", "observe"] });
      ui = new ConsolePage(system.page);
    }, STEP_LIMIT_MS);
    afterAll(() => system?.close(), STEP_LIMIT_MS);
    beforeEach((context) => system.watch(context));

    it("says so in every place, and enforcing is refused", async () => {
      await ui.status("observe only").waitFor();
      await ui.goTo("Flows");
      await system.page.getByRole("heading", { name: "This backend cannot see flows" }).waitFor();
      await ui.goTo("Hosts");
      await ui.hosts
        .detail("web-1")
        .getByRole("heading", { name: /^Backend: observe/i })
        .waitFor();
      await ui.hosts.detail("web-1").getByText("no: nothing is enforced").waitFor();
      const { stdout } = await system.run(["agent", "status"]);
      expect(stdout).toMatch(/observe only/);
      await expect(system.enforce(FILES)).rejects.toThrow(/only observes/);
      await expectPasses(system, 8080);
    });
  },
);
