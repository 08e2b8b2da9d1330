/** The timeline of leaders: how a term begins, how the one before it ended, and how long nobody led in between. */
import { clone, create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type Term, TermEnd, TermSchema } from "@wardline/api/wardline/v1/cluster";

export interface Succession {
  readonly number: bigint;
  readonly leader: string;
  /** Wall clock of the new leader, milliseconds since 1970. */
  readonly nowMs: number;
  /** Record of the term before; `null` = there was none, or it is no longer kept. */
  readonly previous: Term | null;
  /** How long the new leader knows that nobody held the lead, on its own boot clock; `null` = it did not see when that began. */
  readonly vacantForMs: number | null;
  /** After this much silence the store takes the lead from somebody who says nothing. */
  readonly leaseMs: number;
}

export interface BegunTerm {
  readonly term: Term;
  /** Record of the term before as it is to be written; `null` = it was complete. */
  readonly closed: Term | null;
}

/**
 * A leader that could not say that its term ended was heard from for the last time one lease before the lead became vacant,
 * at the latest: that moment is its end, and the time since then the gap. So a gap after a crash counts the time in which the
 * crash was not known; after a resignation it counts the vacancy alone.
 */
export function beginTerm({ number, leader, nowMs, previous, vacantForMs, leaseMs }: Succession): BegunTerm {
  const term = create(TermSchema, { number, leader, startedAt: timestampFromMs(whole(nowMs)) });
  if (previous === null) return { term, closed: null };
  const isOpen = previous.endedAt === undefined;
  const gapMs = isOpen ? silence(vacantForMs, leaseMs) : (vacantForMs ?? sinceEnd(previous, nowMs));
  if (gapMs !== null) term.gap = durationFromMs(whole(gapMs));
  const closed = isOpen ? endTerm(previous, TermEnd.LEASE_LOST, nowMs - (gapMs ?? 0)) : null;
  return { term, closed };
}

/** A copy that is over; never before it began. */
export function endTerm(term: Term, end: TermEnd, endedAtMs: number): Term {
  const ended = clone(TermSchema, term);
  const startedAtMs = term.startedAt ? timestampMs(term.startedAt) : endedAtMs;
  ended.end = end;
  ended.endedAt = timestampFromMs(whole(Math.max(startedAtMs, endedAtMs)));
  return ended;
}

/** Which of these term numbers are beyond the `keep` newest. */
export function termsToForget(numbers: readonly bigint[], keep: number): bigint[] {
  const newestFirst = [...numbers].sort((a, b) => (a < b ? 1 : -1));
  return newestFirst.slice(keep);
}

function silence(vacantForMs: number | null, leaseMs: number): number | null {
  return vacantForMs === null ? null : vacantForMs + leaseMs;
}

/** By two wall clocks, so never below zero. */
function sinceEnd({ endedAt }: Term, nowMs: number): number {
  return Math.max(0, nowMs - (endedAt ? timestampMs(endedAt) : nowMs));
}

function whole(ms: number): number {
  return Math.round(ms);
}
