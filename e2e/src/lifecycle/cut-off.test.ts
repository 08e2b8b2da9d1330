/** The connection is cut at each step of an upgrade: the old agent runs on, and the next try succeeds. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode } from "@wardline/domain/errors";
import { installOnHost } from "@wardline/main/backend/lifecycle/install";
import type { AgentPackage } from "@wardline/main/backend/lifecycle/manifest";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Fleet, fleetProblem } from "../fleet/fleet.ts";
import { skipReason } from "../harness.ts";
import { AgentPackages } from "./agent-packages.ts";
import { AGENT, failureOf, LifecycleLab, Progress } from "./lifecycle-lab.ts";

const problem = fleetProblem();
const NO_OPTIONS = { force: false, operators: [], admins: [] };

describe.skipIf(problem !== null)(`an upgrade that is cut off${skipReason(problem)}`, { timeout: 240_000 }, () => {
  let fleet: Fleet;
  let lab: LifecycleLab;
  let directory: string;
  let packages: AgentPackages;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "wardline-cut-off-"));
    packages = new AgentPackages(directory);
    fleet = await Fleet.start({ hosts: [{ name: "bare-1", agent: "none" }] });
    lab = new LifecycleLab(fleet, fleet.host("bare-1"));
    // The default of newer versions of sudo: what it runs has a terminal that goes away with it.
    writeFileSync(lab.machine.path("/etc/sudoers.d/terminal"), "Defaults use_pty\n", { mode: 0o440 });
    await installOnHost(lab.ports(packages.make({ version: "1.0.0" })), lab.host("deploy"), NO_OPTIONS, new Progress());
  }, 240_000);
  afterAll(async () => {
    await fleet?.close();
    rmSync(directory, { recursive: true, force: true });
  }, 240_000);

  function upgrade(agentPackage: AgentPackage, progress = new Progress()): Promise<void> {
    return installOnHost(lab.ports(agentPackage), lab.host("deploy"), NO_OPTIONS, progress);
  }

  it("leaves the old agent as it was until the exchange, whatever step it was at", async () => {
    const next = packages.make({ version: "1.1.0", ballastBytes: 3_000_000 });
    const pid = await lab.agentPid();
    const inode = lab.inode(AGENT);
    for (const step of ["platform", "privilege", "upload", "half of upload", "verify", "groups", "install"]) {
      const progress = new Progress();
      progress.onStep = (name, percent) => {
        const isHere = step === "half of upload" ? name === "upload" && percent > 50 : name === step;
        if (isHere) lab.connector.cut();
      };
      const failure = await failureOf(upgrade(next, progress));
      expect([step, ErrorCode[failure.code]]).toEqual([step, expect.stringMatching(/CANCELED|AGENT_UNREACHABLE/)]);
      // What had been sent to the host by then comes to its end there: wait for the lock that it holds.
      await lab.machine.run(["flock", "/run/wardline-install.lock", "true"]);
      if (lab.inode(AGENT) !== inode) throw new Error(`the executable was exchanged by step ${step}`);
      expect([step, await lab.agentPid()]).toEqual([step, pid]);
    }
    const progress = new Progress();
    await upgrade(next, progress);
    expect([await lab.version(), await lab.version(`${AGENT}.previous`)]).toEqual(["1.1.0", "1.0.0"]);
    // What one of the tries had sent whole was not sent again.
    expect(progress.text("upload")).toBe("The agent was uploaded before");
  });

  it("comes to its end on the host by itself once the exchange has begun", async () => {
    const inode = lab.inode(AGENT);
    const progress = new Progress();
    let isOver = false;
    const attempt = failureOf(upgrade(packages.make({ version: "1.2.0" }), progress)).finally(() => {
      isOver = true;
    });
    while (!isOver && lab.inode(AGENT) === inode) await new Promise((resolve) => setTimeout(resolve, 2));
    lab.connector.cut();
    await attempt;
    expect(progress.names.at(-1)).toBe("install");
    await lab.machine.run(["flock", "/run/wardline-install.lock", "true"]);
    expect([await lab.version(), await lab.version(`${AGENT}.previous`)]).toEqual(["1.2.0", "1.1.0"]);
    expect(await lab.agentPid()).toBeGreaterThan(0);
    expect(lab.exists("/usr/lib/wardline/staged")).toBe(false);
    const again = new Progress();
    await upgrade(packages.make({ version: "1.2.0" }), again);
    expect(again.names).not.toContain("install");
    expect(await lab.version(`${AGENT}.previous`)).toBe("1.1.0");
  });

  it("comes back by itself when the exchange was to a version that does not come up", async () => {
    const inode = lab.inode(AGENT);
    let isOver = false;
    const attempt = failureOf(upgrade(packages.make({ version: "1.3.0", behaviour: "ends" }))).finally(() => {
      isOver = true;
    });
    while (!isOver && lab.inode(AGENT) === inode) await new Promise((resolve) => setTimeout(resolve, 2));
    lab.connector.cut();
    await attempt;
    await lab.machine.run(["flock", "/run/wardline-install.lock", "true"]);
    expect(await lab.version()).toBe("1.2.0");
    expect(await lab.agentPid()).toBeGreaterThan(0);
    await upgrade(packages.make({ version: "1.4.0" }));
    expect(await lab.version()).toBe("1.4.0");
  });

  it("comes to its end when only the confirmation over the new connection was cut", async () => {
    const next = packages.make({ version: "1.5.0" });
    const progress = new Progress();
    progress.onStep = (name) => {
      if (name === "handshake") setImmediate(() => lab.connector.cut());
    };
    await upgrade(next, progress).catch(() => {});
    expect(await lab.version()).toBe("1.5.0");
    await upgrade(next);
    expect(await lab.version(`${AGENT}.previous`)).toBe("1.4.0");
  });
});
