/** Host programs of any size without a compiler run, and the questions that are asked of them. */
import {
  BUILTIN_DECISIONS,
  type ClassEntry,
  type Decision,
  FIRST_RULE_DECISION,
  type HostProgram,
  type PortEntry,
  type Verdict,
} from "@wardline/domain/policy";
import { DEFAULT_MAX_DECISIONS as MAX_DECISIONS } from "@wardline/helper/enforce/ebpf/counters";

/** `own`: every network has ports of its own. `shared`: all networks share 64 services, as real policies do. */
export type Shape = "own" | "shared";
export type Family = 4 | 6;

const SHARED_SERVICES = 64;
const TCP = 6;
/** 10.100.0.0, 2001:db8:: and 198.18.0.0. */
const FIRST_NETWORK_4 = 0x0a64_0000;
const FIRST_NETWORK_6 = 0x2001_0db8;
const OUTSIDE_4 = 0xc612_0000;
const PREFIX_BITS = { 4: 28, 6: 64 } as const;
const OTHER_INGRESS = FIRST_RULE_DECISION;
const OTHER_EGRESS = FIRST_RULE_DECISION + 1;
const FIRST_SERVICE = FIRST_RULE_DECISION + 2;

export interface TableProgram {
  readonly program: HostProgram;
  readonly entries: number;
}

function portOf(service: number): number {
  return 1000 + (service % 20_000);
}

function serviceOf(shape: Shape, index: number): number {
  return shape === "own" ? index : index % SHARED_SERVICES;
}

/** Writes the network of an entry, as `cidrAt` and `cidr6At` name it, plus `host`: 16 bytes. */
function writeAddress(into: Buffer, at: number, family: Family, index: number, host: number): void {
  if (family === 4) {
    into.writeUInt16BE(0xffff, at + 10);
    into.writeUInt32BE(FIRST_NETWORK_4 + index * 16 + host, at + 12);
  } else {
    into.writeUInt32BE(FIRST_NETWORK_6, at);
    into.writeUInt32BE(index, at + 4);
    into.writeUInt32BE(host, at + 12);
  }
}

/** The network of an entry as the compiler gives it: 4 or 16 bytes. */
function networkAt(family: Family, index: number): Uint8Array {
  const address = Buffer.alloc(16);
  writeAddress(address, 0, family, index, 0);
  return Uint8Array.from(family === 4 ? address.subarray(12) : address);
}

/** An address in none of the networks. */
function writeMissing(into: Buffer, at: number, family: Family, index: number): void {
  if (family === 4) {
    into.writeUInt16BE(0xffff, at + 10);
    into.writeUInt32BE(OUTSIDE_4 + (index & 0xffff), at + 12);
  } else {
    into.writeUInt32BE(FIRST_NETWORK_6 + 1, at);
    into.writeUInt32BE(index, at + 12);
  }
}

/** Ingress from `count` networks is allowed, each on its service's port; everything else is denied. */
export function tableProgram(count: number, family: Family, shape: Shape): TableProgram {
  const services = shape === "own" ? count : Math.min(count, SHARED_SERVICES);
  const decisions = Math.min(services, MAX_DECISIONS - FIRST_SERVICE);
  const addresses = Array.from({ length: count }, (_, index) => {
    return { prefix: networkAt(family, index), prefixLength: PREFIX_BITS[family], atom: 1 + serviceOf(shape, index) };
  });
  const classes: ClassEntry[] = [
    { set: 0, direction: "ingress", atom: 0, classId: 1 },
    { set: 0, direction: "egress", atom: 0, classId: 2 },
  ];
  const everything = (classId: number, decision: number): PortEntry => {
    return { classId, protocol: null, port: 0, portBits: 0, decision };
  };
  const ports: PortEntry[] = [everything(1, OTHER_INGRESS), everything(2, OTHER_EGRESS)];
  for (let service = 0; service < services; service++) {
    const classId = 3 + service;
    classes.push({ set: 0, direction: "ingress", atom: 1 + service, classId });
    const decision = FIRST_SERVICE + (service % decisions);
    ports.push(everything(classId, OTHER_INGRESS), {
      classId,
      protocol: TCP,
      port: portOf(service),
      portBits: 16,
      decision,
    });
  }
  const program: HostProgram = {
    formatVersion: 1,
    hostName: "bench",
    digest: `${shape}${family}${count}`.padEnd(64, "0").replace(/[^0-9a-f]/g, "0"),
    sets: [{ id: 0, endpointKey: "Host/bench", match: null }],
    addresses4: family === 4 ? addresses : [],
    addresses6: family === 6 ? addresses : [],
    classes,
    ports,
    decisions: allDecisions(decisions),
  };
  return { program, entries: addresses.length + classes.length + ports.length };
}

