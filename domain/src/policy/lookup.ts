/** The walk of a program's tables, step by step as the eBPF programs do it. */
import { bytesToHex } from "@noble/hashes/utils.js";
import { ErrorCode, Failure } from "../errors/index.ts";
import { parseAddress } from "./address.ts";
import { builtinDecision } from "./builtin.ts";
import type { Direction } from "./model.ts";
import {
  type AddressEntry,
  BUILTIN_DECISIONS,
  type Decision,
  type HostProgram,
  type ProgramPacket,
} from "./program.ts";

/** Answers packets from one program's tables. */
export type Lookup = (packet: ProgramPacket) => Decision;

const lookups = new WeakMap<HostProgram, Lookup>();

/**
 * Decides one packet. Throws `INVALID_ARGUMENT` when the remote address is none or the program has no such set.
 */
export function lookup(program: HostProgram, packet: ProgramPacket): Decision {
  let answer = lookups.get(program);
  if (!answer) {
    answer = createLookup(program);
    lookups.set(program, answer);
  }
  return answer(packet);
}

/** The same with the index built by the caller's choice of time. */
export function createLookup(program: HostProgram): Lookup {
  const atoms4 = createAddressTable(program.addresses4);
  const atoms6 = createAddressTable(program.addresses6);
  const classes = new Map(
    program.classes.map((entry) => [classKey(entry.set, entry.direction, entry.atom), entry.classId]),
  );
  const ports = new Map(
    program.ports.map(({ classId, protocol, port, portBits, decision }) => [
      portKey(classId, protocol, port, portBits),
      decision,
    ]),
  );
  const decisionAt = (index: number): Decision => {
    const decision = program.decisions[index];
    if (!decision) throw new Error(`the program has no decision ${index}`);
    return decision;
  };

  return ({ set, direction, remote, local, protocol, port }) => {
    const address = parseAddress(remote);
    if (!address.ok) throw invalid(`"${remote}" ${address.message}.`);
    const builtin = builtinDecision({ remote, local: local ?? null, protocol, port });
    if (builtin !== null) return decisionAt(BUILTIN_DECISIONS[builtin].index);

    const atom = (address.family === 4 ? atoms4 : atoms6)(address.bytes);
    const classId = classes.get(classKey(set, direction, atom)) ?? classes.get(classKey(set, direction, 0));
    if (classId === undefined) throw invalid(`The program of ${program.hostName} has no set ${set}.`);
    for (let bits = 16; bits >= 0; bits--) {
      const prefix = bits === 0 ? 0 : port & (0xffff << (16 - bits));
      const decision = ports.get(portKey(classId, protocol, prefix, bits));
      if (decision !== undefined) return decisionAt(decision);
    }
    const otherwise = ports.get(portKey(classId, null, 0, 0));
    if (otherwise === undefined) throw new Error(`class ${classId} has no default`);
    return decisionAt(otherwise);
  };
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}

function classKey(set: number, direction: Direction, atom: number): string {
  return `${set} ${direction} ${atom}`;
}

function portKey(classId: number, protocol: number | null, port: number, portBits: number): string {
  return `${classId} ${protocol} ${port} ${portBits}`;
}

/** Longest prefix match; 0 where no prefix matches. */
function createAddressTable(entries: readonly AddressEntry[]): (address: Uint8Array) => number {
  const byLength = new Map<number, Map<string, number>>();
  for (const { prefix, prefixLength, atom } of entries) {
    const atoms = byLength.get(prefixLength) ?? new Map<string, number>();
    byLength.set(prefixLength, atoms.set(bytesToHex(prefix), atom));
  }
  const longestFirst = [...byLength].sort(([left], [right]) => right - left);
  return (address) => {
    for (const [prefixLength, atoms] of longestFirst) {
      const atom = atoms.get(bytesToHex(address.map((byte, position) => byte & maskByte(prefixLength, position))));
      if (atom !== undefined) return atom;
    }
    return 0;
  };
}

function maskByte(prefixLength: number, position: number): number {
  const bits = Math.min(8, Math.max(0, prefixLength - position * 8));
  return (0xff << (8 - bits)) & 0xff;
}
