/**
 * The walk of a program's tables as the eBPF programs do it: builtins, then address to atom, (set, direction, atom) to
 * class, (class, protocol, port) to decision.
 */
import { ErrorCode, Failure } from "../errors/index.ts";
import { parseAddress } from "./address.ts";
import { type AddressBytes, builtinOf } from "./builtin.ts";
import { createAtomTable, createPortTable } from "./lookup-tables.ts";
import type { Direction } from "./model.ts";
import { BUILTIN_DECISIONS, type ClassEntry, type Decision, type HostProgram, type ProgramPacket } from "./program.ts";

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

/** How many addresses are kept as read, since flows repeat them. */
const KNOWN_ADDRESSES = 65_536;

interface KnownAddress extends AddressBytes {
  readonly atom: number;
}

/** The same with the index built by the caller's choice of time; for many packets. */
export function createLookup(program: HostProgram): Lookup {
  const atomOf = createAtomTable(program.addresses4, program.addresses6);
  const classOf = createClassTable(program.classes);
  const decisionOf = createPortTable(program.ports);
  const known = new Map<string, KnownAddress>();
  const read = (text: string): KnownAddress | null => {
    const before = known.get(text);
    if (before) return before;
    const parsed = parseAddress(text);
    if (!parsed.ok) return null;
    const address = { family: parsed.family, bytes: parsed.bytes, atom: atomOf(parsed) };
    if (known.size >= KNOWN_ADDRESSES) known.clear();
    known.set(text, address);
    return address;
  };
  const decisionAt = (index: number): Decision => {
    const decision = program.decisions[index];
    if (!decision) throw new Error(`the program has no decision ${index}`);
    return decision;
  };

  return ({ set, direction, remote, local, protocol, port }) => {
    const address = read(remote);
    if (address === null) throw notAnAddress(remote);
    const builtin = builtinOf(address, local === undefined ? null : read(local), protocol, port);
    if (builtin !== null) return decisionAt(BUILTIN_DECISIONS[builtin].index);
    const classId = classOf(set, direction, address.atom);
    if (classId === undefined) throw invalid(`The program of ${program.hostName} has no set ${set}.`);
    return decisionAt(decisionOf(classId, protocol, port));
  };
}

function notAnAddress(text: string): Failure {
  const parsed = parseAddress(text);
  return invalid(`"${text}" ${parsed.ok ? "is not an address" : parsed.message}.`);
}

/** An atom without an entry of its own is treated as atom 0. */
function createClassTable(entries: readonly ClassEntry[]) {
  const bySet: { ingress: Map<number, number>; egress: Map<number, number> }[] = [];
  for (const { set, direction, atom, classId } of entries) {
    bySet[set] ??= { ingress: new Map(), egress: new Map() };
    bySet[set][direction].set(atom, classId);
  }
  return (set: number, direction: Direction, atom: number): number | undefined => {
    const own = bySet[set]?.[direction];
    return own?.get(atom) ?? own?.get(0);
  };
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}
