/**
 * The alerts of one console as a state machine: pending, firing, resolved, and who was told. Pure: the same observations at
 * the same times give the same messages, and a book that goes on from its saved state behaves as if it had never stopped.
 *
 * What holds: every alert that fires is delivered, held back by a silence or an acknowledgement, or counted in a message; one
 * receiver gets no two messages of a kind about one group within the repeat time of its rule.
 */
import { BookState, type SavedBook } from "./book-state.ts";
import { earliest, isDoneFor, isHeldBack, receiversOf } from "./channels.ts";
import { groupKeyOf, idOf } from "./identity.ts";
import {
  type Alert,
  type AlertMessage,
  type AlertRule,
  MOST_ALERTS,
  type Observation,
  type ReceiverTraits,
  SEVERITY_RANK,
  type Silence,
} from "./model.ts";
import { Overflow } from "./overflow.ts";
import { silencedBy } from "./silence.ts";
import { Teller } from "./teller.ts";

/** Time between two looks that counts: a condition that nobody watched did not "hold". */
const LONGEST_STEP_MS = 60_000;
/** An event that nobody says anything of any more is over. */
const STALE_EVENT_MS = 86_400_000;

export interface BookSettings {
  readonly rules: readonly AlertRule[];
  readonly silences: readonly Silence[];
  readonly receivers: readonly ReceiverTraits[];
}

export interface BookOptions extends BookSettings {
  readonly saved?: SavedBook | null;
  readonly mostAlerts?: number;
  readonly longestStepMs?: number;
}

/** What has changed since the last time it was asked. */
export interface BookChanges {
  /** New or changed, still in the book. */
  readonly alerts: readonly Alert[];
  /** Left the book; they fired once. */
  readonly closed: readonly Alert[];
  /** Ids of alerts that never fired and are gone. */
  readonly dropped: readonly string[];
  /** Everything else, by name; `null` = gone. */
  readonly pieces: readonly (readonly [name: string, json: string | null])[];
}

export class AlertBook {
  readonly #state: BookState;
  readonly #overflow: Overflow;
  readonly #teller: Teller;
  readonly #longestStepMs: number;
  readonly #mostAlerts: number;
  #rules = new Map<string, AlertRule>();
  #silences: readonly Silence[] = [];
  #receivers = new Map<string, ReceiverTraits>();
  #dueAtMs: number | null = 0;
  #silencesDueAtMs = 0;
  #hasChanged = true;

  /** @throws RangeError when the saved state is not one */
  constructor(options: BookOptions) {
    this.#mostAlerts = options.mostAlerts ?? MOST_ALERTS;
    this.#longestStepMs = options.longestStepMs ?? LONGEST_STEP_MS;
    this.#state = new BookState(options.saved ?? null);
    this.#overflow = new Overflow(this.#state);
    this.#teller = new Teller(this.#state);
    this.configure(options);
  }

  /** Other rules, silences or receivers from now on. Alerts of rules that are gone or turned off end. */
  configure({ rules, silences, receivers }: BookSettings): void {
    this.#rules = new Map(rules.filter(({ enabled }) => enabled).map((rule) => [rule.name, rule]));
    this.#silences = silences;
    this.#receivers = new Map(receivers.map((receiver) => [receiver.name, receiver]));
    this.#silencesDueAtMs = 0;
    this.#hasChanged = true;
  }

