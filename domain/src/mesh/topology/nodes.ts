/** What is told of a node, from what is known of it. */
import { MeshNodeState } from "@wardline/api/wardline/console/v1/mesh";
import { MeshProvider, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { meshAddressOwner, yggdrasilAddress, yggdrasilSubnet } from "../yggdrasil-address.ts";
import type { KeyClaims } from "./claims.ts";
import type { GraphIdentity, GraphNode } from "./graph.ts";
import { GRAPH_PROVIDERS, providerName } from "./identity.ts";
import { MESH_LIVENESS } from "./limits.ts";
import { daemonProblem, type ProviderReading } from "./reading.ts";
import type { HostRecord, NodeRecord } from "./records.ts";

const MAX_TOLD_BY = 20;

export interface NodeContext {
  readonly claims: KeyClaims;
  /** Hosts that tell of a neighbour with this key. */
  mentions(provider: MeshProvider, key: string): ReadonlySet<HostRecord> | undefined;
  readonly nowMs: number;
}

export function describeNode(record: NodeRecord, context: NodeContext): GraphNode {
  const { host, node: before } = record;
  const { state, problems } = host === null ? foreignState(record) : hostState(host, context);
  const lastSeenMs = host?.isFresh ? host.receivedAtMs : newest(record.seenAtMs, host?.receivedAtMs ?? null);
  return {
    id: record.id,
    label: record.label,
    hostId: host?.hostId ?? "",
    state,
    stateSinceMs: before?.state === state ? before.stateSinceMs : context.nowMs,
    lastSeenMs,
    identities: host === null ? foreignIdentities(record, context) : hostIdentities(host, context),
    groups: host?.groups ?? [],
    problems,
  };
}

interface StateAndWhy {
  readonly state: MeshNodeState;
  readonly problems: readonly string[];
}

function foreignState({ upLinks }: NodeRecord): StateAndWhy {
  return upLinks > 0
    ? { state: MeshNodeState.UNKNOWN, problems: [] }
    : { state: MeshNodeState.OFFLINE, problems: ["No host sees it."] };
}

function hostState(host: HostRecord, { claims, nowMs }: NodeContext): StateAndWhy {
  const identity = identityProblems(host, claims);
  if (host.isFresh) {
    const daemons = [...host.providers.values()].flatMap(({ reading }) => (reading ? [daemonProblem(reading)] : []));
    const problems = [...daemons.filter((sentence) => sentence !== ""), ...host.said, ...identity];
    return { state: problems.length > 0 ? MeshNodeState.DEGRADED : MeshNodeState.ONLINE, problems };
  }
  if (host.node.upLinks > 0) {
    return { state: MeshNodeState.UNKNOWN, problems: ["Its agent is silent; others see it up.", ...identity] };
  }
  if (host.receivedAtMs === null && !host.isGone) {
    return nowMs - host.knownAtMs < MESH_LIVENESS.initializingMs
      ? { state: MeshNodeState.INITIALIZING, problems: identity }
      : { state: MeshNodeState.UNKNOWN, problems: ["It has said nothing of its meshes.", ...identity] };
  }
  return { state: MeshNodeState.OFFLINE, problems: ["Its agent is silent, and nobody sees it up.", ...identity] };
}

/** What is wrong with who a host says it is; sentences that name it. */
export function identityProblems(host: HostRecord, claims: KeyClaims): string[] {
  const problems = [...host.alarms.keys()];
  for (const [provider, record] of host.providers) {
    if (record.key === "") continue;
    const claimants = claims.claimants(provider, record.key);
    const rivals = claimants.length < 2 ? [] : claimants.filter((other) => other !== host);
    for (const rival of rivals.slice(0, 3)) {
      const owner = claims.owner(provider, record.key)?.name ?? "";
      problems.push(
        `${host.name} and ${rival.name} say that they have one and the same ${providerName(provider)} key; its links are counted as those of ${owner}.`,
      );
    }
    problems.push(...record.identityProblems);
  }
  return problems;
}

/** What a host says of itself that is not so; sentences. Computing addresses takes longer than all else that is done with a word. */
export function addressProblems(
  name: string,
  { provider, key, claimedAddress, claimedSubnet }: ProviderReading,
): string[] {
  if (provider !== MeshProvider.YGGDRASIL || key === "") return [];
  const { address, subnet } = addressed(provider, key);
  const problems: string[] = [];
  const isOther = claimedAddress !== address && meshAddressOwner(key, claimedAddress) !== "node";
  if (claimedAddress !== "" && isOther) {
    problems.push(`${name} says that its address is ${claimedAddress}, which is not that of its key.`);
  }
  if (claimedSubnet !== "" && claimedSubnet.toLowerCase() !== subnet) {
    problems.push(`${name} says that ${claimedSubnet} is routed to it, which is not that of its key.`);
  }
  return problems;
}

function hostIdentities(host: HostRecord, context: NodeContext): GraphIdentity[] {
  return GRAPH_PROVIDERS.flatMap((provider) => {
    const record = host.providers.get(provider);
    const hasNone = record === undefined || provider === MeshProvider.IP;
    const isAbsent = (record?.reading?.state ?? MeshProviderState.ABSENT) === MeshProviderState.ABSENT;
    if (hasNone || (record.key === "" && isAbsent)) return [];
    const { key, reading } = record;
    const isOwner = key !== "" && context.claims.owner(provider, key) === host;
    const others = isOwner ? tellers(context.mentions(provider, key), host) : [];
    const toldBy = [host.name, ...others];
    const generation = reading?.generation ?? "";
    const daemon = reading?.state ?? MeshProviderState.UNSPECIFIED;
    return [{ ...addressed(provider, key), toldBy, generation, version: reading?.version ?? "", daemon }];
  });
}

function foreignIdentities({ provider, key }: NodeRecord, context: NodeContext): readonly GraphIdentity[] {
  if (provider === MeshProvider.IP) return [];
  const toldBy = tellers(context.mentions(provider, key), null);
  const daemon = MeshProviderState.UNSPECIFIED;
  return [{ ...addressed(provider, key), toldBy, generation: "", version: "", daemon }];
}

const ADDRESSES_KEPT = 4_096;
const addresses = new Map<string, { readonly address: string; readonly subnet: string }>();

function addressed(provider: MeshProvider, key: string) {
  if (provider !== MeshProvider.YGGDRASIL) return { provider, key, address: "", subnet: "" };
  let known = addresses.get(key);
  if (known === undefined) {
    known = { address: yggdrasilAddress(key) ?? "", subnet: yggdrasilSubnet(key) ?? "" };
    if (addresses.size >= ADDRESSES_KEPT) addresses.clear();
    addresses.set(key, known);
  }
  return { provider, key, ...known };
}

function tellers(hosts: ReadonlySet<HostRecord> | undefined, but: HostRecord | null): string[] {
  const names: string[] = [];
  for (const host of hosts ?? []) {
    if (host !== but) names.push(host.name);
    if (names.length === MAX_TOLD_BY - 1) break;
  }
  return names.sort();
}

function newest(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other);
}

export function sameNode(one: GraphNode, other: GraphNode): boolean {
  return (
    one.hostId === other.hostId &&
    one.state === other.state &&
    one.lastSeenMs === other.lastSeenMs &&
    sameTexts(one.groups, other.groups) &&
    sameTexts(one.problems, other.problems) &&
    one.identities.length === other.identities.length &&
    one.identities.every((identity, index) => sameIdentity(identity, other.identities[index]!))
  );
}

function sameIdentity(one: GraphIdentity, other: GraphIdentity): boolean {
  return (
    one.provider === other.provider &&
    one.key === other.key &&
    one.generation === other.generation &&
    one.version === other.version &&
    one.daemon === other.daemon &&
    sameTexts(one.toldBy, other.toldBy)
  );
}

function sameTexts(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index]);
}
