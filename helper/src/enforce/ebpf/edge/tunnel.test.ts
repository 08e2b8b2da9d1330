import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EdgeLab } from "../../../testing/edgeLab.ts";
import { type HandProgramOptions, handProgram } from "../../../testing/handProgram.ts";
import { kernelLabProblem, readBpfObject } from "../../../testing/kernelLab.ts";
import { ipv4, TCP_FLAG, tcp, udp } from "../../../testing/rawPacket.ts";
import { EbpfEnforcer } from "../ebpfEnforcer.ts";

const TUNNEL_SOURCE = fileURLToPath(new URL("../../../testing/native/tunnel.c", import.meta.url));
const problem = kernelLabProblem() ?? (existsSync("/dev/net/tun") ? null : "needs /dev/net/tun");
const [ICMP, TCP, UDP] = [1, 6, 17];
const EVERYTHING: HandProgramOptions = { rules: [], otherwise: { ingress: "allow", egress: "allow" } };

describe.skipIf(problem !== null)(`packets of a tunnel${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: EdgeLab;
  let enforcer: EbpfEnforcer;
  let tunnel: ChildProcessWithoutNullStreams;
  let received: Buffer;

  async function apply(options: HandProgramOptions): Promise<void> {
    const prepared = await enforcer.prepare(handProgram(options), enforcer.state().generation + 1);
    enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
  }

  function send(packet: Buffer): void {
    withChecksums(packet);
    const head = Buffer.alloc(2);
    head.writeUInt16BE(packet.length);
    tunnel.stdin.write(Buffer.concat([head, packet]));
  }

  /** Protocols of the packets that came back, without what the interface says by itself over IPv6. */
  function protocols(): readonly number[] {
    const found: number[] = [];
    for (let at = 0; at + 2 <= received.length; at += 2 + received.readUInt16BE(at))
      if ((received[at + 2] ?? 0) >> 4 === 4) found.push(received[at + 2 + 9] ?? 0);
    return found;
  }

  beforeEach(async () => {
    lab = new EdgeLab();
    enforcer = new EbpfEnforcer({
      cgroupRoot: lab.kernel.cgroupRoot,
      bpffsDir: lab.kernel.bpffsDir,
      objectBytes: readBpfObject(),
      networkNamespace: lab.kernel.hostNamespace,
      edge: {},
    });
    await enforcer.open();
    const program = join(lab.kernel.directory, "tunnel");
    execFileSync("clang", ["-O1", "-o", program, TUNNEL_SOURCE]);
    received = Buffer.alloc(0);
    tunnel = spawn("nsenter", [`--net=${lab.kernel.hostNamespace}`, program, "tun0"]);
    tunnel.stdout.on("data", (more: Buffer) => {
      received = Buffer.concat([received, more]);
    });
    await once(tunnel.stdout, "data");
    received = Buffer.alloc(0);
    lab.hostIp("addr", "add", "10.80.0.2/24", "dev", "tun0");
    lab.hostIp("link", "set", "tun0", "up");
    await vi.waitFor(() => expect(enforcer.edgeInterfaces()).toContain("tun0 (tcx)"), { timeout: 40_000 });
  });

  afterEach(async () => {
    const ended = once(tunnel, "exit");
    tunnel.stdin.end();
    await ended;
    await enforcer.release();
    await lab.close();
  });

  it("are judged without an Ethernet header in front", async () => {
    const closedTcp = (): void => send(ipv4("10.80.0.1", "10.80.0.2", TCP, tcp(40_000, 7900, TCP_FLAG.syn)));
    const closedUdp = (): void => send(ipv4("10.80.0.1", "10.80.0.2", UDP, udp(40_000, 7900)));
    await apply(EVERYTHING);
    closedTcp();
    closedUdp();
    await expect.poll(protocols).toEqual([TCP, ICMP]);
    const denied: { destinationPort: number; hook: string }[] = [];
    enforcer.onEvents((events) => void denied.push(...events.filter(({ kind }) => kind === "deny")));
    await apply({ rules: [] });
    closedTcp();
    closedUdp();
    const drained = () => {
      enforcer.drainEvents();
      return denied.map(({ hook, destinationPort }) => `${hook} ${destinationPort}`);
    };
    await expect.poll(drained).toEqual(["edge 7900", "edge 7900"]);
    expect(protocols()).toEqual([TCP, ICMP]);
  });
});

function checksum(bytes: Buffer, start = 0): number {
  let sum = start;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Fills in the checksums of an IPv4 header and of TCP behind it. UDP may go without. */
function withChecksums(packet: Buffer): void {
  packet.writeUInt16BE(checksum(packet.subarray(0, 20)), 10);
  if (packet[9] !== TCP) return;
  const pseudo = Buffer.concat([packet.subarray(12, 20), Buffer.from([0, TCP, 0, packet.length - 20])]);
  packet.writeUInt16BE(checksum(Buffer.concat([pseudo, packet.subarray(20)])), 36);
}