  /** Pending, firing, and ended ones that somebody has still to be told of. */
  alerts(): readonly Alert[] {
    return [...this.#state.alerts.values()];
  }

  find(id: string): Alert | null {
    return this.#state.alerts.get(id) ?? null;
  }

  /** How many observations found no room, since the book was made. */
  get overflowed(): number {
    return this.#overflow.total;
  }

  /** Until when nothing happens by itself; `null` = nothing will. */
  nextDueMs(): number | null {
    return this.#hasChanged ? this.#state.nowMs : this.#dueAtMs;
  }

  observe(observation: Observation, nowMs: number): void {
    this.#setClock(nowMs);
    const rule = this.#rules.get(observation.rule);
    if (!rule) return;
    const live = this.#state.live(observation.rule, observation.key);
    if (observation.holds) {
      if (live) this.#refresh(live, rule, observation);
      else this.#begin(rule, observation);
    } else if (live) this.#end(live);
    else if (
      observation.isEvent &&
      rule.forSeconds === 0 &&
      !this.#state.wasClosed(observation.rule, observation.key)
    ) {
      const begun = this.#begin(rule, observation);
      if (begun) this.#end(this.#fire(begun));
    }
  }

  /** Everything that a rule says now: what is not among it has ended, but for what nobody knows anything of. */
  observeAll(
    ruleName: string,
    observations: readonly Observation[],
    nowMs: number,
    isUnknown: (alert: Alert) => boolean = () => false,
  ): void {
    this.#setClock(nowMs);
    const keys = new Set(observations.map(({ key }) => key));
    for (const observation of observations) this.observe(observation, nowMs);
    for (const alert of this.#state.liveOf(ruleName)) {
      if (!keys.has(alert.key) && !Overflow.is(alert) && !isUnknown(alert)) this.#end(alert);
    }
  }

  /** Ends escalation and reminders. The alert as it is then; `null` when it does not fire. */
  acknowledge(id: string, actor: string, nowMs: number): Alert | null {
    this.#setClock(nowMs);
    const alert = this.#state.alerts.get(id);
    if (alert?.state !== "firing") return null;
    return this.#put({ ...alert, acknowledgedBy: actor, acknowledgedAtMs: this.#state.nowMs });
  }

  /** What has to be sent now. It is handed out once: whoever takes it keeps it until it is delivered. */
  advance(nowMs: number): readonly AlertMessage[] {
    this.#setClock(nowMs);
    const now = this.#state.nowMs;
    if (!this.#hasChanged && (this.#dueAtMs === null || now < this.#dueAtMs)) return [];
    this.#hasChanged = false;
    this.#endRuleless();
    for (const alert of this.#overflow.alerts(this.#rules, now)) this.#put(alert);
    let due = this.#passTime(now);
    this.#judgeSilences(now);
    const told = this.#teller.tell(this.#rules, this.#receivers, now);
    due = earliest(due, told.dueAtMs);
    this.#close(now);
    this.#dueAtMs = earliest(due, Number.isFinite(this.#silencesDueAtMs) ? this.#silencesDueAtMs : null);
    this.#hasChanged = false;
    return told.messages;
  }

  takeChanges(): BookChanges {
    return this.#state.takeChanges();
  }

  save(): SavedBook {
    return this.#state.save();
  }

  /** Clocks are set back and machines sleep: nothing may come twice, or not at all, because of it. */
  #setClock(nowMs: number): void {
    const before = this.#state.nowMs;
    if (nowMs === before) return;
    if (nowMs < before) {
      this.#state.clampTo(nowMs);
      this.#hasChanged = true;
      this.#silencesDueAtMs = 0;
    } else if (before > 0 && nowMs - before > this.#longestStepMs) {
      const unwatchedMs = nowMs - before - this.#longestStepMs;
      for (const alert of this.alerts()) {
        if (alert.state === "pending") this.#put({ ...alert, beganAtMs: alert.beganAtMs + unwatchedMs });
      }
    }
    this.#state.setNow(nowMs);
  }

  #begin(rule: AlertRule, observation: Observation): Alert | null {
    const now = this.#state.nowMs;
    if (this.#state.alerts.size >= this.#mostAlerts) {
      this.#overflow.count(rule.name, now);
      this.#hasChanged = true;
      return null;
    }
    const { key, severity, sentence, hostId, host, findingId } = observation;
    const labels = { ...observation.labels, rule: rule.name, severity };
    const alert: Alert = {
      ...{ id: idOf(rule.name, key, now), rule: rule.name, key, state: "pending", severity, sentence, hostId, host },
      ...{ findingId, labels, groupKey: groupKeyOf(rule, observation) },
      ...{ beganAtMs: now, firedAtMs: null, endedAtMs: null, seenAtMs: observation.isEvent ? now : 0 },
      ...{ silencedBy: "", acknowledgedBy: "", acknowledgedAtMs: null, escalationStep: 0, toldTo: [], endToldTo: [] },
    };
    return this.#put({ ...alert, silencedBy: silencedBy(alert, this.#silences, now) });
  }

  /** What grew worse is news again, whoever had acknowledged what it was before. */
  #refresh(alert: Alert, rule: AlertRule, observation: Observation): void {
    const { sentence, severity, isEvent } = observation;
    const isWorse = SEVERITY_RANK[severity] > SEVERITY_RANK[alert.severity];
    if (alert.sentence === sentence && !isWorse && !isEvent) return;
    const seen = { ...alert, sentence, seenAtMs: isEvent ? this.#state.nowMs : 0 };
    if (!isWorse) {
      this.#put(seen);
      return;
    }
    const labels = { ...alert.labels, ...observation.labels, rule: rule.name, severity };
    const news = { toldTo: [], endToldTo: [], acknowledgedBy: "", acknowledgedAtMs: null };
    const worse: Alert = { ...seen, severity, labels, groupKey: groupKeyOf(rule, observation), ...news };
    this.#put({ ...worse, silencedBy: silencedBy(worse, this.#silences, this.#state.nowMs) });
  }

  #fire(alert: Alert, atMs = this.#state.nowMs): Alert {
    return this.#put({ ...alert, state: "firing", firedAtMs: atMs });
  }

