/** One run, one look further: what it waits for, what is done next, and when it is over. */

import type { Diagnosis } from "./analyse.ts";
import type { VerifiedOutcome } from "./knowledge.ts";
import { isFlapping } from "./memory.ts";
import {
  HealingAction,
  type HealingCandidate,
  HealingMode,
  HealingOutcome,
  HealingPhase,
  type HealingSettings,
  HealingState,
  type KeptRun,
  type KnowledgeEntry,
  MeshFault,
  type PlannedOrder,
  THE_LOOP,
} from "./model.ts";
import { type HeldBack, heldBack } from "./pace.ts";
import { planFor } from "./plan.ts";
import { receiptMissing } from "./receipts.ts";
import { isEnded, outstandingOrder, withLastOrder, withOrder, withStep, withWork } from "./run-edit.ts";
import { settledAfterMs, TIMES } from "./thresholds.ts";
import { healthOf, isRolledBack, type Look, needsRollback } from "./verify.ts";
import { actionPhrase, seconds } from "./words.ts";

export interface CycleContext {
  readonly look: Look;
  /** All that are kept. */
  readonly runs: readonly KeptRun[];
  readonly settings: HealingSettings;
  readonly knowledge: readonly KnowledgeEntry[];
  readonly term: bigint;
  /** Why nothing may be done now; empty = nothing is in the way. */
  readonly obstacle: string;
  readonly nowMs: number;
}

export interface Advanced {
  readonly run: KeptRun;
  readonly order: PlannedOrder | null;
  readonly learned: VerifiedOutcome | null;
}

const stay = (run: KeptRun): Advanced => ({ run, order: null, learned: null });

export function advance(before: KeptRun, context: CycleContext): Advanced {
  const { nowMs, settings } = context;
  const health = healthOf(before, context.look);
  const isClear = health === "healthy";
  const clearSinceMs = isClear ? (before.work.clearSinceMs ?? nowMs) : null;
  let run = clearSinceMs === before.work.clearSinceMs ? before : withWork(before, { clearSinceMs });
  const isHeld = clearSinceMs !== null && nowMs - clearSinceMs >= settings.holdMs;
  if (isEnded(run)) return stay(isHeld ? withWork(run, { isMuted: false }) : run);
  const order = outstandingOrder(run);
  if (order && nowMs >= order.expiresAtMs + TIMES.receiptGraceMs) run = receiptMissing(run, nowMs);
  switch (run.state) {
    case HealingState.WATCHING:
    case HealingState.WAITING_FOR_APPROVAL:
      return isHeld ? stay(cleared(run, nowMs)) : watch(run, context);
    case HealingState.VERIFYING:
      return verify(run, context, isHeld);
    case HealingState.ESCALATED:
      if (isHeld) return stay(endedAfterEscalation(run, nowMs));
      return run.work.approval ? watch(run, context) : stay(replanned(run, context));
    default:
      return stay(run);
  }
}

function cleared(run: KeptRun, nowMs: number): KeptRun {
  const hasActed = run.work.orders.some(({ isDryRun }) => !isDryRun);
  const sentence = hasActed
    ? "The symptom is gone now. Nothing that was done here had removed it in time."
    : "The symptom is gone and stayed away, without anything that was done here.";
  const ended = { ...run, state: HealingState.CLEARED, endedAtMs: nowMs };
  return withStep(withWork(ended, { approval: null }), { atMs: nowMs, phase: HealingPhase.VERIFY, sentence });
}

function endedAfterEscalation(run: KeptRun, nowMs: number): KeptRun {
  const sentence = "The symptom is gone now. Nothing that was done here had removed it in time.";
  const phase = HealingPhase.VERIFY;
  return withStep(withWork({ ...run, endedAtMs: nowMs }, { approval: null }), { atMs: nowMs, phase, sentence });
}

/** Says why nothing happens, once. */
function told(run: KeptRun, state: HealingState, sentence: string, nowMs: number): KeptRun {
  const next = run.state === state ? run : { ...run, state };
  if (sentence === "" || next.work.told === sentence) return next;
  return withStep(withWork(next, { told: sentence }), { atMs: nowMs, phase: HealingPhase.PLAN, sentence });
}

interface Planned {
  readonly run: KeptRun;
  readonly found: Diagnosis | null;
  readonly held: HeldBack;
}

function plan(run: KeptRun, { look, runs, settings, knowledge, nowMs }: CycleContext): Planned {
  const held = heldBack(run.target, { runs: runs.map((each) => (each.id === run.id ? run : each)), settings, nowMs });
  const found = look.diagnoses.get(run.target) ?? null;
  if (found === null) return { run, found, held };
  const unsteady = isFlapping(look.memory, run.target, nowMs);
  const input = { fleet: look.fleet, diagnosis: found, knowledge, isFlapping: unsteady, heldBack: held.sentence };
  const candidates = planFor(input);
  const isSame = JSON.stringify(candidates) === JSON.stringify(run.candidates);
  return { run: isSame ? run : { ...run, candidates }, found, held };
}

