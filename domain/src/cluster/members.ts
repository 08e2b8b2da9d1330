/** How a member is, from what the store says about it and when it was heard from; and what changed between two looks. */
import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Member,
  type MemberPresence,
  type MemberRecord,
  MemberSchema,
  MemberState,
  type SyncReport,
  type Term,
} from "@wardline/api/wardline/v1/cluster";

/** Every heartbeat that is written is told to every member: all of them together stay below this many messages a second. */
const TOLD_HEARTBEATS_PER_SECOND = 20_000;
const SHORTEST_HEARTBEAT_MS = 60_000;
const LONGEST_HEARTBEAT_MS = 3_600_000;

/** How often a member writes its presence when nothing changed. Whether it lives shows in its lease, whatever this is. */
export function heartbeatIntervalMs(memberCount: number): number {
  const scaledMs = (1000 * memberCount * memberCount) / TOLD_HEARTBEATS_PER_SECOND;
  return Math.min(LONGEST_HEARTBEAT_MS, Math.max(SHORTEST_HEARTBEAT_MS, scaledMs));
}

export interface MemberEvidence {
  readonly record: MemberRecord;
  readonly presence: MemberPresence | null;
  /** What the presence was when it was last there, if this node saw it. */
  readonly lastPresence: MemberPresence | null;
  /** How long ago this node saw its presence written, on this node's own boot clock. */
  readonly silentForMs: number;
  readonly heartbeatIntervalMs: number;
  /** Wall clock of this node. */
  readonly nowMs: number;
  /** When this node saw the presence vanish, if it did. */
  readonly vanishedAtMs: number | null;
  readonly isLeader: boolean;
  readonly report: SyncReport | null;
}

/** Silence that is more than two heartbeats, and the spread of one. */
const SILENT_HEARTBEATS = 2.2;

/** Longer silence than this makes a member unhealthy. */
export function silentAfterMs(heartbeatIntervalMs: number): number {
  return SILENT_HEARTBEATS * heartbeatIntervalMs;
}

export function describeMember(evidence: MemberEvidence): Member {
  const { state, sinceMs } = judge(evidence);
  const member = create(MemberSchema, { record: evidence.record, state, isLeader: evidence.isLeader });
  const presence = evidence.presence ?? evidence.lastPresence;
  if (presence) member.presence = presence;
  if (evidence.report) member.report = evidence.report;
  if (sinceMs !== null) member.since = timestampFromMs(Math.round(sinceMs));
  return member;
}

function judge(evidence: MemberEvidence): { readonly state: MemberState; readonly sinceMs: number | null } {
  const { record, presence, lastPresence, vanishedAtMs } = evidence;
  if (presence === null) {
    if (lastPresence || record.firstHeardAt || evidence.report)
      return { state: MemberState.GONE, sinceMs: vanishedAtMs };
    return { state: MemberState.JOINING, sinceMs: ms(record.admittedAt) };
  }
  const isLeft = presence.state === MemberState.STOPPED || presence.state === MemberState.GONE;
  const lateMs = evidence.silentForMs - silentAfterMs(evidence.heartbeatIntervalMs);
  if (!isLeft && lateMs > 0) return { state: MemberState.UNHEALTHY, sinceMs: evidence.nowMs - lateMs };
  const state = presence.state === MemberState.UNSPECIFIED ? MemberState.HEALTHY : presence.state;
  return { state, sinceMs: ms(presence.stateSince) ?? ms(presence.heartbeatAt) };
}

function ms(timestamp: Timestamp | undefined): number | null {
  return timestamp ? timestampMs(timestamp) : null;
}

export interface MemberEvent {
  readonly kind: "joined" | "healthy" | "unhealthy" | "stopped" | "gone" | "removed" | "leader-elected";
  readonly member: string;
  /** Wall time, milliseconds since 1970. */
  readonly atMs: number;
  /** For people; may be empty. */
  readonly detail: string;
}

const EVENT_OF_STATE: Readonly<Partial<Record<MemberState, MemberEvent["kind"]>>> = {
  [MemberState.HEALTHY]: "healthy",
  [MemberState.UNHEALTHY]: "unhealthy",
  [MemberState.STOPPED]: "stopped",
  [MemberState.GONE]: "gone",
};

/** What happened between two looks, by time. Seen from nothing it is the past as far as it is known. */
export function memberEvents(
  before: ReadonlyMap<string, Member>,
  after: ReadonlyMap<string, Member>,
  nowMs: number,
): MemberEvent[] {
  const events: MemberEvent[] = [];
  for (const [name, member] of after) {
    const old = before.get(name);
    if (old === member) continue;
    if (!old) {
      const atMs = ms(member.record?.admittedAt) ?? nowMs;
      events.push({ kind: "joined", member: name, atMs, detail: admission(member.record) });
    }
    const kind = EVENT_OF_STATE[member.state];
    if (kind && old?.state !== member.state) {
      events.push({ kind, member: name, atMs: ms(member.since) ?? nowMs, detail: complaint(member) });
    }
  }
  for (const name of before.keys()) {
    if (!after.has(name)) events.push({ kind: "removed", member: name, atMs: nowMs, detail: "" });
  }
  return events.sort((a, b) => a.atMs - b.atMs);
}

/** Terms that began after the given one, oldest first. @param terms newest first */
export function electionsAfter(number: bigint, terms: readonly Term[]): MemberEvent[] {
  return terms
    .filter((term) => term.number > number)
    .map(({ leader, number: term, startedAt }) => ({
      kind: "leader-elected" as const,
      member: leader,
      atMs: ms(startedAt) ?? 0,
      detail: `term ${term}`,
    }))
    .reverse();
}

function admission(record: MemberRecord | undefined): string {
  return record?.admittedBy ? `let in by ${record.admittedBy}` : "";
}

function complaint({ state, presence }: Member): string {
  if (state !== MemberState.UNHEALTHY) return "";
  return presence && presence.problems.length > 0
    ? presence.problems.join(" ")
    : "It has not been heard from for a while.";
}

/** Certificates, terms and receipts of hosts further apart than this are hard to read side by side. */
const TOLERATED_SKEW_MS = 1_000;

/** `null` = near enough, or it cannot be told. */
export function clockProblem(offsetMs: number, uncertaintyMs: number): string | null {
  if (Math.abs(offsetMs) - uncertaintyMs <= TOLERATED_SKEW_MS) return null;
  const seconds = (Math.abs(offsetMs) / 1000).toFixed(1);
  return `The clock is ${seconds} s ${offsetMs > 0 ? "ahead of" : "behind"} the leader's.`;
}
