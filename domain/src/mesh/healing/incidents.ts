/** One incident is one run: which diagnosis belongs to which run, which begins one, and which run another one explains. */
import type { Diagnosis } from "./analyse.ts";
import { isPart } from "./analyse-hosts.ts";
import { HealingPhase, HealingState, type KeptRun } from "./model.ts";
import { isUnderWay } from "./pace.ts";
import { isEnded, newRun, outstandingOrder, type RunOrigin, refreshed, withStep } from "./run-edit.ts";

/** More faults at once than a person could look at: further ones wait. */
const MAX_OPEN_RUNS = 100;

export interface IncidentInput {
  readonly runs: readonly KeptRun[];
  readonly diagnoses: readonly Diagnosis[];
  readonly origin: (found: Diagnosis) => RunOrigin;
  readonly nowMs: number;
}

/** All runs: those that went on, and those that began. */
export function matchIncidents({ runs, diagnoses, origin, nowMs }: IncidentInput): KeptRun[] {
  const byTarget = new Map(diagnoses.map((found) => [found.target, found]));
  const taken = new Set<string>();
  const matched = runs.map((run) => {
    const found = isEnded(run) ? undefined : byTarget.get(run.target);
    if (!found) return run;
    taken.add(found.target);
    // A daemon that hung and is being ended does not run: that is no other fault, and the run says what it began with.
    if (!CHANGEABLE.includes(run.state) && found.fault !== run.fault) return run;
    return reconsidered(refreshed(run, found, nowMs), run);
  });
  const merged = matched.map((run) => {
    const explainer = isEnded(run) || byTarget.has(run.target) ? undefined : explainerOf(run, diagnoses, nowMs);
    if (!explainer) return run;
    if (taken.has(explainer.target)) return absorbed(run, matched, explainer, nowMs);
    taken.add(explainer.target);
    return reconsidered(refreshed(run, explainer, nowMs), run);
  });
  const muted = new Set(runs.filter(({ work }) => work.isMuted).map(({ target }) => target));
  const open = merged.filter((run) => !isEnded(run)).length;
  const begun = diagnoses
    .filter(({ isConfirmed, target }) => isConfirmed && !taken.has(target) && !muted.has(target))
    .slice(0, Math.max(0, MAX_OPEN_RUNS - open))
    .map((found) => newRun(found, origin(found)));
  return [...merged, ...begun];
}

const CHANGEABLE: readonly HealingState[] = [
  HealingState.WATCHING,
  HealingState.WAITING_FOR_APPROVAL,
  HealingState.ESCALATED,
];

/** A diagnosis that explains what this run is about. Nothing changes under an action that goes on. */
function explainerOf(run: KeptRun, diagnoses: readonly Diagnosis[], nowMs: number): Diagnosis | undefined {
  const isBusy = outstandingOrder(run) !== null || run.work.orders.some((order) => isUnderWay(order, nowMs));
  if (isBusy || !CHANGEABLE.includes(run.state)) return undefined;
  // Of hosts that went together some may be back: what is left of it goes on under the same run.
  const own = isPart(run.target) ? run.work.symptoms : run.work.symptoms.slice(0, 1);
  return diagnoses.find(({ symptoms, isConfirmed }) => isConfirmed && own.some((key) => symptoms.includes(key)));
}

/** Another kind of fault is looked at anew, also where a person was asked about the first. */
function reconsidered(run: KeptRun, before: KeptRun): KeptRun {
  const isOther = run.fault !== before.fault || run.target !== before.target;
  if (!isOther || !CHANGEABLE.includes(run.state)) return run;
  return { ...run, state: HealingState.WATCHING, work: { ...run.work, told: "", approval: null } };
}

function absorbed(run: KeptRun, runs: readonly KeptRun[], explainer: Diagnosis, nowMs: number): KeptRun {
  const other = runs.find((each) => !isEnded(each) && each.target === explainer.target);
  const sentence = `Another fault explains it${other ? ` (${other.id})` : ""}: ${explainer.cause}`;
  const ended = { ...run, state: HealingState.CLEARED, endedAtMs: nowMs };
  return withStep(ended, { atMs: nowMs, phase: HealingPhase.ANALYSE, sentence });
}