function replanned(run: KeptRun, context: CycleContext): KeptRun {
  return plan(run, context).run;
}

function watch(before: KeptRun, context: CycleContext): Advanced {
  const { settings, nowMs, look, obstacle } = context;
  const { run, found, held } = plan(before, context);
  if (outstandingOrder(run)) return stay(run);
  if (found === null)
    return stay(run.work.approval ? withoutApproval(run, "The symptom is not there now.", nowMs) : run);
  if (obstacle !== "") return stay(told(run, run.state, obstacle, nowMs));
  if (run.work.approval) {
    return held.isUnderWay ? stay(told(run, run.state, held.sentence, nowMs)) : sendApproved(run, context);
  }
  if (settings.mode === HealingMode.OBSERVE) {
    return stay(told(run, HealingState.WATCHING, "It is observed only: nothing is done in this mode.", nowMs));
  }
  if (isFlapping(look.memory, run.target, nowMs)) {
    const sentence = "It goes up and down: nothing is done before it was quiet for a minute.";
    return stay(told(run, HealingState.WATCHING, sentence, nowMs));
  }
  if (nowMs - found.sinceMs < settledAfterMs(found.fault)) return stay(run);
  return choose(run, context, held);
}

function choose(run: KeptRun, context: CycleContext, held: HeldBack): Advanced {
  const { settings, nowMs } = context;
  const candidate = run.candidates.find((each) => isPossible(each) && !isTried(run, each));
  if (!candidate || candidate.action === HealingAction.ASK_PERSON) return stay(handOver(run, nowMs));
  if (held.isBroken) return stay(escalated(run, held.sentence, nowMs));
  if (held.sentence !== "") return stay(told(run, HealingState.WATCHING, held.sentence, nowMs));
  if (settings.mode === HealingMode.ACT && !settings.askBefore.includes(candidate.action)) {
    return send(run, candidate, THE_LOOP, context);
  }
  return waitForPerson(run, candidate, context);
}

export function isPossible({ preconditions }: HealingCandidate): boolean {
  return preconditions.every(({ holds }) => holds);
}

/** Once is enough; twice where nobody knows what became of the first. */
function isTried(run: KeptRun, candidate: HealingCandidate): boolean {
  const { action, host, peerUri } = candidate;
  const same = run.work.orders.filter(
    (order) => order.action === action && order.host === host && order.peerUri === peerUri && !order.isRollback,
  );
  const isRefusedDry = same.some((order) => order.isDryRun && isRefusal(order.outcome));
  const real = same.filter(({ isDryRun }) => !isDryRun);
  return isRefusedDry || real.length >= 2 || real.some(({ outcome }) => outcome !== HealingOutcome.INTERRUPTED);
}

export function isRefusal(outcome: HealingOutcome): boolean {
  return [HealingOutcome.FAILED, HealingOutcome.SKIPPED, HealingOutcome.NOT_POSSIBLE].includes(outcome);
}

/** Nothing is broken by these for now: they are watched, and nobody is called. */
const QUIET_FAULTS: readonly MeshFault[] = [
  MeshFault.LINK_DEGRADED,
  MeshFault.ASYMMETRIC_LOSS,
  MeshFault.LINK_FLAPPING,
  MeshFault.REDUNDANCY_LOST,
];

function handOver(run: KeptRun, nowMs: number): KeptRun {
  const hasActed = run.work.orders.some(({ isDryRun }) => !isDryRun);
  if (hasActed) return escalated(run, "Executed and not recovered: a person has to look.", nowMs);
  if (QUIET_FAULTS.includes(run.fault)) {
    return told(run, HealingState.WATCHING, "Nothing can be done about it from here.", nowMs);
  }
  return escalated(run, "Nothing can be done about it from here: a person has to look.", nowMs);
}

function escalated(run: KeptRun, sentence: string, nowMs: number): KeptRun {
  const action = HealingAction.ASK_PERSON;
  const next = withWork({ ...run, state: HealingState.ESCALATED }, { told: sentence });
  return withStep(next, { atMs: nowMs, phase: HealingPhase.PLAN, sentence, action });
}

/** What would be done is gone through without effect first, so that whoever decides knows whether it can be done at all. */
function waitForPerson(run: KeptRun, candidate: HealingCandidate, context: CycleContext): Advanced {
  const { nowMs, term } = context;
  const sentence = `To ${actionPhrase(candidate)} waits for a person.`;
  const waiting = told(run, HealingState.WAITING_FOR_APPROVAL, sentence, nowMs);
  const { action, host, peerUri } = candidate;
  const isDone = run.work.orders.some(
    (each) => each.isDryRun && each.action === action && each.host === host && each.peerUri === peerUri,
  );
  if (isDone) return stay(waiting);
  const sent = withOrder(waiting, { candidate, by: THE_LOOP, term, nowMs, isDryRun: true });
  return { run: sent.run, order: sent.order, learned: null };
}

