/** What nobody should write a rule for, each with the reason. */
import { parseAddress } from "../address.ts";
import { type Inventory, PROTOCOL } from "../model.ts";
import type { LabelGroup } from "../simulate/label-groups.ts";
import { isEssential, type Observation, type ObservedEnd } from "./observations.ts";

export type NoiseReason =
  /** Loopback, neighbour discovery, path MTU: always passes. */
  | "essential"
  | "multicast"
  /** Neither end is in the inventory. */
  | "ends-unknown"
  /** Several endpoints have the address of the only end that is known, and no host said which one it was. */
  | "several-endpoints"
  | "denied"
  | "scan"
  | "ephemeral-port"
  | "rare";

export const NOISE_REASONS: readonly NoiseReason[] = [
  "essential",
  "multicast",
  "ends-unknown",
  "several-endpoints",
  "denied",
  "scan",
  "ephemeral-port",
  "rare",
];

export interface NoiseOptions {
  /** Connections between two groups on a port that are fewer count as one-off; default 3. */
  readonly minFlows?: number;
  /** Ports from here on are taken by programs as they come; default 32768 (Linux `ip_local_port_range`). */
  readonly ephemeralFrom?: number;
  /** Destinations (or ports of one destination) that one source tries before it counts as a scan; default 15. */
  readonly scanTargets?: number;
}

const DEFAULTS = { minFlows: 3, ephemeralFrom: 32_768, scanTargets: 15 } as const;
/** Tried so often at most, a target of a scan is no service in use. */
const SCAN_MAX_FLOWS = 2;
const SCAN_DENIED_SHARE = 0.5;
const WITH_PORTS: readonly number[] = [PROTOCOL.tcp, PROTOCOL.udp, PROTOCOL.sctp];

export interface Sifted {
  readonly kept: readonly Observation[];
  readonly noise: readonly { readonly observation: Observation; readonly reason: NoiseReason }[];
}

export function siftNoise(
  observations: readonly Observation[],
  inventory: Inventory,
  groups: ReadonlyMap<string, LabelGroup>,
  options: NoiseOptions = {},
): Sifted {
  const limits = { ...DEFAULTS, ...options };
  const named = new Set(
    inventory.endpoints.flatMap(({ key, ports }) => ports.map(({ protocol, port }) => `${key} ${protocol} ${port}`)),
  );
  const scans = findScans(observations, limits.scanTargets);
  const kept: Observation[] = [];
  const noise: { observation: Observation; reason: NoiseReason }[] = [];
  for (const observation of observations) {
    const { destination, protocol, port } = observation;
    const reason =
      reasonByEnds(observation) ??
      (scans.has(observation) ? "scan" : observation.flows === 0 ? "denied" : null) ??
      (WITH_PORTS.includes(protocol) &&
      port >= limits.ephemeralFrom &&
      !named.has(`${destination.key} ${protocol} ${port}`)
        ? "ephemeral-port"
        : null);
    if (reason === null) kept.push(observation);
    else noise.push({ observation, reason });
  }
  return siftRare({ kept, noise }, groups, limits.minFlows);
}

function reasonByEnds(observation: Observation): NoiseReason | null {
  const { source, destination } = observation;
  if (isEssential(observation)) return "essential";
  if (isMulticast(destination.address) || isMulticast(source.address)) return "multicast";
  if (source.key !== null || destination.key !== null) return null;
  return source.isShared || destination.isShared ? "several-endpoints" : "ends-unknown";
}

/** Multicast, the limited broadcast address, and the address of a host that has none yet. */
function isMulticast(text: string): boolean {
  const address = parseAddress(text);
  if (!address.ok) return false;
  const [first = 0] = address.bytes;
  if (address.family === 6) return first === 0xff || address.bytes.every((byte) => byte === 0);
  return (first >= 224 && first < 240) || first === 0 || address.bytes.every((byte) => byte === 255);
}

/** One source that tries many ports of one destination, or many destinations mostly in vain. */
function findScans(observations: readonly Observation[], targets: number): ReadonlySet<Observation> {
  const bySource = new Map<string, Observation[]>();
  for (const observation of observations) {
    if (observation.flows > SCAN_MAX_FLOWS) continue;
    append(bySource, observation.source.address, observation);
  }
  const found = new Set<Observation>();
  for (const tried of bySource.values()) {
    if (tried.length < targets) continue;
    const byDestination = new Map<string, Observation[]>();
    for (const observation of tried) append(byDestination, observation.destination.address, observation);
    for (const ports of byDestination.values()) {
      if (ports.length >= targets) for (const observation of ports) found.add(observation);
    }
    const denied = tried.filter((observation) => observation.denied > 0).length;
    if (byDestination.size >= targets && denied >= tried.length * SCAN_DENIED_SHARE) {
      for (const observation of tried) found.add(observation);
    }
  }
  return found;
}

/** Counted between groups: fifty web servers that each connect once are no rarity. */
function siftRare(sifted: Sifted, groups: ReadonlyMap<string, LabelGroup>, minFlows: number): Sifted {
  const nameOf = ({ key }: ObservedEnd): string => (key === null ? "outside" : (groups.get(key)?.key ?? key));
  const relation = ({ source, destination, protocol, port }: Observation): string =>
    JSON.stringify([nameOf(source), nameOf(destination), protocol, port]);
  const flows = new Map<string, number>();
  for (const observation of sifted.kept) {
    const name = relation(observation);
    flows.set(name, (flows.get(name) ?? 0) + observation.flows);
  }
  const isRare = (observation: Observation): boolean => (flows.get(relation(observation)) ?? 0) < minFlows;
  const rare = sifted.kept.filter(isRare).map((observation) => ({ observation, reason: "rare" as const }));
  return { kept: sifted.kept.filter((observation) => !isRare(observation)), noise: [...sifted.noise, ...rare] };
}

function append(map: Map<string, Observation[]>, key: string, observation: Observation): void {
  const list = map.get(key);
  if (list) list.push(observation);
  else map.set(key, [observation]);
}
