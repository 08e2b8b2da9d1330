/** What a member says about itself, and whether it has changed enough to be written. */
import { clone, create, equals } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import { type MemberPresence, MemberPresenceSchema, MemberState } from "@wardline/api/wardline/v1/cluster";
import { clockProblem } from "@wardline/domain/cluster";
import { toTimestamp } from "../../agent/clock.ts";
import type { ClockMeasurement } from "./clockWatch.ts";
import { MAX_ADDRESSES, MAX_PROBLEMS, MAX_SENTENCE_LENGTH } from "./messages.ts";

export interface PresenceFacts {
  readonly name: string;
  readonly sessionId: string;
  readonly agentVersion: string;
  readonly addresses: readonly string[];
  readonly startedAtMs: number;
  /** Wall clock of this member. */
  readonly nowMs: number;
  readonly latencyMs: number | null;
  readonly clock: ClockMeasurement | null;
  readonly problems: readonly string[];
  readonly rival: { readonly who: string; readonly atMs: number } | null;
}

/** A measurement that differs by less is not worth a write. */
const CLOCK_STEP_MS = 250;

/** @param before what was said last: a state that holds on keeps its moment */
export function describePresence(facts: PresenceFacts, before: MemberPresence | null): MemberPresence {
  const problems = allProblems(facts);
  const state = problems.length > 0 ? MemberState.UNHEALTHY : MemberState.HEALTHY;
  const presence = create(MemberPresenceSchema, {
    name: facts.name,
    sessionId: facts.sessionId,
    state,
    agentVersion: facts.agentVersion,
    addresses: facts.addresses.slice(0, MAX_ADDRESSES),
    startedAt: toTimestamp(facts.startedAtMs),
    heartbeatAt: toTimestamp(facts.nowMs),
    problems,
  });
  const isSame = before?.state === state && before.sessionId === facts.sessionId;
  presence.stateSince = (isSame ? before.stateSince : undefined) ?? toTimestamp(facts.nowMs);
  if (facts.latencyMs !== null) presence.heartbeatLatency = toDuration(facts.latencyMs);
  if (facts.clock) {
    presence.clockOffset = durationFromMs(Math.round(facts.clock.offsetMs));
    presence.clockUncertainty = durationFromMs(Math.round(facts.clock.uncertaintyMs));
  }
  if (facts.rival) {
    presence.rival = facts.rival.who;
    presence.rivalAt = toTimestamp(facts.rival.atMs);
  }
  return presence;
}

/** To the microsecond. Most fractions of a millisecond are no whole nanoseconds for the library's own conversion. */
function toDuration(ms: number): Duration {
  const microseconds = Math.round(ms * 1_000);
  const seconds = Math.floor(microseconds / 1_000_000);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: (microseconds - seconds * 1_000_000) * 1_000 });
}

function allProblems({ problems, clock, rival, name }: PresenceFacts): string[] {
  const skew = clock ? clockProblem(clock.offsetMs, clock.uncertaintyMs) : null;
  const all = [...(rival ? [rivalProblem(name, rival.who)] : []), ...(skew ? [skew] : []), ...problems];
  return all.slice(0, MAX_PROBLEMS).map((sentence) => sentence.slice(0, MAX_SENTENCE_LENGTH));
}

export function rivalProblem(name: string, who: string): string {
  return `Another process wants to be ${name} as well: ${who}. It was refused.`;
}

/** Whether others would want to know, the heartbeat itself left out. */
export function saysSomethingNew(before: MemberPresence, after: MemberPresence): boolean {
  const offsetMs = ({ clockOffset }: MemberPresence) => (clockOffset ? durationMs(clockOffset) : 0);
  if (Math.abs(offsetMs(before) - offsetMs(after)) >= CLOCK_STEP_MS) return true;
  return !equals(MemberPresenceSchema, withoutHeartbeat(before), withoutHeartbeat(after));
}

function withoutHeartbeat(presence: MemberPresence): MemberPresence {
  const rest = clone(MemberPresenceSchema, presence);
  delete rest.heartbeatAt;
  delete rest.heartbeatLatency;
  delete rest.clockOffset;
  delete rest.clockUncertainty;
  delete rest.rivalAt;
  // Sentences about clocks have tenths of seconds in them.
  rest.problems = rest.problems.map((sentence) => sentence.replace(/\d+\.\d+ s /, ""));
  return rest;
}

/** `10.0.0.9 (session 5f0c2a…)` */
export function describeProcess(addresses: readonly string[], sessionId: string): string {
  const where = addresses.slice(0, 4).join(", ") || "an unknown address";
  return `${where} (session ${sessionId.slice(0, 40) || "unknown"})`;
}