function send(run: KeptRun, candidate: HealingCandidate, by: string, { nowMs, term }: CycleContext): Advanced {
  const started = withWork(
    { ...run, state: HealingState.EXECUTING, approvedBy: by },
    { approval: null, told: "", verifyUntilMs: 0, clearSinceMs: null },
  );
  const sent = withOrder(started, { candidate, by, term, nowMs });
  const { action, host, blastRadius } = candidate;
  const sentence = `${host} is told to ${actionPhrase(candidate)}. Touched meanwhile: ${blastRadius}`;
  const step = { atMs: nowMs, phase: HealingPhase.EXECUTE, sentence, action, host };
  return { run: withStep(sent.run, step), order: sent.order, learned: null };
}

function withoutApproval(run: KeptRun, why: string, nowMs: number): KeptRun {
  const sentence = `What was approved is not done. ${why}`;
  return withStep(withWork(run, { approval: null }), { atMs: nowMs, phase: HealingPhase.PLAN, sentence });
}

function sendApproved(run: KeptRun, context: CycleContext): Advanced {
  const { candidate, by } = run.work.approval!;
  const { action, host, peerUri } = candidate;
  const now = run.candidates.find((each) => each.action === action && each.host === host && each.peerUri === peerUri);
  const failed = now?.preconditions.find(({ holds }) => !holds);
  if (!now || failed) {
    return stay(withoutApproval(run, failed?.sentence ?? "It is no longer among what could be done.", context.nowMs));
  }
  return send(run, now, by, context);
}

function verify(run: KeptRun, context: CycleContext, isHeld: boolean): Advanced {
  const { nowMs } = context;
  if (isHeld) return recovered(run, context);
  const isOver = nowMs >= run.work.verifyUntilMs && run.work.clearSinceMs === null;
  if (!isOver || context.obstacle !== "") return stay(run);
  const last = run.work.orders.at(-1)!;
  const learned = outcomeOf(run, false);
  const sentence = `Executed, not recovered: ${seconds(nowMs - last.sentAtMs)} after the order the symptom is not gone.`;
  const evidence = run.work.evidence;
  const step = { atMs: nowMs, phase: HealingPhase.VERIFY, sentence, evidence, action: last.action, host: last.host };
  const failed = withStep(withLastOrder(withWork(run, { verifyUntilMs: 0 }), { isHealed: false }), step);
  if (needsRollback(last) && !isRolledBack(run, last)) return { ...rollBack(failed, context), learned };
  const next = watch({ ...failed, state: HealingState.WATCHING }, context);
  return { ...next, learned };
}

function rollBack(run: KeptRun, { nowMs, term }: CycleContext): Advanced {
  const last = run.work.orders.at(-1)!;
  const candidate = { ...last, action: HealingAction.REMOVE_PEER };
  const rolling = { ...run, state: HealingState.ROLLING_BACK };
  const sent = withOrder(rolling, { candidate, by: THE_LOOP, term, nowMs, isRollback: true });
  const sentence = `It did not help and is taken back: ${last.host} is told to ${actionPhrase(candidate)}.`;
  const step = { atMs: nowMs, phase: HealingPhase.EXECUTE, sentence, action: candidate.action, host: last.host };
  return { run: withStep(sent.run, step), order: sent.order, learned: null };
}

/** The symptom was gone for the hold time. Whose doing it was depends on whether the order is known to have been taken. */
function recovered(run: KeptRun, { nowMs, settings }: CycleContext): Advanced {
  const last = run.work.orders.at(-1)!;
  const wasTaken = last.outcome === HealingOutcome.DONE || last.answeredAtMs > 0;
  const atMs = nowMs;
  if (!wasTaken) {
    const sentence = "The symptom is gone and stayed away; whether the order was carried out is not known.";
    const ended = { ...run, state: HealingState.CLEARED, endedAtMs: nowMs };
    return stay(withStep(ended, { atMs, phase: HealingPhase.VERIFY, sentence }));
  }
  const timeToRepairMs = nowMs - run.firstSymptomAtMs;
  const instead =
    last.action === HealingAction.ADD_PEER ? " The added peer carries it; what was down may still be." : "";
  const sentence = `Healed: the symptom was gone for ${seconds(settings.holdMs)}, ${seconds(timeToRepairMs)} after it was first seen.${instead}`;
  const ended = { ...run, state: HealingState.HEALED, endedAtMs: nowMs, timeToRepairMs };
  const step = { atMs, phase: HealingPhase.VERIFY, sentence, action: last.action, host: last.host };
  return {
    run: withStep(withLastOrder(ended, { isHealed: true }), step),
    order: null,
    learned: outcomeOf(ended, true),
  };
}

/** Only what is known to have been done teaches anything. */
function outcomeOf(run: KeptRun, isHealed: boolean): VerifiedOutcome | null {
  const last = run.work.orders.at(-1)!;
  if (last.outcome !== HealingOutcome.DONE) return null;
  return { fault: run.fault, action: last.action, isHealed, repairTimeMs: run.timeToRepairMs };
}
