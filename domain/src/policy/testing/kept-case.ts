/**
 * Packets on which engines once disagreed, kept as named cases in `kept/*.json`. A fuzz test that fails prints such a
 * case, made as small as it goes: save the text under a name that says what it is about, and every engine is asked about
 * it from then on.
 */
import { readdirSync, readFileSync } from "node:fs";
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { parseAddress } from "../address.ts";
import { evaluate } from "../evaluate.ts";
import type { Policy, PolicyRule, PolicyWorld } from "../model.ts";
import { policyPort } from "../packet-port.ts";
import type { Decision, HostProgram, ProgramPacket } from "../program.ts";
import { packetToFlow } from "./packets.ts";

/** `packet.port` is what the packet carries, for ICMP `type << 8 | code`. */
export interface KeptCase {
  readonly world: PolicyWorld;
  readonly hostName: string;
  readonly packet: Omit<ProgramPacket, "set"> & { readonly subjectKey: string };
}

const KEPT = new URL("./kept/", import.meta.url);

export function readKeptCases(): readonly (KeptCase & { readonly name: string })[] {
  return readdirSync(KEPT)
    .filter((name) => name.endsWith(".json"))
    .map((name) => ({
      name: name.slice(0, -".json".length),
      ...parseKeptCase(readFileSync(new URL(name, KEPT), "utf8")),
    }));
}

/** The question that a packet asks of a program: see {@link policyPort}. */
export function questionOf(packet: ProgramPacket): ProgramPacket {
  const remote = parseAddress(packet.remote);
  if (!remote.ok) throw new Error(`${packet.remote} is not an address`);
  return { ...packet, port: policyPort(remote.family, packet.protocol, packet.port) };
}

/** What the reference decides about a packet of a set. */
export function referenceDecision(
  world: PolicyWorld,
  program: HostProgram,
  packet: ProgramPacket,
): Omit<Decision, "index"> {
  const { directions } = evaluate(world, packetToFlow(program, questionOf(packet)));
  return directions[packet.direction === "egress" ? 0 : 1].decision;
}

/** The packet of a case, as one of a set of the program of its world. */
export function keptPacket({ packet: { subjectKey, ...packet } }: KeptCase, program: HostProgram): ProgramPacket {
  const set = program.sets.find(({ endpointKey }) => endpointKey === subjectKey);
  if (!set) throw new Error(`the program has no set for ${subjectKey}`);
  return { set: set.id, ...packet };
}

/** Throws with the smallest case that the engines disagree on, ready to be kept. */
export function failWithCase(found: KeptCase, disagrees: (smaller: KeptCase) => boolean): never {
  const text = formatKeptCase(shrinkCase(found, disagrees));
  throw new Error(
    `The engines disagree. Save this as domain/src/policy/testing/kept/<what it is about>.json:\n${text}`,
  );
}

/** Leaves out policies, rules, peers, ports and endpoints as long as the engines still disagree. */
export function shrinkCase(found: KeptCase, disagrees: (smaller: KeptCase) => boolean): KeptCase {
  for (const smaller of smallerWorlds(found.world)) {
    const next = { ...found, world: smaller };
    if (stillDisagrees(next, disagrees)) return shrinkCase(next, disagrees);
  }
  return found;
}

/** A world that has become too small to be asked is no smaller case. */
function stillDisagrees(next: KeptCase, disagrees: (smaller: KeptCase) => boolean): boolean {
  try {
    return disagrees(next);
  } catch {
    return false;
  }
}

function* smallerWorlds(world: PolicyWorld): Generator<PolicyWorld> {
  for (const policies of smallerLists(world.policies, smallerPolicies)) yield { ...world, policies };
  for (const endpoints of smallerLists(world.inventory.endpoints)) {
    yield { ...world, inventory: { ...world.inventory, endpoints } };
  }
  for (const names of smallerLists([...world.inventory.domainAddresses])) {
    yield { ...world, inventory: { ...world.inventory, domainAddresses: new Map(names) } };
  }
}

function* smallerPolicies(policy: Policy): Generator<Policy> {
  for (const rules of smallerLists(policy.rules, smallerRules)) yield { ...policy, rules };
}

function* smallerRules(rule: PolicyRule): Generator<PolicyRule> {
  if (rule.peers !== null) {
    yield { ...rule, peers: null };
    for (const peers of smallerLists(rule.peers)) yield { ...rule, peers };
  }
  if (rule.ports !== null) {
    yield { ...rule, ports: null };
    for (const ports of smallerLists(rule.ports)) yield { ...rule, ports };
  }
}

/** The list without one member, and with one member made smaller. */
function* smallerLists<T>(list: readonly T[], smaller?: (member: T) => Iterable<T>): Generator<readonly T[]> {
  for (const [position, member] of list.entries()) {
    yield list.toSpliced(position, 1);
    for (const other of smaller?.(member) ?? []) yield list.with(position, other);
  }
}

/** JSON, with maps as `{"$map": [[key, value], …]}` and bytes as `{"$bytes": "hex"}`. */
export function formatKeptCase({ world, hostName, packet }: KeptCase): string {
  const replace = (_key: string, value: unknown): unknown => {
    if (value instanceof Map) return { $map: [...value] };
    if (value instanceof Uint8Array) return { $bytes: bytesToHex(value) };
    return value;
  };
  return `${JSON.stringify({ hostName, packet, world }, replace, 2)}\n`;
}

export function parseKeptCase(text: string): KeptCase {
  return JSON.parse(text, (_key, value: unknown) => {
    if (typeof value !== "object" || value === null) return value;
    if ("$map" in value) return new Map(value.$map as [unknown, unknown][]);
    if ("$bytes" in value) return hexToBytes(String(value.$bytes));
    return value;
  }) as KeptCase;
}
