/**
 * Who belongs to the cluster and how each of them is: this member's own presence, and the view of all. What is known stays
 * when the store is out of reach, with the moment at which it was true.
 */
import { randomBytes } from "node:crypto";
import type { Member, MemberRecord } from "@wardline/api/wardline/v1/cluster";
import { electionsAfter, type MemberEvent, memberEvents } from "@wardline/domain/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import type { Keys } from "../keys.ts";
import type { Session } from "../leadership/session.ts";
import type { LeaderDuty, LeadershipView, MembershipView } from "../ports.ts";
import type { ClusterStore, Compare } from "../store/clusterStore.ts";
import { ClockWatch, type MeasureClock } from "./clockWatch.ts";
import { EventLog } from "./eventLog.ts";
import { pruneMembers, RETENTION, type Retention, recordComingsAndGoings } from "./memberDuties.ts";
import { admitMember, removeMember } from "./memberRecords.ts";
import { MemberTable } from "./memberTable.ts";
import { type MemberSelf, OwnPresence, type Standing } from "./ownPresence.ts";
import { rivalProblem } from "./presenceContent.ts";

export type { MemberEvent } from "@wardline/domain/cluster";
export type { ClockMeasurement, MeasureClock } from "./clockWatch.ts";
export type { MemberSelf } from "./ownPresence.ts";

export interface MembershipPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly session: Session;
  readonly leadership: LeadershipView;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly self: MemberSelf;
  /** Asks the leader for its clock; rejects when it cannot be reached. Absent = never measured. */
  readonly measureClock?: MeasureClock;
  readonly retention?: Retention;
}

/** Several changes within this time are told as one; longer with many members. */
const TELL_AFTER_MS = 25;
const TELL_AFTER_MS_PER_MEMBER = 0.05;
/** Silence grows without a change. */
const AGE_EVERY_MS = 10_000;

export class Membership implements MembershipView {
  /** Random per start: 16 bytes, hex. */
  readonly sessionId = randomBytes(16).toString("hex");
  readonly #ports: MembershipPorts;
  readonly #table: MemberTable;
  readonly #own: OwnPresence;
  readonly #clockWatch: ClockWatch | null;
  readonly #events = new EventLog();
  readonly #listeners = new Set<() => void>();
  readonly #problems = new Map<string, readonly string[]>();
  #told: ReadonlyMap<string, Member> = new Map();
  #toldTerm = 0n;
  #cancelTelling: (() => void) | null = null;
  #cancelAging: () => void = () => {};
  #unsubscribe: (() => void) | null = null;
  #isStopped = false;
  #lastStanding: Standing = "unknown";

