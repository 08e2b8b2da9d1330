/**
 * Asks the kernel about packets on a slot that decides nothing yet, and compares each answer with the same tables walked
 * in TypeScript. The program that answers is not attached to anything and leaves no trace.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  type ClassEntry,
  formatAddress,
  type HostProgram,
  lookup,
  type PortEntry,
  PROTOCOL,
  type ProgramPacket,
} from "@wardline/domain/policy";
import { testRun } from "../../linux/bpf/libbpf.ts";
import { RESULT_DENY, RESULT_OBSERVE_ONLY } from "./layout.ts";
import { buildProbePacket, isFaithfulProbe } from "./probePacket.ts";

const SK_BUFF_SIZE = 192;
const CB_OFFSET = 48;
const MAX_CLASSES = 48;
const MAX_PORTS_PER_CLASS = 4;

export interface KernelAnswer {
  readonly decision: number;
  readonly deny: boolean;
  readonly observeOnly: boolean;
}

/** What the tables of `slot` say about a packet. Changes nothing in the kernel. */
export function askKernel(selftestFd: number, slot: 0 | 1, packet: ProgramPacket): KernelAnswer {
  const context = Buffer.alloc(SK_BUFF_SIZE);
  context.writeUInt32LE(slot | (packet.direction === "egress" ? 2 : 0), CB_OFFSET);
  context.writeUInt32LE(packet.set, CB_OFFSET + 4);
  const answer = testRun(selftestFd, buildProbePacket(packet), context).context;
  if (answer.readUInt32LE(CB_OFFSET + 16) !== 1)
    throw new Failure({ code: ErrorCode.SELF_TEST_FAILED, message: "The kernel's self-test program gave no answer." });
  const flags = answer.readUInt32LE(CB_OFFSET + 12);
  return {
    decision: answer.readUInt32LE(CB_OFFSET + 8),
    deny: (flags & RESULT_DENY) !== 0,
    observeOnly: (flags & RESULT_OBSERVE_ONLY) !== 0,
  };
}

/** At most `limit` members, spread evenly. */
function spread<T>(items: readonly T[], limit: number): readonly T[] {
  if (items.length <= limit) return items;
  return Array.from({ length: limit }, (_, position) => items[Math.floor((position * items.length) / limit)] as T);
}

function remoteOfAtom(program: HostProgram, atom: number): string {
  const entry = [...program.addresses4, ...program.addresses6].find((address) => address.atom === atom);
  return entry === undefined ? "203.0.113.77" : formatAddress(entry.prefix);
}

function packetsOf(program: HostProgram, entry: ClassEntry, ports: readonly PortEntry[]): readonly ProgramPacket[] {
  const remote = remoteOfAtom(program, entry.atom);
  const base = { set: entry.set, direction: entry.direction, remote };
  const services = spread(ports, MAX_PORTS_PER_CLASS).map(({ protocol, port, portBits }) => ({
    protocol: protocol ?? PROTOCOL.tcp,
    port: portBits === 0 && protocol !== null ? 1 : port,
  }));
  return [...services, { protocol: PROTOCOL.udp, port: 65_535 }].map((service) => ({ ...base, ...service }));
}

/** Vectors that reach classes and port entries all over the program. Deterministic. */
export function selfTestPackets(program: HostProgram): readonly ProgramPacket[] {
  const portsByClass = Map.groupBy(program.ports, (port) => port.classId);
  return spread(program.classes, MAX_CLASSES)
    .flatMap((entry) => packetsOf(program, entry, portsByClass.get(entry.classId) ?? []))
    .filter(isFaithfulProbe);
}

/** Throws `Failure` SELF_TEST_FAILED at the first answer that differs. Returns how many packets were asked. */
export function runSelfTest(selftestFd: number, slot: 0 | 1, program: HostProgram): number {
  const packets = selfTestPackets(program);
  for (const packet of packets) {
    const expected = lookup(program, packet);
    const answer = askKernel(selftestFd, slot, packet);
    if (answer.decision === expected.index && answer.deny === (expected.verdict === "deny")) continue;
    throw new Failure({
      code: ErrorCode.SELF_TEST_FAILED,
      message:
        `The kernel decides ${packet.direction} ${packet.remote} protocol ${packet.protocol} port ${packet.port} by ` +
        `decision ${answer.decision}, the compiled tables by ${expected.index}. Nothing was changed.`,
      hint: "This is a defect. Keep the policies that show it and report them.",
    });
  }
  return packets.length;
}
