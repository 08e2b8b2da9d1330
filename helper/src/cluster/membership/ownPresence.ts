/**
 * This member's own key under presence/: registered under the session's lease, written when something changed and now and
 * then, STOPPED at the end. A name belongs to one process at a time: whoever comes second is refused, and both say so.
 */

import { clone } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type MemberPresence, MemberPresenceSchema, MemberState } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Logger } from "pino";
import { bootMs, type Clock, toTimestamp } from "../../agent/clock.ts";
import type { Keys } from "../keys.ts";
import type { HeldLease, Session } from "../leadership/session.ts";
import { backOffMs, sentenceOf, waitFor } from "../leadership/waiting.ts";
import type { ClusterStore, Compare, KeyValue } from "../store/clusterStore.ts";
import type { ClockMeasurement } from "./clockWatch.ts";
import { readPresence, writePresence } from "./messages.ts";
import { describePresence, describeProcess, type PresenceFacts, saysSomethingNew } from "./presenceContent.ts";

export interface MemberSelf {
  readonly name: string;
  readonly agentVersion: string;
  /** Asked every few seconds. */
  readonly addresses: () => readonly string[];
}

export interface OwnPresencePorts {
  readonly store: Pick<ClusterStore, "get" | "transact">;
  readonly keys: Keys;
  readonly session: Pick<Session, "current" | "onChange" | "leaseMs" | "latencyMs">;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly self: MemberSelf;
  readonly sessionId: string;
  readonly intervalMs: () => number;
  readonly clockMeasurement: () => ClockMeasurement | null;
  readonly problems: () => readonly string[];
  readonly standing: () => Standing;
  readonly onChange: () => void;
}

/** `alone` = the store has no members at all; `stranger` = it has, and this is none of them. */
export type Standing = "unknown" | "alone" | "member" | "stranger";

interface Held {
  readonly leaseId: bigint;
  readonly modRevision: bigint;
  readonly presence: MemberPresence;
  readonly writtenAtMs: number;
}

const CALL_TIMEOUT_MS = 5_000;
const STOP_TIMEOUT_MS = 2_000;
const LOOK_EVERY_MS = 5_000;
const BACK_OFF = { firstMs: 200, longestMs: 10_000 };
/** How often a refused process says that it is still there, and how long its word counts. */
const RIVAL_EVERY_MS = 30_000;
const RIVAL_COUNTS_MS = 90_000;
/** After this many leases somebody who still holds the name is alive, and not what a crash left behind. */
const LEASES_UNTIL_REFUSED = 1.5;

export class OwnPresence {
  readonly #ports: OwnPresencePorts;
  readonly #stopping = new AbortController();
  readonly #startedAtMs: number;
  #wake = new AbortController();
  #running: Promise<void> | null = null;
  #held: Held | null = null;
  #refusal: Failure | null = null;
  #mustLook = false;
  #rival: { readonly who: string; readonly atMs: number; readonly seenAtMs: number } | null = null;
  /** The process that holds our name, since when we see it, and when we last told it that we are here. */
  #holder: { readonly sessionId: string; readonly seenAtMs: number; toldAtMs: number } | null = null;

  constructor(ports: OwnPresencePorts) {
    this.#ports = ports;
    this.#startedAtMs = ports.clock.wallMs();
  }

  /** The name is this process's, now. */
  get isRegistered(): boolean {
    return this.#held !== null && this.#ports.session.current()?.id === this.#held.leaseId;
  }

