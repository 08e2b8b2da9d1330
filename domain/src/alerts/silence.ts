/** Silences: which alerts one holds back, whether it may be made, and what it would have held back. */
import { type Alert, MATCH_KEYS, type Silence } from "./model.ts";

export const MOST_SILENCES = 1_000;
export const LONGEST_SILENCE_MS = 90 * 86_400_000;
const LONGEST_VALUE = 512;

export function silences({ matches }: Pick<Silence, "matches">, { labels }: Pick<Alert, "labels">): boolean {
  const wanted = Object.entries(matches);
  return wanted.length > 0 && wanted.every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}

/** The id of the silence that holds an alert back; empty = none. The one that lasts longest, so that ids seldom change. */
export function silencedBy(alert: Alert, all: readonly Silence[], nowMs: number): string {
  let best: Silence | null = null;
  for (const silence of all) {
    if (silence.untilMs <= nowMs || !silences(silence, alert)) continue;
    const isBetter = best === null || silence.untilMs > best.untilMs;
    if (isBetter || (best && silence.untilMs === best.untilMs && silence.id < best.id)) best = silence;
  }
  return best?.id ?? "";
}

/** What is wrong with a silence, one sentence each. One that would hold back everything is not accepted. */
export function silenceProblems(silence: Pick<Silence, "matches" | "untilMs">, nowMs: number): string[] {
  const problems: string[] = [];
  const entries = Object.entries(silence.matches);
  if (entries.length === 0) {
    problems.push("A silence without conditions would hold back every alert; it needs at least one.");
  }
  for (const [key, value] of entries) {
    if (!(MATCH_KEYS as readonly string[]).includes(key)) {
      problems.push(`"${key.slice(0, 50)}" is no label of alerts; there are ${MATCH_KEYS.join(", ")}.`);
    }
    if (value === "") problems.push(`The condition on "${key.slice(0, 50)}" has no value.`);
    if (value.length > LONGEST_VALUE) problems.push(`The value of "${key}" has more than ${LONGEST_VALUE} characters.`);
  }
  if (!(silence.untilMs > nowMs)) problems.push("It would be over already: its end is not in the future.");
  else if (silence.untilMs - nowMs > LONGEST_SILENCE_MS) problems.push("It would last longer than 90 days.");
  return problems;
}

/** Which of these it would hold back. */
export function previewSilence(silence: Pick<Silence, "matches">, alerts: Iterable<Alert>): Alert[] {
  return [...alerts].filter((alert) => silences(silence, alert));
}
