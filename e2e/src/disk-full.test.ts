/** The agent's disk is full at the moment of an apply. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { STEP_LIMIT_MS, System, skipReason, systemProblem } from "./harness.ts";
import { ConsolePage } from "./pages/console.ts";
import { egressTo, HOSTS, WEB_TO_DATABASE } from "./policies.ts";
import { expectPasses, expectRefused } from "./traffic.ts";

const problem = systemProblem();

describe.skipIf(problem !== null)(`a full disk at apply${skipReason(problem)}`, { timeout: STEP_LIMIT_MS }, () => {
  const agentStateDir = mkdtempSync(join(tmpdir(), "wardline-full-"));
  let system: System;
  let ui: ConsolePage;

  beforeAll(async () => {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=512k,mode=700", "wardline-test", agentStateDir]);
    system = await System.start({ agentStateDir });
    ui = new ConsolePage(system.page);
    await system.enforce({ "hosts.yaml": HOSTS, "web.yaml": WEB_TO_DATABASE });
  }, STEP_LIMIT_MS);
  afterAll(async () => {
    await system?.close();
    execFileSync("umount", [agentStateDir]);
    rmSync(agentStateDir, { recursive: true });
  }, STEP_LIMIT_MS);
  beforeEach((context) => system.watch(context));

  it("refuses the apply, keeps what is enforced, and keeps the draft", async () => {
    await ui.goTo("Policies");
    await ui.policies.open("web.yaml");
    await ui.policies.replaceText(egressTo("web-to-database", "web", 8080));
    const { bavail, bsize } = statfsSync(agentStateDir);
    writeFileSync(join(agentStateDir, "filler"), Buffer.alloc(bavail * bsize));
    await ui.policies.reviewAndApply();
    await ui.ship
      .planFor("web-1")
      .getByText(/^Gains access: [1-9]/)
      .waitFor();
    await ui.ship.apply({ mode: "Enforce", reason: "into a full disk" });
    await ui.ship.drawer.getByRole("alert").getByText("DISK_FULL").waitFor();
    await expectPasses(system, 5432);
    await expectRefused(system, 8080);
    await ui.ship.close();
    await ui.policies.text.getByText("8080").waitFor();
  });

  it("applies it when there is room again", async () => {
    rmSync(join(agentStateDir, "filler"));
    await ui.policies.reviewAndApply();
    await ui.ship.apply({ mode: "Enforce", reason: "with room", within: "5 minutes" });
    await ui.ship.timer.waitFor();
    await expectPasses(system, 8080);
    await ui.ship.keep();
    await ui.ship.drawer.getByText(/^Generation \d+ is kept on web-1\.$/).waitFor();
    expect(system.complaints).toEqual([]);
  });
});
