/** Changes of runs: each gives a new run and leaves the old one as it was. */
import { type Diagnosis, SAME_INCIDENT_MS } from "./analyse.ts";
import {
  HealingAction,
  type HealingCandidate,
  type HealingMode,
  HealingOutcome,
  HealingPhase,
  HealingState,
  type HealingStep,
  type KeptRun,
  MAX_EVIDENCE,
  MAX_STEPS,
  type PlannedOrder,
  type RunWork,
  type SentOrder,
} from "./model.ts";
import { TIMES } from "./thresholds.ts";

const MAX_SENTENCE = 500;
/** Steps at the start that stay when a run has too many. */
const KEPT_FIRST = 10;

export interface StepParts extends Partial<HealingStep> {
  readonly atMs: number;
  readonly phase: HealingPhase;
  readonly sentence: string;
}

export function withStep(run: KeptRun, parts: StepParts): KeptRun {
  const step: HealingStep = {
    ...{ action: HealingAction.UNSPECIFIED, host: "", outcome: HealingOutcome.UNSPECIFIED, isDryRun: false },
    ...parts,
    sentence: parts.sentence.slice(0, MAX_SENTENCE),
    evidence: (parts.evidence ?? []).slice(0, MAX_EVIDENCE).map((each) => each.slice(0, MAX_SENTENCE)),
  };
  const steps = [...run.steps, step];
  if (steps.length > MAX_STEPS) steps.splice(KEPT_FIRST, steps.length - MAX_STEPS);
  return { ...run, steps };
}

export function withWork(run: KeptRun, work: Partial<RunWork>): KeptRun {
  return { ...run, work: { ...run.work, ...work } };
}

export interface RunOrigin {
  readonly id: string;
  readonly mode: HealingMode;
  readonly term: bigint;
  readonly coordinator: string;
  readonly nowMs: number;
}

export function newRun(found: Diagnosis, origin: RunOrigin): KeptRun {
  const { fault, target, cause, confidence, hosts, provider, sinceMs } = found;
  const { id, mode, coordinator, nowMs } = origin;
  const run: KeptRun = {
    ...{ id, fault, target, cause, confidence, hosts, mode, coordinator },
    ...{ state: HealingState.WATCHING, candidates: [], steps: [] },
    ...{ firstSymptomAtMs: sinceMs, detectedAtMs: nowMs, endedAtMs: null, timeToRepairMs: null },
    ...{ approvedBy: "", term: origin.term.toString() },
    work: {
      ...{ provider, orders: [], clearSinceMs: null, verifyUntilMs: 0, approval: null, isMuted: false, told: "" },
      ...{ observers: found.observers, symptoms: found.symptoms, peers: found.peers, evidence: found.evidence },
    },
  };
  const seen = { phase: HealingPhase.MONITOR, evidence: found.evidence };
  const first = withStep(run, { ...seen, atMs: sinceMs, sentence: found.evidence[0] ?? cause });
  return withStep(first, { atMs: nowMs, phase: HealingPhase.ANALYSE, sentence: cause });
}

/** What is known of the fault now. A step only where its nature or its cause changed. */
export function refreshed(run: KeptRun, found: Diagnosis, nowMs: number): KeptRun {
  const { fault, target, cause, confidence, hosts, provider, observers, symptoms, peers, evidence } = found;
  const isOther = fault !== run.fault || target !== run.target;
  const isSame = !isOther && cause === run.cause && sameTexts(symptoms, run.work.symptoms);
  if (isSame && sameTexts(hosts, run.hosts)) return run;
  const changed = { ...run, fault, target, cause, confidence, hosts, firstSymptomAtMs: firstSymptomOf(run, found) };
  const next = withWork(changed, { provider, observers, symptoms, peers, evidence });
  if (!isOther && cause === run.cause) return next;
  return withStep(next, { atMs: nowMs, phase: HealingPhase.ANALYSE, sentence: cause, evidence });
}

/**
 * A run that was open for something older, and that nobody has done anything about, is of the new fault from the new fault's
 * first symptom on: the time to repair a daemon that was killed now does not begin with a link that flapped a minute ago.
 */
function firstSymptomOf(run: KeptRun, { fault, target, sinceMs }: Diagnosis): number {
  const isOther = fault !== run.fault || target !== run.target;
  const isLater = sinceMs - run.firstSymptomAtMs >= SAME_INCIDENT_MS;
  if (isOther && isLater && run.work.orders.length === 0) return sinceMs;
  return Math.min(run.firstSymptomAtMs, sinceMs);
}

function sameTexts(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index]);
}

export function outstandingOrder(run: KeptRun): SentOrder | null {
  const last = run.work.orders.at(-1);
  return last && last.outcome === HealingOutcome.UNSPECIFIED ? last : null;
}

export interface OrderParts {
  readonly candidate: Pick<HealingCandidate, "action" | "host" | "provider" | "peerUri" | "gatewayKey">;
  readonly by: string;
  readonly term: bigint;
  readonly nowMs: number;
  readonly isDryRun?: boolean;
  readonly isRollback?: boolean;
}

export function withOrder(run: KeptRun, parts: OrderParts): { readonly run: KeptRun; readonly order: PlannedOrder } {
  const { candidate, by, term, nowMs, isDryRun = false, isRollback = false } = parts;
  const { action, host, provider, peerUri, gatewayKey } = candidate;
  const last = run.work.orders.at(-1);
  const number = last ? Number(last.id.slice(last.id.lastIndexOf("/") + 1)) + 1 : 1;
  const sent: SentOrder = {
    id: `${run.id}/${number}`,
    ...{ target: run.target, action, host, provider, peerUri, gatewayKey, term: term.toString(), sentAtMs: nowMs },
    ...{ expiresAtMs: nowMs + TIMES.orderValidMs, approvedBy: by, isDryRun, isRollback },
    ...{ outcome: HealingOutcome.UNSPECIFIED, answeredAtMs: 0, isHealed: null },
  };
  return {
    run: withWork(run, { orders: [...run.work.orders, sent].slice(-MAX_ORDERS) }),
    order: plannedOrder(run, sent),
  };
}

/** More than any run comes to: each candidate is tried at most twice. */
const MAX_ORDERS = 64;

export function plannedOrder(run: KeptRun, sent: SentOrder): PlannedOrder {
  const { id, target = run.target, action, host, provider, peerUri, expiresAtMs, approvedBy, isDryRun, term } = sent;
  return {
    ...{ id, runId: run.id, action, target, provider, peerUri, expiresAtMs, approvedBy, host },
    ...{ term: BigInt(term), dryRun: isDryRun },
  };
}

export function withLastOrder(run: KeptRun, change: Partial<SentOrder>): KeptRun {
  const { orders } = run.work;
  const last = orders.at(-1);
  return last ? withWork(run, { orders: [...orders.slice(0, -1), { ...last, ...change }] }) : run;
}

export function isEnded(run: KeptRun): boolean {
  return run.endedAtMs !== null;
}
