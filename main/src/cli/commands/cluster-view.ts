/** A cluster as tables and sentences. What members say of themselves is made harmless by the tables. */
import { type Duration, type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type ClusterStatus,
  type DesiredHead,
  type Member,
  MemberState,
  SetState,
  type StoreEndpoint,
  StoreKind,
  SyncState,
} from "@wardline/api/wardline/v1/cluster";
import type { Style } from "../terminal/style.ts";
import { type Cell, formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";

export const MEMBER_STATES: Record<MemberState, string> = {
  [MemberState.UNSPECIFIED]: "",
  [MemberState.JOINING]: "joining",
  [MemberState.HEALTHY]: "healthy",
  [MemberState.UNHEALTHY]: "unhealthy",
  [MemberState.STOPPED]: "stopped",
  [MemberState.GONE]: "gone",
};

const SYNC_STATES: Record<SyncState, string> = {
  [SyncState.UNSPECIFIED]: "",
  [SyncState.ACTIVE]: "active",
  [SyncState.PENDING]: "pending",
  [SyncState.APPLYING]: "applying",
  [SyncState.REFUSED]: "refused",
  [SyncState.ROLLED_BACK]: "rolled back",
  [SyncState.CUT_OFF]: "cut off",
  [SyncState.IDLE]: "idle",
};

export const SET_STATES: Record<SetState, string> = {
  [SetState.UNSPECIFIED]: "",
  [SetState.PENDING]: "waits for confirmation",
  [SetState.CONFIRMED]: "confirmed",
  [SetState.ROLLED_BACK]: "rolled back",
};

const STORES: Record<StoreKind, string> = {
  [StoreKind.UNSPECIFIED]: "unknown store",
  [StoreKind.EMBEDDED]: "embedded store",
  [StoreKind.ETCD]: "etcd",
};

/** In one unit: `12 s`, `3 min`, `5 h`, `40 d`. */
export function ageOf(time: Timestamp | undefined, nowMs: number): string {
  if (!time) return "never";
  const seconds = Math.max(0, Math.floor((nowMs - timestampMs(time)) / 1_000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** `12 ms`, `-3.4 s`; empty when it was not measured. */
export function spanOf(duration: Duration | undefined): string {
  if (!duration) return "";
  const ms = Number(duration.seconds) * 1_000 + duration.nanos / 1e6;
  return Math.abs(ms) < 1_000 ? `${ms.toFixed(ms === 0 ? 0 : 1)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

export function isLed({ currentTerm }: ClusterStatus): boolean {
  return currentTerm !== undefined && currentTerm.leader !== "" && currentTerm.endedAt === undefined;
}

export function leadership({ currentTerm }: ClusterStatus, nowMs: number): string {
  if (!currentTerm || currentTerm.endedAt) return "nobody leads";
  const since = currentTerm.startedAt ? ` for ${ageOf(currentTerm.startedAt, nowMs)}` : "";
  return `${visible(currentTerm.leader)} leads in term ${currentTerm.number}${since}`;
}

export function setText(head: DesiredHead | undefined): string {
  if (!head || head.setNumber === 0n) return "no desired set yet";
  return `set ${head.setNumber} (${head.documentCount} documents) ${SET_STATES[head.state]}`;
}

export function storeText({ store, storeWritable, endpoints }: ClusterStatus): string {
  const servers =
    endpoints.length > 0
      ? `, ${endpoints.filter(({ reachable }) => reachable).length} of ${endpoints.length} servers answer`
      : "";
  return `${STORES[store]}${servers}${storeWritable ? "" : ", not writable"}`;
}

export function statusText(status: ClusterStatus, style: Style, nowMs: number): string {
  const { clusterName, trustDomain, members, head, stale, readAt } = status;
  const lines = [
    `${style.bold(visible(clusterName))} (${visible(trustDomain)}): ${leadership(status, nowMs)}`,
    `${storeText(status)}; ${setText(head)}`,
  ];
  if (stale) lines.push(style.yellow(`The store does not answer: this was read ${ageOf(readAt, nowMs)} ago.`));
  for (const problem of status.problems) lines.push(style.yellow(`! ${visible(problem)}`));
  return `${lines.join("\n")}\n\n${membersTable(members, head, style, nowMs)}`;
}

const MEMBER_HEADER = [
  "MEMBER",
  "STATE",
  "ROLE",
  "REPORTED",
  "LATENCY",
  "SKEW",
  "SET",
  "LAG",
  "ADDRESS",
  "AGENT",
  "PROBLEM",
];

export function membersTable(
  members: readonly Member[],
  head: DesiredHead | undefined,
  style: Style,
  nowMs: number,
): string {
  return formatTable(
    MEMBER_HEADER,
    members.map((member) => memberRow(member, head, style, nowMs)),
  );
}

function memberRow(member: Member, head: DesiredHead | undefined, style: Style, nowMs: number): (Cell | string)[] {
  const { record, presence, state, report, isLeader } = member;
  const paint = state === MemberState.HEALTHY ? style.green : state === MemberState.GONE ? style.red : style.yellow;
  const set = report ? `${report.activeSetNumber} ${SYNC_STATES[report.state]}` : "";
  return [
    record?.name ?? presence?.name ?? "",
    { text: MEMBER_STATES[state], paint },
    isLeader ? "leader" : record?.candidate ? "candidate" : "member",
    presence?.heartbeatAt ? ageOf(presence.heartbeatAt, nowMs) : "never",
    spanOf(presence?.heartbeatLatency),
    spanOf(presence?.clockOffset),
    set,
    lagOf(member, head),
    record?.peerAddress ?? "",
    presence?.agentVersion ?? "",
    report?.problem?.message ?? presence?.problems[0] ?? "",
  ];
}

/** Sets that a host is behind by. */
function lagOf({ report }: Member, head: DesiredHead | undefined): string {
  if (!head || head.setNumber === 0n || !report) return "";
  const wanted = head.state === SetState.ROLLED_BACK ? head.confirmedSetNumber : head.setNumber;
  const lag = wanted - report.activeSetNumber;
  return lag > 0n ? String(lag) : "0";
}

const ENDPOINT_HEADER = ["SERVER", "STATE", "LATENCY", "VERSION", "SIZE", "PROBLEM"];

export function endpointsTable(endpoints: readonly StoreEndpoint[], style: Style): string {
  return formatTable(
    ENDPOINT_HEADER,
    endpoints.map((each) => [
      each.endpoint,
      each.reachable ? { text: "answers", paint: style.green } : { text: "unreachable", paint: style.red },
      each.reachable ? `${(Number(each.latencyUs) / 1_000).toFixed(1)} ms` : "",
      each.serverVersion,
      each.reachable ? `${(Number(each.databaseBytes) / 1_048_576).toFixed(1)} MiB` : "",
      [each.problem, ...each.alarms].filter((part) => part !== "").join(", "),
    ]),
  );
}