  constructor(ports: MembershipPorts) {
    this.#ports = ports;
    const { leadership, clock, random, self, measureClock: measure } = ports;
    const tell = (): void => this.#tellSoon();
    this.#table = new MemberTable({
      ...ports,
      isInTouch: () => this.#isInTouch,
      leaderName: () => leadership.leader()?.name ?? null,
      onChange: () => {
        this.#tellOwnPresence();
        tell();
      },
    });
    this.#clockWatch = measure
      ? new ClockWatch({
          ...{ measure, leadership, self: self.name, clock, random },
          intervalMs: () => this.heartbeatIntervalMs(),
          onMeasured: () => this.#own.nudge(),
        })
      : null;
    this.#own = new OwnPresence({
      ...ports,
      sessionId: this.sessionId,
      intervalMs: () => this.heartbeatIntervalMs() * (0.9 + random() / 10),
      clockMeasurement: () => this.#clockWatch?.latest ?? null,
      problems: () => [...this.#problems.values()].flat(),
      standing: () => this.#standing(),
      onChange: tell,
    });
  }

  start(): void {
    if (this.#unsubscribe !== null || this.#isStopped) return;
    this.#unsubscribe = this.#ports.leadership.onChange(() => {
      this.#table.age();
      this.#tellSoon();
    });
    this.#table.start();
    this.#own.start();
    this.#clockWatch?.start();
    this.#age();
  }

  /** Says STOPPED, without a lease. Never rejects. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#unsubscribe?.();
    this.#cancelTelling?.();
    this.#cancelAging();
    await Promise.all([this.#own.stop(), this.#clockWatch?.stop(), this.#table.stop()]);
  }

  /**
   * Resolves when this name is ours. Rejects with ALREADY_EXISTS when another process holds it, NOT_A_MEMBER when there is
   * no record of it, CANCELED when the signal ends it.
   */
  registered(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.isRegistered) finish(resolve);
        else if (this.refusal) finish(() => reject(this.refusal));
        else if (signal.aborted) finish(() => reject(canceled()));
      };
      const finish = (settle: () => void): void => {
        forget();
        signal.removeEventListener("abort", look);
        settle();
      };
      const forget = this.onChange(look);
      signal.addEventListener("abort", look, { once: true });
      look();
    });
  }

  /** Whether this process holds its name now. */
  get isRegistered(): boolean {
    return this.#own.isRegistered;
  }

  /** Why this process does not hold its name; `null` = it does, or it is not known yet. */
  get refusal(): Failure | null {
    return this.#own.refusal;
  }

  members(): readonly Member[] {
    return [...this.#table.members().values()];
  }

  /** Called after changes of members, of this process's own standing and of the leader; several may be told as one. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Wall time at which what is shown was certainly true; `null` = nothing was read yet. */
  readAtMs(): number | null {
    const { records, presences, isComplete } = this.#table;
    if (!isComplete) return null;
    const wordMs = Math.min(records.readAtMs ?? 0, presences.readAtMs ?? 0);
    // An open watch that says nothing says that nothing changed, as long as the store answers.
    const isFollowing = records.isFollowing && presences.isFollowing;
    return isFollowing ? Math.max(wordMs, this.#ports.session.renewedAtMs ?? 0) : wordMs;
  }

  /** Sentences about the cluster as a whole: names that two processes want, clocks that are far from the leader's. */
  problems(): readonly string[] {
    const refusal = this.refusal;
    const found = refusal ? [refusal.message] : [];
    for (const [name, { presence }] of this.#table.members()) {
      if (presence?.rival) found.push(rivalProblem(name, presence.rival));
      for (const sentence of presence?.problems ?? []) {
        if (sentence.startsWith("The clock is ")) found.push(`${name}: ${sentence}`);
      }
    }
    return found;
  }

  /** What another part of this node finds wrong with it; shown by every member. An empty list takes it back. */
  setProblems(part: string, sentences: readonly string[]): void {
    if (sentences.length === 0) this.#problems.delete(part);
    else this.#problems.set(part, [...sentences]);
    this.#own.nudge();
  }

  /** The past as far as it is known, then what happens. Ends with the signal; whoever does not read loses the oldest. */
  watch(signal: AbortSignal): AsyncGenerator<MemberEvent> {
    return this.#events.follow(signal);
  }

  heartbeatIntervalMs(): number {
    return this.#table.intervalMs;
  }

  /** The leader lets a member in. ALREADY_EXISTS, or NOT_LEADER when the fence does not hold any more. */
  admit(record: MemberRecord, fence: readonly Compare[]): Promise<void> {
    return admitMember(this.#ports.store, this.#ports.keys, record, fence);
  }

  /** Record, presence, report and wanted names. NOT_FOUND, or NOT_LEADER when the fence does not hold any more. */
  remove(name: string, fence: readonly Compare[]): Promise<void> {
    return removeMember(this.#ports.store, this.#ports.keys, name, fence);
  }

  /** For the leader. */
  duties(): readonly LeaderDuty[] {
    const ports = { ...this.#ports, table: this.#table, onChange: (listener: () => void) => this.onChange(listener) };
    return [recordComingsAndGoings(ports), pruneMembers(ports, this.#ports.retention ?? RETENTION)];
  }

  get #isInTouch(): boolean {
    const { session } = this.#ports;
    return session.current() !== null && session.problem === null && this.#table.presences.isFollowing;
  }

  #standing(): Standing {
    const { records } = this.#table;
    if (records.readAtMs === null) return "unknown";
    if (records.items().size === 0) return "alone";
    return records.items().has(this.#ports.keys.member(this.#ports.self.name)) ? "member" : "stranger";
  }

  #tellOwnPresence(): void {
    const { keys, self } = this.#ports;
    const { presences } = this.#table;
    if (presences.revision !== null) {
      this.#own.noticed(presences.items().get(keys.presence(self.name)) ?? null, presences.revision);
    }
    const standing = this.#standing();
    if (standing !== this.#lastStanding) this.#own.nudge();
    this.#lastStanding = standing;
  }

  #age(): void {
    this.#cancelAging = this.#ports.clock.schedule(AGE_EVERY_MS, () => {
      this.#table.age();
      this.#tell();
      this.#age();
    });
  }

  #tellSoon(): void {
    if (this.#cancelTelling !== null || this.#isStopped) return;
    const delayMs = TELL_AFTER_MS + TELL_AFTER_MS_PER_MEMBER * this.#told.size;
    this.#cancelTelling = this.#ports.clock.schedule(delayMs, () => {
      this.#cancelTelling = null;
      this.#tell();
      for (const listener of this.#listeners) listener();
    });
  }

  /** Compares with what was told last. */
  #tell(): void {
    if (!this.#table.isComplete) return;
    const { leadership, clock } = this.#ports;
    const members = this.#table.members();
    const events = memberEvents(this.#told, members, clock.wallMs());
    this.#told = members;
    const terms = leadership.terms();
    this.#events.add([...events, ...electionsAfter(this.#toldTerm, terms)]);
    this.#toldTerm = terms[0]?.number ?? this.#toldTerm;
  }
}

function canceled(): Failure {
  return new Failure({ code: ErrorCode.CANCELED, message: "Nobody waits for the registration any more." });
}
