/**
 * Asks the kernel about packets on a slot that decides nothing yet, and compares each answer with the same tables walked
 * in TypeScript. The program that answers is not attached to anything and leaves no trace.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { createLookup, type Decision, type HostProgram, type ProgramPacket } from "@wardline/domain/policy";
import { testRun } from "../../linux/bpf/libbpf.ts";
import { RESULT_DENY, RESULT_OBSERVE_ONLY } from "./layout.ts";
import { buildProbePacket } from "./probePacket.ts";
import { reduceProgram, samplePackets } from "./selfTestSample.ts";
import type { Steps } from "./steps.ts";

const SK_BUFF_SIZE = 192;
const CB_OFFSET = 48;

export interface KernelAnswer {
  readonly decision: number;
  readonly deny: boolean;
  readonly observeOnly: boolean;
}

/** What the tables of `slot` say about a packet. Changes nothing in the kernel. */
export function askKernel(selftestFd: number, slot: 0 | 1, packet: ProgramPacket): KernelAnswer {
  const context = Buffer.allocUnsafe(SK_BUFF_SIZE).fill(0);
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

/** Asked between two turns of others. */
const PACKETS_PER_STEP = 32;

/**
 * Asks about what differs from the program `before` it, and about packets all over the program. Throws `Failure`
 * SELF_TEST_FAILED at the first answer that differs. Returns how many packets were asked.
 */
export function* selfTest(
  selftestFd: number,
  slot: 0 | 1,
  program: HostProgram,
  before: HostProgram | null,
): Steps<number> {
  const packets = samplePackets(program, before);
  yield;
  const lookup = createLookup(reduceProgram(program, packets));
  yield;
  for (const [place, packet] of packets.entries()) {
    checkAnswer(packet, lookup(packet), askKernel(selftestFd, slot, packet));
    if (place % PACKETS_PER_STEP === 0) yield;
  }
  return packets.length;
}

function checkAnswer(packet: ProgramPacket, expected: Decision, answer: KernelAnswer): void {
  const isSame =
    answer.decision === expected.index &&
    answer.deny === (expected.verdict === "deny") &&
    answer.observeOnly === expected.observeOnly;
  if (isSame) return;
  throw new Failure({
    code: ErrorCode.SELF_TEST_FAILED,
    message:
      `The kernel decides ${packet.direction} ${packet.remote} protocol ${packet.protocol} port ${packet.port} by ` +
      `decision ${answer.decision}, the compiled tables by ${expected.index}. Nothing was changed.`,
    hint: "This is a defect. Keep the policies that show it and report them.",
  });
}
