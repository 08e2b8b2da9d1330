/** What one receiver has to be told of one group of alerts, and when. Pure judgement; the book keeps the state. */
import type { Alert, AlertRule, ReceiverTraits } from "./model.ts";
import { SEVERITY_RANK } from "./model.ts";

/** When one receiver was last told of one group. */
export interface ChannelState {
  readonly lastFiringMs: number | null;
  readonly lastEndMs: number | null;
}

export const NEW_CHANNEL: ChannelState = { lastFiringMs: null, lastEndMs: null };

export interface ChannelView {
  /** Fired and not told; some may have ended meanwhile. */
  readonly untold: readonly Alert[];
  /** Everything that fires and is not held back, told or not. */
  readonly firing: readonly Alert[];
  /** Told once, and over. */
  readonly ended: readonly Alert[];
  readonly kind: "firing" | "resolved";
  readonly isReminder: boolean;
  /** When a message is due; `null` = nothing is to be told. */
  readonly dueAtMs: number | null;
  /** When something comes due that is not yet (a later step); `null` = nothing. */
  readonly laterAtMs: number | null;
}

/** The receivers of a rule, each with how long after the firing it is told: the earliest of its steps. */
export function receiversOf(rule: AlertRule): ReadonlyMap<string, number> {
  const delays = new Map<string, number>();
  for (const { afterSeconds, receivers } of rule.steps) {
    for (const receiver of receivers) {
      delays.set(receiver, Math.min(delays.get(receiver) ?? Number.POSITIVE_INFINITY, afterSeconds * 1000));
    }
  }
  return delays;
}

/** Whether the alert was there long enough to concern a receiver that is told so long after the firing. */
export function isReached(alert: Alert, afterMs: number, nowMs: number): boolean {
  if (alert.firedAtMs === null) return false;
  const reachedAtMs = alert.firedAtMs + afterMs;
  // What ended at once concerns those who are told at once.
  return alert.endedAtMs === null ? reachedAtMs <= nowMs : afterMs === 0 || reachedAtMs <= alert.endedAtMs;
}

export function isHeldBack({ silencedBy, acknowledgedBy }: Alert): boolean {
  return silencedBy !== "" || acknowledgedBy !== "";
}

/** Whether nothing of an ended alert is left to tell this receiver. */
export function isDoneFor(alert: Alert, { name, keepsState }: ReceiverTraits, afterMs: number, nowMs: number): boolean {
  const isTold = alert.toldTo.includes(name);
  if (isTold) return alert.endToldTo.includes(name) || (alert.silencedBy !== "" && !keepsState);
  return isHeldBack(alert) || !isReached(alert, afterMs, nowMs);
}

export interface ChannelQuestion {
  readonly rule: AlertRule;
  readonly receiver: ReceiverTraits;
  readonly afterMs: number;
  readonly state: ChannelState;
  /** Fired alerts of the group. */
  readonly alerts: readonly Alert[];
  readonly nowMs: number;
}

export function judgeChannel(question: ChannelQuestion): ChannelView {
  const { receiver, afterMs, nowMs, alerts } = question;
  const untold: Alert[] = [];
  const firing: Alert[] = [];
  const ended: Alert[] = [];
  let isToldFiring = false;
  let laterAtMs: number | null = null;
  for (const alert of alerts) {
    const isTold = alert.toldTo.includes(receiver.name);
    const isFiring = alert.state === "firing";
    if (isTold && isFiring) isToldFiring = true;
    if (isTold && !isFiring && !isDoneFor(alert, receiver, afterMs, nowMs)) ended.push(alert);
    if (isHeldBack(alert)) continue;
    if (isReached(alert, afterMs, nowMs)) {
      if (!isTold) untold.push(alert);
      if (isFiring) firing.push(alert);
    } else if (isFiring) laterAtMs = earliest(laterAtMs, (alert.firedAtMs ?? nowMs) + afterMs);
  }
  const view = { untold, firing, ended, laterAtMs, isReminder: false };
  if (untold.length > 0) return { ...view, kind: "firing", dueAtMs: newsDueAt(untold, question) };
  if (ended.length > 0 && (receiver.keepsState || !isToldFiring)) {
    return { ...view, kind: "resolved", dueAtMs: endDueAt(ended, question) };
  }
  if (firing.length > 0) {
    const { rule, state } = question;
    return {
      ...view,
      kind: "firing",
      isReminder: true,
      dueAtMs: (state.lastFiringMs ?? 0) + rule.repeatSeconds * 1000,
    };
  }
  return { ...view, kind: "resolved", dueAtMs: null };
}

function newsDueAt(untold: readonly Alert[], { rule, receiver, afterMs, state }: ChannelQuestion): number {
  const since = untold.reduce((least, { firedAtMs }) => Math.min(least, (firedAtMs ?? 0) + afterMs), Infinity);
  const gathered = since + rule.groupWaitSeconds * 1000;
  if (receiver.keepsState || state.lastFiringMs === null) return gathered;
  return Math.max(gathered, state.lastFiringMs + rule.repeatSeconds * 1000);
}

function endDueAt(ended: readonly Alert[], { rule, receiver, state }: ChannelQuestion): number {
  const since = ended.reduce((latest, { endedAtMs }) => Math.max(latest, endedAtMs ?? 0), 0);
  if (receiver.keepsState || state.lastEndMs === null) return since;
  return Math.max(since, state.lastEndMs + rule.repeatSeconds * 1000);
}

export function earliest(one: number | null, other: number | null): number | null {
  if (one === null) return other;
  return other === null ? one : Math.min(one, other);
}

/** Worst first, then the oldest. */
export function byUrgency(one: Alert, other: Alert): number {
  const bySeverity = SEVERITY_RANK[other.severity] - SEVERITY_RANK[one.severity];
  if (bySeverity !== 0) return bySeverity;
  if (one.beganAtMs !== other.beganAtMs) return one.beganAtMs - other.beganAtMs;
  return one.id < other.id ? -1 : 1;
}
