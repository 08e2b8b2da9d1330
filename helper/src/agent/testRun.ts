/**
 * `wardline-agent test-run`: answers packets by the kernel's own programs, from tables that it is given. Nothing is
 * attached or pinned, no file is written, and the end of the input is the end of everything.
 */
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { decodeTestRunRequest, encodeTestRunAnswers, TEST_RUN_LIMITS } from "@wardline/domain/policy/vectors";
import { DetachedTables } from "../enforce/ebpf/detachedTables.ts";
import { canBeBuilt } from "../enforce/ebpf/probePacket.ts";
import { libbpfProblem } from "../linux/bpf/libbpf.ts";
import { readBpfObject } from "./bpfObject.ts";

/** The kernel cannot be asked on this machine or by this user: exit code 3. */
export class KernelUnavailable extends Error {}

function openTables(): DetachedTables {
  if (process.platform !== "linux") throw new KernelUnavailable(`eBPF needs Linux; this is ${process.platform}.`);
  if (process.geteuid?.() !== 0) throw new KernelUnavailable("Asking the kernel needs root.");
  const problem = libbpfProblem();
  if (problem !== null) throw new KernelUnavailable(`${problem}.`);
  const objectBytes = readBpfObject();
  if (objectBytes === null) throw new KernelUnavailable("The BPF object is missing; build it with make -C bpf.");
  try {
    return new DetachedTables(objectBytes);
  } catch (error) {
    if (error instanceof Failure) throw new KernelUnavailable(error.message, { cause: error });
    throw error;
  }
}

/**
 * Reads requests line by line and writes one line of answers for each.
 *
 * Throws {@link KernelUnavailable}; `Failure` INVALID_ARGUMENT with the line and the reason for input that is not in the
 * format, POLICY_UNSUPPORTED for tables that the kernel could not answer every packet from.
 */
export async function testRun(input: Readable, output: Writable): Promise<void> {
  const tables = openTables();
  try {
    let number = 0;
    for await (const line of linesOf(input)) {
      number += 1;
      const answers = answerLine(tables, `line ${number}`, line);
      if (!output.write(`${answers}\n`)) await once(output, "drain");
    }
  } finally {
    tables.close();
  }
}

function answerLine(tables: DetachedTables, name: string, line: string): string {
  const { program, packets } = decodeTestRunRequest(name, line);
  const unclear = packets.findIndex((packet) => !canBeBuilt(packet));
  if (unclear >= 0) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `${name}: packets[${unclear}] has a protocol that no packet of its family ends with.`,
    });
  }
  tables.load(program);
  return encodeTestRunAnswers(packets.map((packet) => tables.ask(packet)));
}

/** Lines of text, each bounded before it is whole. Empty ones are passed over. */
async function* linesOf(input: Readable): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let parts: Buffer[] = [];
  let length = 0;
  const take = (): string => {
    const text = decode(decoder, Buffer.concat(parts)).trim();
    parts = [];
    length = 0;
    return text;
  };
  for await (const chunk of input as AsyncIterable<Buffer>) {
    for (let start = 0; start < chunk.length; ) {
      const end = chunk.indexOf(0x0a, start);
      const part = chunk.subarray(start, end < 0 ? chunk.length : end);
      parts.push(part);
      length += part.length;
      if (length > TEST_RUN_LIMITS.lineLength) throw refused("A line is longer than the limit.", ErrorCode.TOO_LARGE);
      start = end < 0 ? chunk.length : end + 1;
      if (end < 0) continue;
      const line = take();
      if (line !== "") yield line;
    }
  }
  const last = take();
  if (last !== "") yield last;
}

function decode(decoder: TextDecoder, bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw refused("The input is not UTF-8.", ErrorCode.INVALID_ARGUMENT);
  }
}

function refused(message: string, code: ErrorCode): Failure {
  return new Failure({ code, message });
}
