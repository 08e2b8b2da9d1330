/** What worked, by fault and action, from verified outcomes only. It orders what is tried; it can neither forbid nor allow anything. */
import { type HealingAction, type KnowledgeEntry, MAX_REPAIR_TIMES, type MeshFault } from "./model.ts";

/** At this many tries both counts are halved: what was true a year ago weighs less, and nothing grows without end. */
const HALVED_AT = 64;
/** No history makes an action surely good or surely useless. */
const LOWEST_RATE = 0.2;
const HIGHEST_RATE = 0.8;

export interface VerifiedOutcome {
  readonly fault: MeshFault;
  readonly action: HealingAction;
  readonly isHealed: boolean;
  /** Of healed ones. */
  readonly repairTimeMs: number | null;
}

/** The entries with one more outcome. */
export function learn(entries: readonly KnowledgeEntry[], outcome: VerifiedOutcome): KnowledgeEntry[] {
  const isSame = ({ fault, action }: KnowledgeEntry) => fault === outcome.fault && action === outcome.action;
  const old = entries.find(isSame);
  const { fault, action, isHealed, repairTimeMs } = outcome;
  const times = old?.repairTimesMs ?? [];
  const isFull = (old?.tried ?? 0) >= HALVED_AT;
  const halve = (count: number) => (isFull ? Math.floor(count / 2) : count);
  const entry: KnowledgeEntry = {
    fault,
    action,
    tried: halve(old?.tried ?? 0) + 1,
    healed: halve(old?.healed ?? 0) + (isHealed ? 1 : 0),
    repairTimesMs: isHealed && repairTimeMs !== null ? [...times, repairTimeMs].slice(-MAX_REPAIR_TIMES) : times,
  };
  return [...entries.filter((each) => !isSame(each)), entry].sort((a, b) => a.fault - b.fault || a.action - b.action);
}

/** Share of verified tries that healed; `null` = never tried. What people are shown. */
export function successRate(entry: KnowledgeEntry | undefined): number | null {
  return entry === undefined || entry.tried === 0 ? null : entry.healed / entry.tried;
}

/** The rate that orders candidates: one good and one bad outcome are added to those that were seen, and the ends are cut off. */
export function expectedRate(entry: KnowledgeEntry | undefined): number {
  const rate = ((entry?.healed ?? 0) + 1) / ((entry?.tried ?? 0) + 2);
  return Math.min(HIGHEST_RATE, Math.max(LOWEST_RATE, rate));
}

/** `null` = nothing was healed yet. */
export function medianRepairTimeMs(entry: KnowledgeEntry): number | null {
  const times = [...entry.repairTimesMs].sort((a, b) => a - b);
  if (times.length === 0) return null;
  const middle = times.length >> 1;
  return times.length % 2 === 1 ? times[middle]! : (times[middle - 1]! + times[middle]!) / 2;
}
