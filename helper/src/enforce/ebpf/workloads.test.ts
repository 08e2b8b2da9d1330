import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { BUILTIN_DECISIONS } from "@wardline/domain/policy";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { type HandProgramOptions, handProgram } from "../../testing/handProgram.ts";
import { KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "../../testing/kernelLab.ts";
import type { SocketPeer } from "../../testing/socketPeer.ts";
import type { FlowEvent } from "../enforcer.ts";
import { EbpfEnforcer } from "./ebpfEnforcer.ts";

const TCP = 6;
const problem = kernelLabProblem();

/** The host may reach 8001, the unit 8002, and neither the other's. */
const PORT_EACH: HandProgramOptions = {
  rules: [
    { direction: "egress", remote: null, protocol: TCP, port: 8001, verdict: "allow", set: 0 },
    { direction: "egress", remote: null, protocol: TCP, port: 8002, verdict: "allow", set: 1 },
  ],
  workloads: [{ kind: "systemdUnit", unit: "web.service" }],
};

/** Less than what new cgroups wait for an agent that does not look at them, as this one while it runs a shell. */
const TRIED_SECONDS = 0.3;

describe.skipIf(problem !== null)(`workloads${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: KernelLab;
  let enforcer: EbpfEnforcer;
  let peer: SocketPeer;
  let generation = 0;
  let events: FlowEvent[] = [];

  async function apply(options: HandProgramOptions) {
    generation += 1;
    const prepared = await enforcer.prepare(handProgram(options), generation);
    enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
  }

  function newEnforcer(): EbpfEnforcer {
    return new EbpfEnforcer({ cgroupRoot: lab.cgroupRoot, bpffsDir: lab.bpffsDir, objectBytes: readBpfObject() });
  }

  /**
   * Makes a cgroup and connects from it at once, while this process, and so the agent in it, does nothing at all.
   * "connected", "refused" or "silence" within `waitSeconds`.
   */
  function connectFromNewCgroup(path: string, port: number, waitSeconds: number): string {
    const directory = join(lab.cgroupRoot, path);
    // The clock starts when the shell is up and tries, not when a busy machine begins to start it.
    const script = `mkdir -p ${directory} && echo $$ > ${directory}/cgroup.procs
      ( exec 3<>/dev/tcp/${PEER_ADDRESS[4]}/${port}; echo $? ) 2>/dev/null &
      sleep ${waitSeconds}; kill $! 2>/dev/null; wait`;
    const said = execFileSync("nsenter", [`--net=${lab.hostNamespace}`, "bash", "-c", script])
      .toString()
      .trim();
    return said === "0" ? "connected" : said === "" ? "silence" : `status ${said}`;
  }

  beforeAll(async () => {
    lab = new KernelLab();
    enforcer = newEnforcer();
    await enforcer.open();
    enforcer.onEvents((more) => void events.push(...more));
    peer = await lab.startSocketPeer("peer");
    for (const port of [8001, 8002]) await peer.listenTcp(port);
  });

  afterEach(() => {
    enforcer.drainEvents();
    events = [];
  });

  afterAll(async () => {
    await enforcer.release();
    await lab.close();
  });

  it("are never judged as the host, not even in the first moment of their cgroup", async () => {
    await apply(PORT_EACH);
    for (let attempt = 0; attempt < 3; attempt++) {
      const unit = `run-${attempt}.slice/web.service`;
      lab.makeCgroup(unit);
      // The host may reach this port and the unit may not: a connection would be a leak.
      expect(connectFromNewCgroup(unit, 8001, TRIED_SECONDS)).toBe("silence");
    }
    enforcer.drainEvents();
    const denied = events.filter(({ kind }) => kind === "deny");
    expect(denied.length).toBeGreaterThan(0);
    const indexes = new Set(denied.map(({ decision }) => decision));
    expect(indexes).toContain(BUILTIN_DECISIONS.unsettledWorkload.index);
  });

  it("get their own rules within milliseconds: the first retry of a connection finds them", async () => {
    await apply(PORT_EACH);
    const unit = "late.slice/web.service";
    lab.makeCgroup(unit);
    const web = await lab.startSocketPeer("host", join(lab.cgroupRoot, unit));
    expect(await web.connectTcp("own", PEER_ADDRESS[4], 8002, 300)).toBe("ok");
    expect(await web.connectTcp("other", PEER_ADDRESS[4], 8001, 300)).toBe("timeout");
    await web.disconnect("own");
  });

  it("keep what a cgroup below theirs opens", async () => {
    await apply(PORT_EACH);
    const inner = "deep.slice/web.service/a/b/c";
    lab.makeCgroup(inner);
    const web = await lab.startSocketPeer("host", join(lab.cgroupRoot, inner));
    expect(await web.connectTcp("own", PEER_ADDRESS[4], 8002, 300)).toBe("ok");
    await web.disconnect("own");
  });

  it("do not make other new cgroups wait for longer than it takes to look at them", async () => {
    await apply(PORT_EACH);
    lab.makeCgroup("session-1.scope");
    const session = await lab.startSocketPeer("host", join(lab.cgroupRoot, "session-1.scope"));
    expect(await session.connectTcp("host's", PEER_ADDRESS[4], 8001, 300)).toBe("ok");
    await session.disconnect("host's");
  });

  it("do not hold up anybody once the agent is gone", async () => {
    await apply(PORT_EACH);
    await enforcer.close();
    try {
      lab.makeCgroup("orphan.scope");
      await expect
        .poll(() => connectFromNewCgroup("orphan.scope", 8001, TRIED_SECONDS), { timeout: 40_000 })
        .toBe("connected");
    } finally {
      enforcer = newEnforcer();
      await enforcer.open();
      enforcer.onEvents((more) => void events.push(...more));
    }
  });

  it("are followed again by the next process once it knows the program", async () => {
    enforcer.recall(handProgram(PORT_EACH), generation);
    enforcer.refreshWorkloads();
    const unit = "again.slice/web.service";
    lab.makeCgroup(unit);
    expect(connectFromNewCgroup(unit, 8001, TRIED_SECONDS)).toBe("silence");
  });
});
