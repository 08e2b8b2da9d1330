/** What keeps a host safe when people, agents and consoles go away. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { STEP_LIMIT_MS, System, skipReason, systemProblem } from "./harness.ts";
import { ConsolePage } from "./pages/console.ts";
import { egressTo, HOSTS, WEB_TO_DATABASE } from "./policies.ts";
import { expectPasses, expectRefused } from "./traffic.ts";

const problem = systemProblem();
const FILES = { "hosts.yaml": HOSTS, "web.yaml": WEB_TO_DATABASE };

describe.skipIf(problem !== null)(`safety${skipReason(problem)}`, { timeout: STEP_LIMIT_MS }, () => {
  let system: System;
  let ui: ConsolePage;

  beforeAll(async () => {
    system = await System.start();
    ui = new ConsolePage(system.page);
    await system.enforce(FILES);
  }, STEP_LIMIT_MS);
  afterAll(() => system?.close(), STEP_LIMIT_MS);
  beforeEach((context) => system.watch(context));

  it("rolls back by itself when nobody confirms, and the console says so", async () => {
    await ui.goTo("Policies");
    await ui.policies.open("web.yaml");
    await ui.policies.replaceText(egressTo("web-to-database", "web", 8080));
    await ui.policies.reviewAndApply();
    await ui.ship
      .planFor("web-1")
      .getByText(/^Loses access: [1-9]/)
      .waitFor();
    await ui.ship.apply({ mode: "Enforce", reason: "nobody looks", within: "30 seconds" });
    await ui.ship.pending(2, "web-1").waitFor();
    await expectRefused(system, 5432);
    await ui.ship.drawer
      .getByText("Nobody confirmed in time, so the agent on web-1 rolled generation 2 back by itself.")
      .waitFor({ timeout: 240_000 });
    await expectPasses(system, 5432);
    await expectRefused(system, 8080);
    await ui.ship.close();
    await ui.goTo("Overview");
    const receipts = system.page.getByRole("region", { name: "Applied lately" });
    await receipts.getByRole("listitem").filter({ hasText: "nobody looks" }).getByText("expired").waitFor();
  });

  it("refuses a second apply while one waits", async () => {
    const apply = ["policy", "apply", "--yes", "--format", "json", "--confirm-within", "5m", "--reason", "first"];
    expect((await system.run(apply)).exitCode).toBe(0);
    await ui.status(/generation \d+ waits/).waitFor();
    const second = await system.run(apply);
    expect(second.exitCode).not.toBe(0);
    expect(second.stdout + second.stderr).toMatch(/waits for confirmation/);
    await expectPasses(system, 8080);
    const rolledBack = await system.run(["policy", "rollback"]);
    expect(rolledBack.exitCode).toBe(0);
    await ui.status(/generation \d+ waits/).waitFor({ state: "hidden" });
    await expectPasses(system, 5432);
    await expectRefused(system, 8080);
  });

  it("goes on enforcing while the agent is dead, and the console says that it is not heard", async () => {
    let isWatching = true;
    const outcomes: string[] = [];
    const watching = (async () => {
      while (isWatching) {
        outcomes.push(await system.host.connectTcp("watch", "10.77.0.1", 8080, 200));
        await system.host.disconnect("watch");
      }
    })();
    await system.agent.stop("SIGKILL");
    await ui.goTo("Hosts");
    await ui.status("hosts 0/1").waitFor();
    const detail = ui.hosts.detail("web-1");
    await detail
      .getByRole("alert")
      .getByText(/^Not connected: /)
      .waitFor();
    await detail.getByRole("alert").getByText("AGENT_UNREACHABLE").waitFor();
    await detail.getByText("Everything below is the last known state.").waitFor();
    await expectPasses(system, 5432);
    await system.startAgent();
    await ui.status("hosts 1/1").waitFor();
    await ui.status("eBPF · enforcing").waitFor();
    isWatching = false;
    await watching;
    expect(outcomes.length).toBeGreaterThan(3);
    expect(outcomes.filter((outcome) => !/^(EPERM|timeout)$/.test(outcome))).toEqual([]);
    await expectPasses(system, 5432);
  });

  it("keeps drafts when the console is killed", async () => {
    await ui.goTo("Policies");
    await ui.policies.open("web.yaml");
    await ui.policies.replaceText(`# kept over a crash\n${WEB_TO_DATABASE}`);
    await system.console.stop("SIGKILL");
    await system.page.getByRole("region", { name: "Connection" }).getByText("BACKEND_UNREACHABLE").waitFor();
    await system.startConsole();
    ui = new ConsolePage(await system.openPage());
    await ui.goTo("Policies");
    await ui.policies.open("web.yaml");
    await ui.policies.text.getByText("# kept over a crash").waitFor();
    await expectRefused(system, 8080);
  });
});
