/**
 * From observed peers and ports to rules. The knob says how far a rule may go beyond what was seen:
 *   0           exactly the observed addresses and ports
 *   above 0     a label group when at least (1 − knob) of its members were seen; neighbouring ports become ranges, with
 *               gaps of up to ⌊4 · knob⌋ ports; addresses of nobody are put into prefixes, no shorter than 32 − 16 · knob
 *               (IPv4) and 128 − 80 · knob (IPv6) bits
 *   from 0.75   a whole namespace when at least two of its groups, and (1 − knob) of them, were seen on the same ports;
 *               everybody outside when more than 64 such prefixes were seen on a port
 */
import { cidrOfAddress, formatAddress, parseAddress } from "../address.ts";
import type { Cidr, Endpoint } from "../model.ts";
import type { LabelGroup } from "../simulate/label-groups.ts";
import type { Observation, ObservedEnd } from "./observations.ts";

export type SuggestedPeer =
  | { readonly kind: "address"; readonly cidr: Cidr; readonly name: string | null }
  | { readonly kind: "prefix"; readonly cidr: Cidr }
  | { readonly kind: "group"; readonly group: LabelGroup }
  | { readonly kind: "namespace"; readonly namespace: string }
  | { readonly kind: "outside"; readonly family: 4 | 6 };

export interface SuggestedPorts {
  readonly protocol: number;
  readonly low: number;
  readonly high: number;
}

export interface RuleDraft {
  readonly peers: readonly SuggestedPeer[];
  readonly ports: readonly SuggestedPorts[];
  /** What it was learned from. */
  readonly observations: readonly Observation[];
}

const WIDE_FROM = 0.75;
const MAX_OUTSIDE_PREFIXES = 64;
const MIN_RANGE_PORTS = 3;

interface Found {
  readonly peer: SuggestedPeer;
  readonly observations: Observation[];
}

interface Context {
  readonly knob: number;
  readonly groups: ReadonlyMap<string, LabelGroup>;
  /** Groups of each namespace, to tell whether all of them were seen. */
  readonly groupsOfNamespace: ReadonlyMap<string, number>;
  readonly endpoints: ReadonlyMap<string, Endpoint>;
}

/** @param remoteOf the end that is the peer */
export function generalize(
  observations: readonly Observation[],
  remoteOf: (observation: Observation) => ObservedEnd,
  context: Context,
): readonly RuleDraft[] {
  const byService = new Map<string, Observation[]>();
  for (const observation of observations) append(byService, `${observation.protocol} ${observation.port}`, observation);
  const byPeer = new Map<string, { found: Found; services: Set<string> }>();
  for (const [service, seen] of byService) {
    for (const found of peersOf(seen, remoteOf, context)) {
      const key = peerKey(found.peer);
      const known = byPeer.get(key);
      if (known) {
        known.services.add(service);
        known.found.observations.push(...found.observations);
      } else byPeer.set(key, { found, services: new Set([service]) });
    }
  }
  // Peers with the same ports share a rule; nothing is opened by that.
  const byServices = new Map<string, Found[]>();
  for (const { found, services } of byPeer.values()) append(byServices, [...services].sort().join(), found);
  return [...byServices]
    .map(([services, founds]) => ({
      peers: founds.map(({ peer }) => peer).sort((left, right) => (peerKey(left) < peerKey(right) ? -1 : 1)),
      ports: joinPorts(services.split(","), context.knob),
      observations: founds.flatMap(({ observations: learned }) => learned),
    }))
    .sort((left, right) => total(right.observations) - total(left.observations));
}

function total(observations: readonly Observation[]): number {
  return observations.reduce((sum, { flows }) => sum + flows, 0);
}

function peersOf(
  seen: readonly Observation[],
  remoteOf: (observation: Observation) => ObservedEnd,
  context: Context,
): readonly Found[] {
  const { knob, groups } = context;
  const byGroup = new Map<LabelGroup, Observation[]>();
  const single: Observation[] = [];
  const outside: Observation[] = [];
  for (const observation of seen) {
    const { key, isShared } = remoteOf(observation);
    const group = key === null ? undefined : groups.get(key);
    if (group && knob > 0) append(byGroup, group, observation);
    else if (key !== null || isShared) single.push(observation);
    else outside.push(observation);
  }
  const found: Found[] = [];
  for (const [group, observations] of byGroup) {
    const members = new Set(observations.map((observation) => remoteOf(observation).key));
    const isGroup = members.size >= group.members.length * (1 - knob) && group.labels.length > 0;
    if (isGroup) found.push({ peer: { kind: "group", group }, observations });
    else single.push(...observations);
  }
  return [
    ...joinNamespaces(found, context),
    ...exactly(single, remoteOf, context),
    ...(knob === 0 ? exactly(outside, remoteOf, context) : joinPrefixes(outside, remoteOf, knob)),
  ];
}

