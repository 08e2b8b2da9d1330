import { closeSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { monotonicTimeNs } from "../../linux/bootClock.ts";
import { createMap, pin, updateElement } from "../../linux/bpf/libbpf.ts";
import { ensureBpffsDirectory } from "../../linux/bpffs.ts";
import { HAND_DECISION, handProgram } from "../../testing/handProgram.ts";
import { kernelLabProblem } from "../../testing/kernelLab.ts";
import { ProgramRunner } from "../../testing/programRunner.ts";
import { addressBytes, ipv4, TCP_FLAG, tcp } from "../../testing/rawPacket.ts";
import { FLOW_FLAG, FLOW_KEY } from "./layout.ts";

const LRU_HASH = 9;
const [LOCAL, REMOTE] = ["198.51.100.1", "203.0.113.9"];
/** The service has the higher port: a guess by the lower one would take it for the client. */
const SERVICE = 8443;
const CLIENT = 1024;
const problem = kernelLabProblem();

describe.skipIf(problem !== null)(`flows of the layout before${problem === null ? "" : ` (${problem})`}`, () => {
  let runner: ProgramRunner;

  beforeEach(() => {
    runner = new ProgramRunner();
  });
  afterEach(() => runner.close());

  /** One connection to the service, as layout 3 wrote it. */
  function layFormerTree(): void {
    ensureBpffsDirectory(runner.bpffsDir);
    mkdirSync(join(runner.bpffsDir, "layout-3"));
    const fd = createMap({ type: LRU_HASH, name: "former", keySize: FLOW_KEY.size, valueSize: 56, maxEntries: 64 });
    const mapped = (address: string) =>
      Buffer.concat([Buffer.alloc(10), Buffer.from([255, 255]), addressBytes(address)]);
    const key = Buffer.concat([mapped(LOCAL), mapped(REMOTE), Buffer.alloc(8)]);
    key.writeUInt16LE(SERVICE, FLOW_KEY.localPort);
    key.writeUInt16LE(CLIENT, FLOW_KEY.remotePort);
    key.writeUInt8(6, FLOW_KEY.protocol);
    const flow = Buffer.alloc(56);
    flow.writeBigUInt64LE(monotonicTimeNs(), 0);
    flow.writeBigUInt64LE(900n, 8);
    flow.writeUInt32LE(7, 32);
    flow.writeUInt32LE(FLOW_FLAG.answered, 44);
    flow.writeUInt16LE(SERVICE, 48);
    updateElement(fd, key, flow);
    pin(fd, join(runner.bpffsDir, "layout-3", "wl_flows"));
    closeSync(fd);
  }

  async function reopen(): Promise<boolean> {
    await runner.open();
    const rule = { direction: "ingress", remote: null, protocol: 6, port: SERVICE, verdict: "allow" } as const;
    const prepared = await runner.enforcer.prepare(handProgram({ rules: [rule] }), 1);
    runner.enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
    const answer = ipv4(LOCAL, REMOTE, 6, tcp(SERVICE, CLIENT, TCP_FLAG.ack));
    return runner.run("egress", answer).returnValue === 1;
  }

  it("are known to the new tree by who opened them, and are judged by its program", async () => {
    layFormerTree();
    expect(await reopen()).toBe(true);
    const living = [];
    for await (const batch of runner.enforcer.flowProgress(0n)) living.push(...batch);
    expect(living).toMatchObject([
      { direction: "ingress", sourcePort: CLIENT, destinationPort: SERVICE, decision: HAND_DECISION.firstRule },
    ]);
    expect(living).toMatchObject([{ packets: 1n, originatorBytes: 0n, responderBytes: 40n, generation: 1 }]);
  });

  it("would be taken for others without", async () => {
    expect(await reopen()).toBe(false);
  });
});