function allDecisions(count: number): Decision[] {
  const builtins = Object.values(BUILTIN_DECISIONS);
  return Array.from({ length: FIRST_SERVICE + count }, (_, index) => {
    const verdict: Verdict =
      index < FIRST_RULE_DECISION ? (builtins[index]?.verdict ?? "allow") : index < FIRST_SERVICE ? "deny" : "allow";
    const id = index.toString(16).padStart(16, "0");
    return {
      index,
      id,
      verdict,
      observeOnly: false,
      reason: "rule",
      tier: null,
      policyKeys: [],
      rule: null,
      source: null,
    };
  });
}

/** Which entries are asked for, one after the other. */
export type Order = "random" | "zipf";
/** `hit`: allowed by its entry. `deny`: the entry is found, its port is not allowed. `miss`: no entry. */
export type Outcome = "hit" | "deny" | "miss";

/** Cumulative weights 1/rank; a few entries get most questions, as a few peers get most traffic. */
function zipfSampler(count: number): () => number {
  const cumulative = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank++) cumulative[rank] = sum += 1 / (rank + 1);
  return () => {
    const wanted = Math.random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulative[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** Packed `struct question`s: 16 bytes of address, port in host order, protocol, padding to a multiple of 8. */
export function packQuestions(
  length: number,
  { count, family, shape }: { count: number; family: Family; shape: Shape },
  order: Order,
  outcome: Outcome,
): Buffer {
  const questions = Buffer.alloc(length * QUESTION_BYTES);
  const pick = order === "zipf" ? zipfSampler(count) : () => Math.floor(Math.random() * count);
  // Ranks are spread over the tables: the most frequent entries are not neighbours.
  const spread = (rank: number): number => (order === "zipf" ? (rank * 2_654_435_761) % count : rank);
  for (let position = 0; position < length; position++) {
    const index = spread(pick());
    const at = position * QUESTION_BYTES;
    if (outcome === "miss") writeMissing(questions, at, family, position);
    else writeAddress(questions, at, family, index, 1);
    questions.writeUInt16LE(outcome === "deny" ? 1 : portOf(serviceOf(shape, index)), at + 16);
    questions.writeUInt8(TCP, at + 18);
  }
  return questions;
}

export const QUESTION_BYTES = 24;

/** Packed `struct linear_rule`s of the same networks and ports. */
export function packLinearRules(count: number, family: Family, shape: Shape): Buffer {
  const rules = Buffer.alloc(count * LINEAR_RULE_BYTES);
  const mask = Buffer.alloc(16, 0xff);
  if (family === 4) mask[15] = 0xf0;
  else mask.fill(0, 8);
  for (let index = 0; index < count; index++) {
    const at = index * LINEAR_RULE_BYTES;
    const port = portOf(serviceOf(shape, index));
    writeAddress(rules, at, family, index, 0);
    rules.set(mask, at + 16);
    rules.writeUInt16LE(port, at + 32);
    rules.writeUInt16LE(port, at + 34);
    rules.writeUInt32LE(FIRST_SERVICE, at + 36);
  }
  return rules;
}

export const LINEAR_RULE_BYTES = 40;

/** One address inside each network, packed. */
export function packAddresses(count: number, family: Family): Buffer {
  const addresses = Buffer.alloc(count * 16);
  for (let index = 0; index < count; index++) writeAddress(addresses, index * 16, family, index, 1);
  return addresses;
}
