/** Quarantine and panic from the command line: the kernel does it, and the console says it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { STEP_LIMIT_MS, System, skipReason, systemProblem } from "./harness.ts";
import { ConsolePage } from "./pages/console.ts";
import { HOSTS, WEB_TO_DATABASE } from "./policies.ts";
import { expectPasses, expectRefused } from "./traffic.ts";

const problem = systemProblem();

describe.skipIf(problem !== null)(`cut off${skipReason(problem)}`, { timeout: STEP_LIMIT_MS }, () => {
  let system: System;
  let ui: ConsolePage;

  beforeAll(async () => {
    system = await System.start();
    ui = new ConsolePage(system.page);
    await system.enforce({ "hosts.yaml": HOSTS, "web.yaml": WEB_TO_DATABASE });
  }, STEP_LIMIT_MS);
  afterAll(() => system?.close(), STEP_LIMIT_MS);
  beforeEach((context) => system.watch(context));

  async function wardline(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await system.run(args);
    expect({ args, exitCode, stderr }).toMatchObject({ exitCode: 0 });
    return stdout;
  }

  it("quarantines the host by the console's command line; the console shows it, and explain names it", async () => {
    await expectPasses(system, 5432);
    const said = await wardline(
      "quarantine",
      "host",
      "--host",
      "web-1",
      "--allow-from",
      "192.0.2.7",
      "--reason",
      "odd",
    );
    expect(said).toMatch(/web-1 is cut off now\./);
    await expectRefused(system, 5432);
    await ui.goTo("Hosts");
    await system.page
      .getByText(/^Host\/web-1 is in quarantine since .* \(odd\)/)
      .first()
      .waitFor();
    expect(await wardline("quarantine", "list")).toMatch(/web-1 +Host\/web-1 .* 192\.0\.2\.7\/32 to TCP 22 +odd/);
    const explained = await wardline("policy", "explain", "--from", "web-1", "--to", "db-1", "--port", "5432");
    expect(explained).toMatch(/quarantine\/Host\/web-1/);
    await wardline("quarantine", "host", "--lift");
    await expectPasses(system, 5432);
    await system.page.getByText(/is in quarantine/).waitFor({ state: "hidden" });
  });

  it("panics closed and open, and back to the policies", async () => {
    await wardline("panic", "closed", "--yes", "--reason", "drill");
    await expectRefused(system, 5432);
    await system.page
      .getByText(/^Emergency closed since .* \(drill\)/)
      .first()
      .waitFor();
    await wardline("panic", "open", "--yes");
    await expectPasses(system, 5432);
    await expectPasses(system, 8080);
    await wardline("panic", "off");
    await expectPasses(system, 5432);
    await expectRefused(system, 8080);
    await system.page.getByText(/^Emergency /).waitFor({ state: "hidden" });
  });
});
