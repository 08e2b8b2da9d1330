/**
 * What `wardline-agent test-run` reads and writes, one JSON document a line: a compiled program with packets for it, and
 * the kernel's answer to each packet. Both ends use these functions; what comes in is checked and bounded.
 */
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { canonicalAddress } from "../address.ts";
import type { Direction } from "../model.ts";
import {
  type AddressEntry,
  type ClassEntry,
  type Decision,
  type HostProgram,
  type PortEntry,
  PROGRAM_FORMAT_VERSION,
  type ProgramPacket,
} from "../program.ts";
import type { ProgramQuestions } from "./engines.ts";
import { asBoolean, asInteger, asList, asObject, asOneOf, asText, type Located, parseJson, wrong } from "./json.ts";

/** The tables of a program without the words for people. `HostProgram` is one. */
export interface TestProgram
  extends Pick<HostProgram, "formatVersion" | "addresses4" | "addresses6" | "classes" | "ports"> {
  readonly sets: readonly { readonly id: number }[];
  readonly decisions: readonly Pick<Decision, "verdict" | "observeOnly">[];
}

export interface TestRunRequest {
  readonly program: TestProgram;
  /** `port` is what the packet carries. */
  readonly packets: readonly ProgramPacket[];
}

/** What the kernel says about one packet. */
export interface TestRunAnswer {
  readonly decision: number;
  readonly deny: boolean;
  readonly observeOnly: boolean;
}

export const TEST_RUN_LIMITS = {
  lineLength: 64 * 1024 * 1024,
  entries: 1_000_000,
  packets: 100_000,
} as const;

const MAX_ID = 0x7fff_ffff;

/** One line, without its end. The kernel is given the packets as they are. */
export function encodeTestRunRequest({ program, packets }: ProgramQuestions): string {
  const { formatVersion, classes, ports } = program;
  const addressText = ({ prefix, ...rest }: AddressEntry) => ({ prefix: bytesToHex(prefix), ...rest });
  return JSON.stringify({
    program: {
      formatVersion,
      sets: program.sets.map(({ id }) => id),
      addresses: [...program.addresses4, ...program.addresses6].map(addressText),
      classes,
      ports,
      decisions: program.decisions.map(({ verdict, observeOnly }) => ({ verdict, observeOnly })),
    },
    packets: packets.map(({ packetPort: port, ...packet }) => ({ ...packet, port })),
  });
}

/** `name` stands for the line in messages. Throws `INVALID_ARGUMENT`. */
export function decodeTestRunRequest(name: string, line: string): TestRunRequest {
  const fields = asObject(parseJson(name, line), ["program", "packets"], []);
  return {
    program: readProgram(fields.program),
    packets: asList(fields.packets, { max: TEST_RUN_LIMITS.packets }).map(readPacket),
  };
}

const PROGRAM_FIELDS = ["formatVersion", "sets", "addresses", "classes", "ports", "decisions"] as const;

function readProgram(at: Located): TestProgram {
  const fields = asObject(at, PROGRAM_FIELDS, []);
  const list = (field: Located) => asList(field, { max: TEST_RUN_LIMITS.entries });
  asInteger(fields.formatVersion, PROGRAM_FORMAT_VERSION, PROGRAM_FORMAT_VERSION);
  const addresses = list(fields.addresses).map(readAddressEntry);
  return {
    formatVersion: PROGRAM_FORMAT_VERSION,
    sets: list(fields.sets).map((set) => ({ id: asInteger(set, 0, MAX_ID) })),
    addresses4: addresses.filter(({ prefix }) => prefix.length === 4),
    addresses6: addresses.filter(({ prefix }) => prefix.length === 16),
    classes: list(fields.classes).map(readClassEntry),
    ports: list(fields.ports).map(readPortEntry),
    decisions: list(fields.decisions).map(readDecision),
  };
}

function readDirection(at: Located): Direction {
  return asOneOf(at, ["ingress", "egress"]);
}

function readAddressEntry(at: Located): AddressEntry {
  const fields = asObject(at, ["prefix", "prefixLength", "atom"], []);
  const hex = asText(fields.prefix, 32);
  if (!/^([0-9a-f]{8}|[0-9a-f]{32})$/.test(hex)) throw wrong(fields.prefix, "must be 4 or 16 bytes in hex");
  const prefix = hexToBytes(hex);
  const prefixLength = asInteger(fields.prefixLength, 0, prefix.length * 8);
  return { prefix, prefixLength, atom: asInteger(fields.atom, 0, MAX_ID) };
}

function readClassEntry(at: Located): ClassEntry {
  const fields = asObject(at, ["set", "direction", "atom", "classId"], []);
  return {
    set: asInteger(fields.set, 0, MAX_ID),
    direction: readDirection(fields.direction),
    atom: asInteger(fields.atom, 0, MAX_ID),
    classId: asInteger(fields.classId, 0, MAX_ID),
  };
}

function readPortEntry(at: Located): PortEntry {
  const fields = asObject(at, ["classId", "protocol", "port", "portBits", "decision"], []);
  return {
    classId: asInteger(fields.classId, 0, MAX_ID),
    protocol: fields.protocol.value === null ? null : asInteger(fields.protocol, 0, 255),
    port: asInteger(fields.port, 0, 0xffff),
    portBits: asInteger(fields.portBits, 0, 16),
    decision: asInteger(fields.decision, 0, MAX_ID),
  };
}

function readDecision(at: Located): TestProgram["decisions"][number] {
  const fields = asObject(at, ["verdict", "observeOnly"], []);
  return { verdict: asOneOf(fields.verdict, ["allow", "deny"]), observeOnly: asBoolean(fields.observeOnly) };
}

function readPacket(at: Located): ProgramPacket {
  const fields = asObject(at, ["set", "direction", "remote", "protocol", "port"], ["local"]);
  const remote = readAddress(fields.remote);
  const local = fields.local ? readAddress(fields.local) : undefined;
  if (local !== undefined && local.includes(":") !== remote.includes(":")) {
    throw wrong(at, "must have two addresses of one family");
  }
  return {
    set: asInteger(fields.set, 0, MAX_ID),
    direction: readDirection(fields.direction),
    remote,
    ...(local === undefined ? {} : { local }),
    protocol: asInteger(fields.protocol, 0, 255),
    port: asInteger(fields.port, 0, 0xffff),
  };
}

function readAddress(at: Located): string {
  const address = canonicalAddress(asText(at, 64));
  if (address === null) throw wrong(at, "must be an IPv4 or IPv6 address");
  return address;
}

/** One line, without its end. */
export function encodeTestRunAnswers(answers: readonly TestRunAnswer[]): string {
  return JSON.stringify({ answers });
}

/** Throws `INVALID_ARGUMENT` for a line that is not exactly `count` answers. */
export function decodeTestRunAnswers(name: string, line: string, count: number): readonly TestRunAnswer[] {
  const fields = asObject(parseJson(name, line), ["answers"], []);
  return asList(fields.answers, { min: count, max: count }).map((at) => {
    const parts = asObject(at, ["decision", "deny", "observeOnly"], []);
    return {
      decision: asInteger(parts.decision, 0, MAX_ID),
      deny: asBoolean(parts.deny),
      observeOnly: asBoolean(parts.observeOnly),
    };
  });
}
