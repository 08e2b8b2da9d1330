/** What a person may decide about a run, and when. */
import { ErrorCode, Failure } from "../../errors/index.ts";
import { isPossible } from "./cycle.ts";
import {
  HealingAction,
  type HealingCandidate,
  HealingMode,
  HealingPhase,
  HealingState,
  type KeptRun,
} from "./model.ts";
import { isEnded, outstandingOrder, withStep, withWork } from "./run-edit.ts";
import { actionPhrase } from "./words.ts";

export interface HealingDecisionInput {
  readonly runId: string;
  readonly decision: "approve" | "stop";
  /** Index among the run's candidates; absent or `null` = the first that is not held back. */
  readonly candidate?: number | null;
  /** Who decides. */
  readonly by: string;
  readonly reason: string;
}

const MAX_REASON = 500;

function because(reason: string): string {
  return reason.trim() === "" ? "." : `: ${reason.trim().slice(0, MAX_REASON)}`;
}

/** @throws Failure NOTHING_PENDING */
export function stopped(run: KeptRun, { by, reason }: HealingDecisionInput, nowMs: number): KeptRun {
  if (isEnded(run)) throw nothing("This run has ended: there is nothing to stop.");
  const order = outstandingOrder(run);
  const rest = order && !order.isDryRun ? " An order that is under way is not called back." : "";
  const ended = { ...run, state: HealingState.STOPPED, endedAtMs: nowMs, approvedBy: by };
  const sentence = `${by} stopped it${because(reason)}${rest}`;
  const muted = withWork(ended, { isMuted: true, approval: null });
  return withStep(muted, { atMs: nowMs, phase: HealingPhase.PLAN, sentence });
}

const APPROVABLE: readonly HealingState[] = [
  HealingState.WATCHING,
  HealingState.WAITING_FOR_APPROVAL,
  HealingState.ESCALATED,
];

/** @throws Failure NOTHING_PENDING, INVALID_ARGUMENT */
export function approved(run: KeptRun, input: HealingDecisionInput, mode: HealingMode, nowMs: number): KeptRun {
  if (isEnded(run)) throw nothing("This run has ended: there is nothing to approve.");
  if (!APPROVABLE.includes(run.state)) throw nothing("Something is being done about it now.", "Wait for its end.");
  if (mode === HealingMode.OBSERVE) {
    throw nothing("Faults are observed only: nothing is done in this mode.", "Set the mode to suggest first.");
  }
  const candidate = chosen(run, input.candidate ?? null);
  const { by, reason } = input;
  const sentence = `${by} approved to ${actionPhrase(candidate)}${because(reason)}`;
  const next = withWork(run, { approval: { candidate, by, reason: reason.slice(0, MAX_REASON), atMs: nowMs } });
  return withStep(next, { atMs: nowMs, phase: HealingPhase.PLAN, sentence, action: candidate.action });
}

/** A person may do what is held back only by naming it; what cannot work nobody does. */
function chosen(run: KeptRun, index: number | null): HealingCandidate {
  if (index === null) {
    const first = run.candidates.find((each) => isDoable(each) && each.heldBack === "");
    if (!first) throw nothing("There is nothing that could be done about it now.");
    return first;
  }
  const candidate = run.candidates[index];
  if (!candidate) throw invalid(`There is no candidate number ${index}: this run has ${run.candidates.length}.`);
  if (candidate.action === HealingAction.ASK_PERSON) throw invalid("To ask a person is nothing to approve.");
  const failed = candidate.preconditions.find(({ holds }) => !holds);
  if (failed) throw nothing(`It cannot be done now. ${failed.sentence}`);
  return candidate;
}

function isDoable(candidate: HealingCandidate): boolean {
  return candidate.action !== HealingAction.ASK_PERSON && isPossible(candidate);
}

function nothing(message: string, hint = ""): Failure {
  return new Failure({ code: ErrorCode.NOTHING_PENDING, message, hint });
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}
