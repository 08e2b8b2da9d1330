/** Makes messages of what is due, for each receiver no more than it can stand, and notes who was told of what. */
import type { BookState } from "./book-state.ts";
import { byUrgency, type ChannelView, earliest, judgeChannel, receiversOf } from "./channels.ts";
import { idOf } from "./identity.ts";
import {
  type Alert,
  type AlertMessage,
  type AlertRule,
  MOST_LISTED,
  MOST_LISTED_WITH_STATE,
  type ReceiverTraits,
  SEVERITY_RANK,
} from "./model.ts";
import { nextTokenAt, refilled } from "./rate.ts";

interface DueChannel {
  readonly groupKey: string;
  readonly receiver: ReceiverTraits;
  readonly view: ChannelView;
  readonly repeatSeconds: number;
}

export interface Told {
  readonly messages: readonly AlertMessage[];
  readonly dueAtMs: number | null;
}

export class Teller {
  readonly #state: BookState;
  #isDirty = true;

  constructor(state: BookState) {
    this.#state = state;
  }

  tell(rules: ReadonlyMap<string, AlertRule>, receivers: ReadonlyMap<string, ReceiverTraits>, nowMs: number): Told {
    const { due, laterAtMs } = this.#judge(rules, receivers, nowMs);
    const messages: AlertMessage[] = [];
    let dueAtMs = laterAtMs;
    for (const [name, channels] of due) {
      const receiver = receivers.get(name) as ReceiverTraits;
      const sent = receiver.keepsState
        ? this.#tellAll(receiver, channels, nowMs)
        : this.#tellSome(receiver, channels, nowMs);
      messages.push(...sent.messages);
      dueAtMs = earliest(dueAtMs, sent.dueAtMs);
    }
    // A told channel comes due again as a reminder; that is found by judging it anew.
    if (messages.length > 0) dueAtMs = earliest(dueAtMs, this.#judge(rules, receivers, nowMs).laterAtMs);
    this.#forgetOldChannels(rules, nowMs);
    return { messages, dueAtMs };
  }

  #judge(rules: ReadonlyMap<string, AlertRule>, receivers: ReadonlyMap<string, ReceiverTraits>, nowMs: number) {
    const due = new Map<string, DueChannel[]>();
    let laterAtMs: number | null = null;
    for (const [groupKey, alerts] of this.#groups()) {
      const rule = rules.get(alerts[0]?.rule ?? "");
      if (!rule) continue;
      for (const [name, afterMs] of receiversOf(rule)) {
        const receiver = receivers.get(name);
        if (!receiver) continue;
        const state = this.#state.channel(groupKey, name);
        const view = judgeChannel({ rule, receiver, afterMs, state, alerts, nowMs });
        laterAtMs = earliest(laterAtMs, view.laterAtMs);
        if (view.dueAtMs === null) continue;
        if (view.dueAtMs > nowMs) laterAtMs = earliest(laterAtMs, view.dueAtMs);
        else {
          const channels = due.get(name) ?? [];
          channels.push({ groupKey, receiver, view, repeatSeconds: rule.repeatSeconds });
          due.set(name, channels);
        }
      }
    }
    return { due, laterAtMs };
  }

