/** Terms as bars: one lane for each host that led, and the gaps in which nobody did. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Term } from "@wardline/api/wardline/v1/cluster";
import { durationMs } from "../../../data/hosts-snapshot.ts";

export interface TermBar {
  readonly term: Term;
  readonly leader: string;
  /** Of the whole width, 0 to 1. */
  readonly start: number;
  readonly end: number;
  readonly isOpen: boolean;
}

export interface Gap {
  readonly start: number;
  readonly end: number;
  readonly lengthMs: number;
}

export interface Timeline {
  /** In order of their first term shown. */
  readonly lanes: readonly { readonly leader: string; readonly bars: readonly TermBar[] }[];
  readonly gaps: readonly Gap[];
  readonly fromMs: number;
  readonly toMs: number;
}

/** @param terms newest first, as they come @param spanMs how far back the strip reaches */
export function layTimeline(terms: readonly Term[], nowMs: number, spanMs: number): Timeline {
  const fromMs = nowMs - spanMs;
  const place = (timeMs: number) => Math.max(0, Math.min(1, (timeMs - fromMs) / spanMs));
  const lanes = new Map<string, TermBar[]>();
  const gaps: Gap[] = [];
  for (const term of terms.toReversed()) {
    const startMs = term.startedAt ? timestampMs(term.startedAt) : null;
    if (startMs === null) continue;
    const endMs = term.endedAt ? timestampMs(term.endedAt) : nowMs;
    const gapMs = durationMs(term.gap);
    if (gapMs > 0 && startMs > fromMs)
      gaps.push({ start: place(startMs - gapMs), end: place(startMs), lengthMs: gapMs });
    if (endMs < fromMs) continue;
    const bars = lanes.get(term.leader) ?? [];
    bars.push({ term, leader: term.leader, start: place(startMs), end: place(endMs), isOpen: !term.endedAt });
    lanes.set(term.leader, bars);
  }
  return { lanes: [...lanes].map(([leader, bars]) => ({ leader, bars })), gaps, fromMs, toMs: nowMs };
}
