/** What the leader makes of what members say: baselines of groups, and movements over several hosts. */
import type { Finding as WireFinding } from "@wardline/api/wardline/v1/anomaly";
import { stitchChains } from "@wardline/domain/anomaly";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { fromWireFinding } from "@wardline/domain/wire";
import type { Clock } from "../../agent/clock.ts";
import type { Keys } from "../keys.ts";
import { deleteFenced, periodicDuty } from "../leadership/duties.ts";
import type { HeldTerm, LeaderDuty, MembershipView } from "../ports.ts";
import type { ClusterStore, KeyValue } from "../store/clusterStore.ts";
import { groupBaselines } from "./groupBaselines.ts";
import * as records from "./records.ts";

export interface AnomalyDutyPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly random: () => number;
  readonly membership: MembershipView;
}

/** The label of a member that names its group. */
export const GROUP_LABEL = "group";
const GROUPS_EVERY_MS = 600_000;
const CHAINS_EVERY_MS = 30_000;

export function anomalyDuties(ports: AnomalyDutyPorts): readonly LeaderDuty[] {
  return [
    periodicDuty("baselines of groups", GROUPS_EVERY_MS, ports, (term) => writeGroups(ports, term)),
    periodicDuty("movements over hosts", CHAINS_EVERY_MS, ports, (term) => writeChains(ports, term)),
  ];
}

/** One vote per member. Throws `Failure` of the store, NOT_LEADER. */
export async function writeGroups(ports: AnomalyDutyPorts, term: HeldTerm): Promise<void> {
  const { store, keys, membership } = ports;
  const members = new Map(membership.members().map(({ record }) => [record?.name ?? "", record?.labels ?? {}]));
  const said = await readSaid(ports, keys.anomalySummaries, members, term);
  const summaries = said.flatMap(({ host, value }) => records.decodeSummary(value, host) ?? []);
  const groups = groupBaselines(summaries, (host) => {
    const label = members.get(host)?.[GROUP_LABEL] ?? "";
    return records.isGroupName(label) ? label : null;
  });
  const wanted = new Map(groups.map((group) => [keys.anomalyGroup(group.group), records.encodeGroup(group)]));
  const { items } = await store.range(keys.anomalyGroups, { signal: term.signal });
  await deleteFenced(
    store,
    term,
    items.filter(({ key }) => !wanted.has(key)).map(({ key }) => key),
  );
  for (const [key, value] of wanted) await putChanged(ports, term, key, value, items);
}

/** Throws `Failure` of the store, NOT_LEADER. */
export async function writeChains(ports: AnomalyDutyPorts, term: HeldTerm): Promise<void> {
  const { store, keys, membership } = ports;
  const members = new Map(membership.members().map(({ record }) => [record?.name ?? "", {}]));
  const said = await readSaid(ports, keys.anomalyMovements, members, term);
  const findings = withoutClaims(said.flatMap(({ host, value }) => records.decodeMovements(value, host)));
  const chains = stitchChains(findings.flatMap((finding) => fromWireFinding(finding) ?? []));
  const value = records.encodeChains(chains.map(({ findingIds }) => findingIds));
  const { item } = await store.get(keys.anomalyChains, { signal: term.signal });
  if (item === null && chains.length === 0) return;
  await putChanged(ports, term, keys.anomalyChains, value, item ? [item] : []);
}

/** What lies under the names of members; what others left is removed. */
async function readSaid(
  { store }: AnomalyDutyPorts,
  prefix: string,
  members: ReadonlyMap<string, unknown>,
  term: HeldTerm,
) {
  const { items } = await store.range(prefix, { signal: term.signal });
  const said = items.map(({ key, value }) => ({ key, host: key.slice(prefix.length), value }));
  // Before the members are known nobody is a stranger.
  if (members.size === 0) return [];
  const strangers = said.filter(({ host }) => !members.has(host));
  await deleteFenced(
    store,
    term,
    strangers.map(({ key }) => key),
  );
  return said.filter(({ host }) => members.has(host));
}

/** An id that two hosts claim is one host's word against the other's: it counts for neither. */
function withoutClaims(findings: readonly WireFinding[]): WireFinding[] {
  const hosts = new Map<string, Set<string>>();
  for (const { id, host } of findings) hosts.set(id, (hosts.get(id) ?? new Set()).add(host));
  return findings.filter(({ id }) => hosts.get(id)?.size === 1);
}

async function putChanged(
  { store }: AnomalyDutyPorts,
  term: HeldTerm,
  key: string,
  value: Uint8Array,
  present: readonly KeyValue[],
): Promise<void> {
  const before = present.find((item) => item.key === key);
  if (before && Buffer.compare(before.value, value) === 0) return;
  const { succeeded } = await store.transact(
    { compare: term.fence, then: [{ kind: "put", key, value }] },
    { signal: term.signal },
  );
  if (!succeeded) throw new Failure({ code: ErrorCode.NOT_LEADER, message: `Term ${term.number} is over.` });
}