  #groups(): ReadonlyMap<string, Alert[]> {
    const groups = new Map<string, Alert[]>();
    for (const alert of this.#state.alerts.values()) {
      if (alert.firedAtMs === null) continue;
      const members = groups.get(alert.groupKey);
      if (members) members.push(alert);
      else groups.set(alert.groupKey, [alert]);
    }
    return groups;
  }

  /** A receiver with a state of its own gets everything, in messages that it can take. */
  #tellAll(receiver: ReceiverTraits, channels: readonly DueChannel[], nowMs: number): Told {
    const messages: AlertMessage[] = [];
    for (const channel of channels) {
      const { view: whole } = channel;
      const news = whole.isReminder ? whole.firing : whole.untold.filter(isFiring);
      const alerts = [...news, ...endedOf(whole)];
      for (let start = 0; start < alerts.length; start += MOST_LISTED_WITH_STATE) {
        const part = alerts.slice(start, start + MOST_LISTED_WITH_STATE);
        const view = {
          ...channel.view,
          firing: part.filter(isFiring),
          untold: [],
          ended: part.filter((a) => !isFiring(a)),
        };
        messages.push(this.#message(receiver, [{ ...channel, view }], nowMs, start));
      }
      this.#note(channel, nowMs);
    }
    return { messages, dueAtMs: null };
  }

  /** The worst first; what there is no message left for goes together into the last one. */
  #tellSome(receiver: ReceiverTraits, channels: DueChannel[], nowMs: number): Told {
    const bucket = refilled(this.#state.bucket(receiver.name), nowMs);
    if (bucket.tokens < 1) return { messages: [], dueAtMs: nextTokenAt(bucket) };
    const sorted = channels.sort(byWorst);
    const isEnough = sorted.length <= bucket.tokens;
    const single = isEnough ? sorted : sorted.slice(0, bucket.tokens - 1);
    const messages = single.map((channel, index) => this.#message(receiver, [channel], nowMs, index));
    if (!isEnough) messages.push(this.#message(receiver, sorted.slice(single.length), nowMs, single.length));
    for (const channel of sorted) this.#note(channel, nowMs);
    this.#state.setBucket(receiver.name, { ...bucket, tokens: bucket.tokens - messages.length });
    return { messages, dueAtMs: null };
  }

  #message(receiver: ReceiverTraits, channels: readonly DueChannel[], nowMs: number, index: number): AlertMessage {
    const firing = channels.flatMap(({ view }) => view.firing).sort(byUrgency);
    const resolved = channels.flatMap(({ view }) => endedOf(view)).sort(byUrgency);
    const most = receiver.keepsState ? MOST_LISTED_WITH_STATE : MOST_LISTED;
    const [first] = channels;
    const groupKey = first && channels.length === 1 ? first.groupKey : "";
    const all = [...firing, ...resolved];
    return {
      id: idOf(receiver.name, groupKey, nowMs, index),
      receiver: receiver.name,
      groupKey,
      rules: [...new Set(all.map(({ rule }) => rule))].sort().slice(0, MOST_LISTED),
      kind: channels.some(({ view }) => view.kind === "firing") ? "firing" : "resolved",
      isReminder: channels.every(({ view }) => view.isReminder),
      severity: all.reduce((worst, alert) => (byUrgency(worst, alert) <= 0 ? worst : alert)).severity,
      madeAtMs: nowMs,
      firing: firing.slice(0, most),
      firingCount: firing.length,
      resolved: resolved.slice(0, most),
      resolvedCount: resolved.length,
      groupCount: channels.length,
      repeatSeconds: channels.reduce((most, { repeatSeconds }) => Math.max(most, repeatSeconds), 0),
    };
  }

  #note({ groupKey, receiver: { name }, view }: DueChannel, nowMs: number): void {
    for (const alert of view.untold) {
      const hasEnded = alert.state === "resolved";
      const endToldTo = hasEnded ? [...alert.endToldTo, name] : alert.endToldTo;
      this.#put({ ...alert, toldTo: [...alert.toldTo, name], endToldTo });
    }
    for (const alert of view.ended) this.#put({ ...alert, endToldTo: [...alert.endToldTo, name] });
    const before = this.#state.channel(groupKey, name);
    this.#state.setChannel(
      groupKey,
      name,
      view.kind === "firing" ? { ...before, lastFiringMs: nowMs } : { ...before, lastEndMs: nowMs },
    );
    this.#isDirty = true;
  }

  /** Another receiver may have noted something of the same alert meanwhile. */
  #put(change: Alert): void {
    const now = this.#state.alerts.get(change.id);
    const union = (one: readonly string[], other: readonly string[] = []) => [...new Set([...other, ...one])];
    this.#state.put({
      ...change,
      toldTo: union(change.toldTo, now?.toldTo),
      endToldTo: union(change.endToldTo, now?.endToldTo),
    });
  }

  #forgetOldChannels(rules: ReadonlyMap<string, AlertRule>, nowMs: number): void {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    const groups = this.#groups();
    this.#state.forgetChannels((groupKey, _receiver, { lastFiringMs, lastEndMs }) => {
      const rule = rules.get((JSON.parse(groupKey) as string[])[0] ?? "");
      const last = Math.max(lastFiringMs ?? 0, lastEndMs ?? 0);
      return rule !== undefined && (groups.has(groupKey) || nowMs - last < rule.repeatSeconds * 1000);
    });
  }
}

function endedOf({ untold, ended }: ChannelView): Alert[] {
  return [...untold.filter((alert) => !isFiring(alert)), ...ended];
}

function isFiring({ state }: Alert): boolean {
  return state === "firing";
}

function byWorst(one: DueChannel, other: DueChannel): number {
  const bySeverity = worstOf(other.view) - worstOf(one.view);
  return bySeverity || (one.groupKey < other.groupKey ? -1 : 1);
}

function worstOf({ firing, untold, ended }: ChannelView): number {
  return [...firing, ...untold, ...ended].reduce((most, { severity }) => Math.max(most, SEVERITY_RANK[severity]), 0);
}
