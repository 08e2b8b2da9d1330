/** A HostProgram as the packed keys and values of the kernel's tables. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  type AddressEntry,
  type Decision,
  FIRST_RULE_DECISION,
  type HostProgram,
  type PolicySet,
  PROGRAM_FORMAT_VERSION,
} from "@wardline/domain/policy";
import { MAX_DECISIONS, PORT_KEY_BITS, RESULT_DENY, RESULT_OBSERVE_ONLY, TRIE_KEY, TRIE_VALUE } from "./layout.ts";

export interface PackedTable {
  readonly keys: Buffer;
  readonly values: Buffer;
  readonly count: number;
}

/** What of a program goes into the kernel. */
export interface PackableProgram
  extends Pick<HostProgram, "formatVersion" | "addresses4" | "addresses6" | "classes" | "ports"> {
  readonly sets: readonly Pick<PolicySet, "id">[];
  readonly decisions: readonly Pick<Decision, "verdict" | "observeOnly">[];
}

export interface TableImage {
  readonly addresses: PackedTable;
  readonly ports: PackedTable;
  readonly classes: PackedTable;
  readonly decisionCount: number;
  /** Sets other than the host's own. */
  readonly workloadSets: number;
}

const MAPPED_BITS = 96;
const MAX_ATOM = 0x7fff_ffff;

function refuse(message: string): never {
  throw new Failure({ code: ErrorCode.POLICY_UNSUPPORTED, message, hint: "This is a defect of the compiler." });
}

/** Packs the tables. Throws `Failure` POLICY_UNSUPPORTED for a program that the kernel could not answer every packet from. */
export function packProgram(program: PackableProgram): TableImage {
  if (program.formatVersion !== PROGRAM_FORMAT_VERSION)
    refuse(`The program has format ${program.formatVersion}; this agent knows ${PROGRAM_FORMAT_VERSION}.`);
  if (program.decisions.length > MAX_DECISIONS)
    throw new Failure({
      code: ErrorCode.POLICY_UNSUPPORTED,
      message: `The policies give ${program.decisions.length} different decisions; this backend counts ${MAX_DECISIONS} at most.`,
      hint: "Merge rules that have the same peers and ports.",
    });
  checkDefaults(program);
  return {
    addresses: packAddresses(program),
    ports: packPorts(program),
    classes: packClasses(program),
    decisionCount: Math.max(program.decisions.length, FIRST_RULE_DECISION),
    workloadSets: program.sets.filter((set) => set.id !== 0).length,
  };
}

function checkDefaults(program: PackableProgram): void {
  const classKeys = new Set(program.classes.map((entry) => `${entry.set} ${entry.direction} ${entry.atom}`));
  for (const set of program.sets)
    for (const direction of ["ingress", "egress"])
      if (!classKeys.has(`${set.id} ${direction} 0`)) refuse(`Set ${set.id} has no ${direction} class for atom 0.`);
  const withDefault = new Set(program.ports.filter((port) => port.protocol === null).map((port) => port.classId));
  for (const entry of program.classes)
    if (!withDefault.has(entry.classId)) refuse(`Class ${entry.classId} has no default entry.`);
}

/**
 * IPv4 prefixes become prefixes of ::ffff:0:0/96. That range always has an entry of its own, so that an IPv4 address
 * never falls through to an IPv6 prefix such as ::/0.
 */
function packAddresses({ addresses4, addresses6 }: PackableProgram): PackedTable {
  const hasIpv4Default = addresses4.some((entry) => entry.prefixLength === 0);
  const ipv4Default: AddressEntry[] = hasIpv4Default ? [] : [{ prefix: new Uint8Array(4), prefixLength: 0, atom: 0 }];
  const entries = [...addresses4, ...ipv4Default, ...addresses6];
  const keys = Buffer.alloc(entries.length * TRIE_KEY.size);
  const values = Buffer.alloc(entries.length * TRIE_VALUE.size);
  entries.forEach(({ prefix, prefixLength, atom }, position) => {
    if (atom > MAX_ATOM) refuse(`Atom ${atom} is out of range.`);
    const key = position * TRIE_KEY.size;
    const isIpv4 = prefix.length === 4;
    keys.writeUInt32LE(isIpv4 ? MAPPED_BITS + prefixLength : prefixLength, key + TRIE_KEY.prefixBits);
    if (isIpv4) keys.writeUInt16BE(0xffff, key + TRIE_KEY.data + 10);
    keys.set(prefix, key + TRIE_KEY.data + (isIpv4 ? 12 : 0));
    values.writeUInt32LE(atom, position * TRIE_VALUE.size + TRIE_VALUE.index);
  });
  return { keys, values, count: entries.length };
}

function packPorts({ ports, decisions }: PackableProgram): PackedTable {
  const keys = Buffer.alloc(ports.length * TRIE_KEY.size);
  const values = Buffer.alloc(ports.length * TRIE_VALUE.size);
  ports.forEach((entry, position) => {
    const decision = decisions[entry.decision];
    if (decision === undefined)
      refuse(`Class ${entry.classId} names decision ${entry.decision}, which does not exist.`);
    const key = position * TRIE_KEY.size;
    const data = key + TRIE_KEY.data;
    keys.writeUInt32LE(entry.protocol === null ? 32 : PORT_KEY_BITS - 16 + entry.portBits, key + TRIE_KEY.prefixBits);
    keys.writeUInt32BE(entry.classId, data);
    keys.writeUInt8(entry.protocol ?? 0, data + 4);
    keys.writeUInt16BE(entry.port, data + 5);
    const value = position * TRIE_VALUE.size;
    const flags = (decision.verdict === "deny" ? RESULT_DENY : 0) | (decision.observeOnly ? RESULT_OBSERVE_ONLY : 0);
    values.writeUInt32LE(entry.decision, value + TRIE_VALUE.index);
    values.writeUInt32LE(flags, value + TRIE_VALUE.flags);
  });
  return { keys, values, count: ports.length };
}

function packClasses({ classes }: PackableProgram): PackedTable {
  const keys = Buffer.alloc(classes.length * 8);
  const values = Buffer.alloc(classes.length * 4);
  classes.forEach(({ set, direction, atom, classId }, position) => {
    const low = (direction === "egress" ? 0x8000_0000 : 0) + atom;
    keys.writeUInt32LE(low, position * 8);
    keys.writeUInt32LE(set, position * 8 + 4);
    values.writeUInt32LE(classId, position * 4);
  });
  return { keys, values, count: classes.length };
}
