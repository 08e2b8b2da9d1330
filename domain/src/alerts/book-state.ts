/** What a book remembers, what of it has changed since it was last kept, and how it looks on a disk. */
import { type ChannelState, NEW_CHANNEL } from "./channels.ts";
import type { Alert } from "./model.ts";
import { type Bucket, FULL_BUCKET } from "./rate.ts";

/** Keys of events that ended: told again of one that is over is no news. */
const MOST_CLOSED = 20_000;
const CLOSED_KEPT_MS = 7 * 86_400_000;

/** JSON values all through. */
export interface SavedBook {
  readonly alerts: readonly Alert[];
  readonly pieces: readonly (readonly [name: string, json: string])[];
}

type Piece = number | object;

export class BookState {
  readonly alerts = new Map<string, Alert>();
  readonly #live = new Map<string, string>();
  readonly #pieces = new Map<string, Piece>();
  readonly #closedKeys = new Map<string, number>();
  #changedAlerts = new Set<string>();
  #closed: Alert[] = [];
  #dropped = new Set<string>();
  #changedPieces = new Set<string>();
  #nowMs = 0;

  constructor(saved: SavedBook | null) {
    if (!saved) return;
    for (const alert of saved.alerts) {
      if (typeof alert.id !== "string" || typeof alert.rule !== "string" || !Array.isArray(alert.toldTo)) {
        throw new RangeError("the saved alerts are not what they should be");
      }
      this.#index(alert);
    }
    for (const [name, json] of saved.pieces) {
      const value = JSON.parse(json) as Piece;
      if (name.startsWith("closed:")) this.#closedKeys.set(name.slice("closed:".length), Number(value));
      else this.#pieces.set(name, value);
    }
    this.#nowMs = this.numberOf("now");
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  setNow(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#pieces.set("now", nowMs);
  }

  live(rule: string, key: string): Alert | null {
    const id = this.#live.get(nameOf(rule, key));
    return id === undefined ? null : (this.alerts.get(id) ?? null);
  }

  liveOf(rule: string): Alert[] {
    return [...this.alerts.values()].filter((alert) => alert.rule === rule && alert.state !== "resolved");
  }

  wasClosed(rule: string, key: string): boolean {
    return this.#closedKeys.has(nameOf(rule, key));
  }

  put(alert: Alert): void {
    this.#index(alert);
    this.#changedAlerts.add(alert.id);
    if (alert.state === "resolved" && alert.seenAtMs > 0) this.#rememberEnd(nameOf(alert.rule, alert.key));
  }

  drop(alert: Alert): void {
    this.#forget(alert);
    this.#dropped.add(alert.id);
  }

  close(alert: Alert): void {
    this.#forget(alert);
    this.#closed.push(alert);
  }

  channel(groupKey: string, receiver: string): ChannelState {
    return this.piece<ChannelState>(channelName(groupKey, receiver)) ?? NEW_CHANNEL;
  }

  setChannel(groupKey: string, receiver: string, state: ChannelState): void {
    this.setPiece(channelName(groupKey, receiver), state);
  }

  /** Channels of groups without alerts are forgotten once a message of theirs could come again. */
  forgetChannels(isKept: (groupKey: string, receiver: string, state: ChannelState) => boolean): void {
    for (const [name, value] of this.#pieces) {
      if (!name.startsWith("channel:")) continue;
      const [groupKey, receiver] = JSON.parse(name.slice("channel:".length)) as [string, string];
      if (!isKept(groupKey, receiver, value as ChannelState)) this.setPiece(name, null);
    }
  }

  bucket(receiver: string): Bucket {
    return this.piece<Bucket>(`bucket:${receiver}`) ?? FULL_BUCKET;
  }

  setBucket(receiver: string, bucket: Bucket): void {
    this.setPiece(`bucket:${receiver}`, bucket);
  }

  piece<Value extends Piece>(name: string): Value | null {
    return (this.#pieces.get(name) as Value | undefined) ?? null;
  }

  numberOf(name: string): number {
    return this.piece<number & Piece>(name) ?? 0;
  }

  setPiece(name: string, value: Piece | null): void {
    if (value === null) this.#pieces.delete(name);
    else this.#pieces.set(name, value);
    this.#changedPieces.add(name);
  }

  /** The clock was set back: nothing that is remembered lies in the future, so that nothing waits for a day long gone. */
  clampTo(nowMs: number): void {
    const clamp = (value: number | null) => (value === null ? null : Math.min(value, nowMs));
    for (const alert of this.alerts.values()) {
      this.put({
        ...alert,
        beganAtMs: Math.min(alert.beganAtMs, nowMs),
        firedAtMs: clamp(alert.firedAtMs),
        endedAtMs: clamp(alert.endedAtMs),
        seenAtMs: Math.min(alert.seenAtMs, nowMs),
      });
    }
    for (const [name, value] of [...this.#pieces]) {
      if (name.startsWith("channel:")) {
        const { lastFiringMs, lastEndMs } = value as ChannelState;
        this.setPiece(name, { lastFiringMs: clamp(lastFiringMs), lastEndMs: clamp(lastEndMs) });
      } else if (name.startsWith("bucket:")) {
        const { tokens, atMs } = value as Bucket;
        this.setPiece(name, { tokens, atMs: Math.min(atMs, nowMs) });
      } else if (name.startsWith("overflow:")) {
        const { count, lastAtMs } = value as { count: number; lastAtMs: number };
        this.setPiece(name, { count, lastAtMs: Math.min(lastAtMs, nowMs) });
      }
    }
  }

  takeChanges() {
    const hasPending = [...this.alerts.values()].some(({ state }) => state === "pending");
    if (hasPending || this.#changedAlerts.size > 0) this.#changedPieces.add("now");
    const changes = {
      alerts: [...this.#changedAlerts].flatMap((id) => this.alerts.get(id) ?? []),
      closed: this.#closed,
      dropped: [...this.#dropped],
      pieces: [...this.#changedPieces].map((name): readonly [string, string | null] => [name, this.#jsonOf(name)]),
    };
    this.#changedAlerts = new Set();
    this.#closed = [];
    this.#dropped = new Set();
    this.#changedPieces = new Set();
    return changes;
  }

  save(): SavedBook {
    const names = [...this.#pieces.keys(), ...[...this.#closedKeys.keys()].map((key) => `closed:${key}`)];
    return {
      alerts: [...this.alerts.values()],
      pieces: names.map((name) => [name, this.#jsonOf(name) ?? "null"]),
    };
  }

  #jsonOf(name: string): string | null {
    const value = name.startsWith("closed:")
      ? this.#closedKeys.get(name.slice("closed:".length))
      : this.#pieces.get(name);
    return value === undefined ? null : JSON.stringify(value);
  }

  #index(alert: Alert): void {
    this.alerts.set(alert.id, alert);
    const name = nameOf(alert.rule, alert.key);
    if (alert.state !== "resolved") this.#live.set(name, alert.id);
    else if (this.#live.get(name) === alert.id) this.#live.delete(name);
  }

  #forget(alert: Alert): void {
    this.alerts.delete(alert.id);
    const name = nameOf(alert.rule, alert.key);
    if (this.#live.get(name) === alert.id) this.#live.delete(name);
  }

  #rememberEnd(name: string): void {
    this.#closedKeys.delete(name);
    this.#closedKeys.set(name, this.#nowMs);
    this.#changedPieces.add(`closed:${name}`);
    for (const [oldest, atMs] of this.#closedKeys) {
      if (this.#closedKeys.size <= MOST_CLOSED && this.#nowMs - atMs < CLOSED_KEPT_MS) break;
      this.#closedKeys.delete(oldest);
      this.#changedPieces.add(`closed:${oldest}`);
    }
  }
}

function nameOf(rule: string, key: string): string {
  return `${rule}\n${key}`;
}

function channelName(groupKey: string, receiver: string): string {
  return `channel:${JSON.stringify([groupKey, receiver])}`;
}