  #end(alert: Alert): void {
    const rule = this.#rules.get(alert.rule);
    const firesAtMs = alert.beganAtMs + (rule?.forSeconds ?? 0) * 1000;
    // It may have held long enough between two looks.
    const hasHeld = alert.state === "pending" && rule !== undefined && firesAtMs <= this.#state.nowMs;
    const fired = hasHeld ? this.#fire(alert, firesAtMs) : alert;
    if (fired.state === "firing") this.#put({ ...fired, state: "resolved", endedAtMs: this.#state.nowMs });
    else if (fired.state === "pending") this.#state.drop(fired);
    this.#hasChanged = true;
  }

  #put(alert: Alert): Alert {
    this.#state.put(alert);
    this.#hasChanged = true;
    return alert;
  }

  #endRuleless(): void {
    for (const alert of this.alerts()) if (!this.#rules.has(alert.rule)) this.#end(alert);
  }

  /** Fires what has held long enough, ends what went stale, and reaches later steps. Returns when that is needed next. */
  #passTime(now: number): number | null {
    let due: number | null = null;
    for (const alert of this.alerts()) {
      const rule = this.#rules.get(alert.rule);
      if (!rule) continue;
      if (alert.state === "pending") {
        const firesAtMs = alert.beganAtMs + rule.forSeconds * 1000;
        if (firesAtMs <= now) this.#fire(alert, firesAtMs);
        else due = earliest(due, firesAtMs);
      } else if (alert.state === "firing") {
        if (alert.seenAtMs > 0 && now - alert.seenAtMs >= STALE_EVENT_MS) this.#end(alert);
        else due = earliest(due, this.#escalate(alert, rule, now));
        if (alert.seenAtMs > 0) due = earliest(due, alert.seenAtMs + STALE_EVENT_MS);
      }
    }
    return due;
  }

  #escalate(alert: Alert, { steps }: AlertRule, now: number): number | null {
    if (isHeldBack(alert)) return null;
    const sinceMs = now - (alert.firedAtMs ?? now);
    const reached = steps.findLastIndex(({ afterSeconds }) => afterSeconds * 1000 <= sinceMs);
    if (reached > alert.escalationStep) this.#put({ ...alert, escalationStep: reached });
    const next = steps[Math.max(reached, alert.escalationStep) + 1];
    return next ? (alert.firedAtMs ?? now) + next.afterSeconds * 1000 : null;
  }

  #judgeSilences(now: number): void {
    if (now < this.#silencesDueAtMs) return;
    const ends = this.#silences.map(({ untilMs }) => untilMs).filter((untilMs) => untilMs > now);
    this.#silencesDueAtMs = Math.min(...ends, Number.POSITIVE_INFINITY);
    for (const alert of this.alerts()) {
      const holder = silencedBy(alert, this.#silences, now);
      // What ended while it was silenced stays so.
      if (holder !== alert.silencedBy && alert.state !== "resolved") this.#put({ ...alert, silencedBy: holder });
    }
  }

  /** Ended alerts leave once everybody was told who has to be. */
  #close(now: number): void {
    for (const alert of this.alerts()) {
      if (alert.state !== "resolved") continue;
      const rule = this.#rules.get(alert.rule);
      const delays = rule ? receiversOf(rule) : new Map<string, number>();
      const isDone = [...delays].every(([name, afterMs]) => {
        const receiver = this.#receivers.get(name);
        return !receiver || isDoneFor(alert, receiver, afterMs, now);
      });
      if (isDone) this.#state.close(alert);
    }
  }
}