function exactly(
  observations: readonly Observation[],
  remoteOf: (observation: Observation) => ObservedEnd,
  { endpoints }: Context,
): readonly Found[] {
  const byAddress = new Map<string, Observation[]>();
  for (const observation of observations) append(byAddress, remoteOf(observation).address, observation);
  return [...byAddress].map(([address, own]) => {
    const key = own.map((observation) => remoteOf(observation).key).find((each) => each !== null) ?? null;
    const name = key === null ? null : (endpoints.get(key)?.key ?? key);
    return { peer: { kind: "address", cidr: hostPrefix(address), name }, observations: own };
  });
}

function joinNamespaces(found: readonly Found[], { knob, groupsOfNamespace }: Context): readonly Found[] {
  if (knob < WIDE_FROM) return found;
  const byNamespace = new Map<string, Found[]>();
  for (const each of found) if (each.peer.kind === "group") append(byNamespace, each.peer.group.namespace, each);
  return [...byNamespace].flatMap(([namespace, own]): readonly Found[] => {
    if (own.length < 2 || own.length < (groupsOfNamespace.get(namespace) ?? 0) * (1 - knob)) return own;
    return [{ peer: { kind: "namespace", namespace }, observations: own.flatMap(({ observations }) => observations) }];
  });
}

function joinPrefixes(
  observations: readonly Observation[],
  remoteOf: (observation: Observation) => ObservedEnd,
  knob: number,
): readonly Found[] {
  const buckets = new Map<string, Observation[]>();
  for (const observation of observations) {
    const { family, bytes } = hostPrefix(remoteOf(observation).address);
    const floor = family === 4 ? 32 - Math.floor(16 * knob) : 128 - Math.floor(80 * knob);
    append(buckets, `${family} ${formatAddress(mask(bytes, floor))}`, observation);
  }
  const found: Found[] = [];
  for (const family of [4, 6] as const) {
    const own = [...buckets].filter(([key]) => key.startsWith(`${family} `)).map(([, bucket]) => bucket);
    if (knob >= WIDE_FROM && own.length > MAX_OUTSIDE_PREFIXES) {
      found.push({ peer: { kind: "outside", family }, observations: own.flat() });
      continue;
    }
    for (const bucket of own) {
      const addresses = [...new Set(bucket.map((observation) => remoteOf(observation).address))].map(hostPrefix);
      const [first] = addresses;
      if (!first) continue;
      const prefixLength = Math.min(...addresses.map((address) => commonBits(first.bytes, address.bytes)));
      const cidr = { family, bytes: mask(first.bytes, prefixLength), prefixLength };
      found.push({ peer: { kind: "prefix", cidr }, observations: bucket });
    }
  }
  return found;
}

function joinPorts(services: readonly string[], knob: number): readonly SuggestedPorts[] {
  const byProtocol = new Map<number, number[]>();
  for (const service of services) {
    const [protocol = 0, port = 0] = service.split(" ").map(Number);
    append(byProtocol, protocol, port);
  }
  const joined: SuggestedPorts[] = [];
  for (const [protocol, ports] of [...byProtocol].sort(([left], [right]) => left - right)) {
    const hasPorts = protocol === 6 || protocol === 17 || protocol === 132;
    const gap = knob > 0 && hasPorts ? 1 + Math.floor(4 * knob) : 0;
    for (const run of runsOf(
      ports.toSorted((left, right) => left - right),
      gap,
    )) {
      const [low = 0] = run;
      if (run.length >= MIN_RANGE_PORTS) joined.push({ protocol, low, high: run.at(-1) ?? low });
      else joined.push(...run.map((port) => ({ protocol, low: port, high: port })));
    }
  }
  return joined;
}

/** Sorted numbers in runs whose neighbours differ by no more than the gap. */
function runsOf(numbers: readonly number[], gap: number): readonly (readonly number[])[] {
  const runs: number[][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last && number - (last.at(-1) ?? number) <= gap) last.push(number);
    else runs.push([number]);
  }
  return runs;
}

export function peerKey(peer: SuggestedPeer): string {
  switch (peer.kind) {
    case "address":
    case "prefix":
      return `address ${formatAddress(peer.cidr.bytes)}/${peer.cidr.prefixLength}`;
    case "group":
      return `group ${peer.group.key}`;
    case "namespace":
      return `namespace ${peer.namespace}`;
    case "outside":
      return `outside ${peer.family}`;
  }
}

export function hostPrefix(text: string): Cidr {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(`${text} was read as an address before`);
  return cidrOfAddress(address);
}

function mask(bytes: Uint8Array, prefixLength: number): Uint8Array {
  return bytes.map((byte, index) => byte & (0xff << (8 - Math.min(8, Math.max(0, prefixLength - index * 8)))));
}

function commonBits(left: Uint8Array, right: Uint8Array): number {
  for (const [index, byte] of left.entries()) {
    const difference = byte ^ (right[index] ?? 0);
    if (difference !== 0) return index * 8 + Math.clz32(difference) - 24;
  }
  return left.length * 8;
}

function append<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