  get refusal(): Failure | null {
    return this.#refusal;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Something may have to be written or tried now. */
  nudge(): void {
    this.#wake.abort();
  }

  /** What a watch says about our key, as of `revision`: another process left its mark or took the key, or it is gone. */
  noticed(item: KeyValue | null, revision: bigint): void {
    const held = this.#held;
    if (held === null) {
      // It may be free now.
      if (item === null || item.leaseId === 0n) this.nudge();
      return;
    }
    if (revision <= held.modRevision) return;
    const there = item ? readPresence(item.value) : null;
    if (there?.sessionId === this.#ports.sessionId && rivalAtMs(there) === (this.#rival?.atMs ?? null)) return;
    this.#mustLook = true;
    this.nudge();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    const held = this.#held;
    if (held === null) return;
    this.#held = null;
    const { keys, self, clock, store } = this.#ports;
    const presence = clone(MemberPresenceSchema, held.presence);
    presence.state = MemberState.STOPPED;
    presence.heartbeatAt = toTimestamp(clock.wallMs());
    presence.stateSince = toTimestamp(clock.wallMs());
    presence.problems = [];
    const key = keys.presence(self.name);
    const compare: Compare[] = [{ key, target: "mod", operator: "=", number: held.modRevision }];
    const then = [{ kind: "put", key, value: writePresence(presence) }] as const;
    // Without an answer the lease ends the key: the others then see it gone instead of stopped.
    await store.transact({ compare, then }, { timeoutMs: STOP_TIMEOUT_MS }).catch(() => {});
  }

  /** The only loop that writes. */
  async #run(): Promise<void> {
    const { session, clock, random, log } = this.#ports;
    const { signal } = this.#stopping;
    const forget = session.onChange(() => this.nudge());
    for (let failures = 0; !signal.aborted; ) {
      try {
        const again = await this.#step();
        failures = 0;
        if (again) continue;
      } catch (error) {
        if (failures === 0 && !signal.aborted) log.warn({ problem: sentenceOf(error) }, "the presence is not written");
        await waitFor(clock, backOffMs(BACK_OFF, failures++, random), signal);
        continue;
      }
      await waitFor(clock, LOOK_EVERY_MS * (0.9 + random() / 5), signal, this.#wake.signal);
      if (this.#wake.signal.aborted) this.#wake = new AbortController();
    }
    forget();
  }

  /** Returns whether to go on at once. */
  async #step(): Promise<boolean> {
    const lease = this.#ports.session.current();
    const standing = this.#ports.standing();
    if (lease === null || standing === "unknown") return false;
    if (standing === "stranger") {
      this.#held = null;
      this.#refuse(strangerFailure(this.#ports.self.name));
      return false;
    }
    const mustLook = this.#mustLook;
    this.#mustLook = false;
    if (mustLook || this.#held?.leaseId !== lease.id) return this.#register(lease);
    return this.#writeIfDue(this.#held, lease);
  }

  async #register(lease: HeldLease): Promise<boolean> {
    const { store, keys, self, sessionId } = this.#ports;
    const { item } = await store.get(keys.presence(self.name), { signal: lease.signal, timeoutMs: CALL_TIMEOUT_MS });
    const there = item ? readPresence(item.value) : null;
    if (item && !mayReplace(item, there, sessionId)) {
      await this.#beRefused(item, there);
      return false;
    }
    this.#holder = null;
    const mine = there?.sessionId === sessionId ? there : null;
    if (mine) this.#noteRival(mine);
    return this.#write(lease, item?.modRevision ?? 0n, describePresence(this.#facts(), mine));
  }

  async #writeIfDue(held: Held, lease: HeldLease): Promise<boolean> {
    const { clock, intervalMs } = this.#ports;
    const presence = describePresence(this.#facts(), held.presence);
    const isDue = bootMs(clock) - held.writtenAtMs >= intervalMs();
    if (!isDue && !saysSomethingNew(held.presence, presence)) return false;
    return this.#write(lease, held.modRevision, presence);
  }

  /** Returns whether somebody else wrote first, so that it has to be read again. */
  async #write(lease: HeldLease, modRevision: bigint, presence: MemberPresence): Promise<boolean> {
    const { store, keys, self, clock, standing, onChange } = this.#ports;
    const key = keys.presence(self.name);
    const compare: Compare[] = [{ key, target: "mod", operator: "=", number: modRevision }];
    // A member that is removed at this very moment does not come back.
    if (standing() !== "alone")
      compare.push({ key: keys.member(self.name), target: "create", operator: ">", number: 0n });
    const then = [{ kind: "put", key, value: writePresence(presence), leaseId: lease.id }] as const;
    const writtenAtMs = bootMs(clock);
    const wasRegistered = this.isRegistered;
    const options = { signal: lease.signal, timeoutMs: CALL_TIMEOUT_MS };
    const { succeeded, revision } = await store.transact({ compare, then }, options);
    this.#held = succeeded ? { leaseId: lease.id, modRevision: revision, presence, writtenAtMs } : null;
    if (succeeded) this.#refusal = null;
    if (succeeded !== wasRegistered) onChange();
    // Not at once when it failed: the watch may have yet to tell that this member was removed.
    if (!succeeded) await waitFor(clock, BACK_OFF.firstMs, this.#stopping.signal);
    return !succeeded;
  }

  #facts(): PresenceFacts {
    const { self, sessionId, session, clock, clockMeasurement, problems } = this.#ports;
    if (this.#rival && bootMs(clock) - this.#rival.seenAtMs > RIVAL_COUNTS_MS) this.#rival = null;
    return {
      ...{ name: self.name, sessionId, agentVersion: self.agentVersion, addresses: self.addresses() },
      ...{ startedAtMs: this.#startedAtMs, nowMs: clock.wallMs(), latencyMs: session.latencyMs },
      ...{ clock: clockMeasurement(), problems: problems(), rival: this.#rival },
    };
  }

  /** A mark that another process left in our own words. */
  #noteRival(mine: MemberPresence): void {
    const atMs = rivalAtMs(mine);
    if (atMs === null || atMs === this.#rival?.atMs) return;
    this.#rival = { who: mine.rival, atMs, seenAtMs: bootMs(this.#ports.clock) };
    this.#ports.log.warn({ rival: this.#rival.who }, "another process wants this member's name");
    this.#ports.onChange();
  }

  async #beRefused(item: KeyValue, there: MemberPresence | null): Promise<void> {
    const { clock, session, self, sessionId } = this.#ports;
    this.#held = null;
    const holder = there?.sessionId ?? "";
    const nowMs = bootMs(clock);
    if (this.#holder?.sessionId !== holder) {
      this.#holder = { sessionId: holder, seenAtMs: nowMs, toldAtMs: Number.NEGATIVE_INFINITY };
    }
    // What a crash left behind goes with its lease: until then there is no telling.
    if (nowMs - this.#holder.seenAtMs < LEASES_UNTIL_REFUSED * session.leaseMs) return;
    const us = describeProcess(self.addresses(), sessionId);
    this.#refuse(duplicateFailure(self.name, describeProcess(there?.addresses ?? [], holder), us));
    if (there && nowMs - this.#holder.toldAtMs >= RIVAL_EVERY_MS) {
      this.#holder.toldAtMs = nowMs;
      await this.#leaveMark(item, there, us);
    }
  }

  /** In the words of whoever holds the name, under that one's lease: the only key that both may write. */
  async #leaveMark(item: KeyValue, there: MemberPresence, us: string): Promise<void> {
    const { store, keys, self, clock } = this.#ports;
    const marked = clone(MemberPresenceSchema, there);
    marked.rival = us;
    marked.rivalAt = toTimestamp(clock.wallMs());
    const key = keys.presence(self.name);
    const compare: Compare[] = [{ key, target: "mod", operator: "=", number: item.modRevision }];
    const then = [{ kind: "put", key, value: writePresence(marked), leaseId: item.leaseId }] as const;
    await store.transact({ compare, then }, { timeoutMs: CALL_TIMEOUT_MS });
  }

  #refuse(refusal: Failure): void {
    if (this.#refusal?.message === refusal.message) return;
    this.#refusal = refusal;
    this.#ports.log.warn({ problem: refusal.message }, "this process does not hold its name");
    this.#ports.onChange();
  }
}

/** Ours, or left behind by somebody who stopped or is gone. */
function mayReplace(item: KeyValue, there: MemberPresence | null, sessionId: string): boolean {
  if (there?.sessionId === sessionId) return true;
  if (item.leaseId !== 0n) return false;
  // Without a lease nobody keeps it: what cannot be read there is nobody's either.
  return there === null || there.state === MemberState.STOPPED || there.state === MemberState.GONE;
}

function rivalAtMs({ rival, rivalAt }: MemberPresence): number | null {
  return rival !== "" && rivalAt ? timestampMs(rivalAt) : null;
}

function duplicateFailure(name: string, holder: string, us: string): Failure {
  return new Failure({
    code: ErrorCode.ALREADY_EXISTS,
    message: `The name ${name} is held by another process: ${holder}. This one is ${us}.`,
    hint: "Two hosts were given one name, or a copy of a machine runs. Let one of them leave the cluster.",
  });
}

function strangerFailure(name: string): Failure {
  return new Failure({
    code: ErrorCode.NOT_A_MEMBER,
    message: `${name} is no member of this cluster, or not any more.`,
    hint: "It can join again with a new token.",
  });
}
