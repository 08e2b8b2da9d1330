/**
 * Who leads, and whether it is this node. The lead is one key under the holder's lease, taken by compare-and-swap together
 * with a term number that is never given twice. Candidates watch the key and campaign when it goes; everybody follows.
 *
 * A term is over on this node when its lease may be over by this node's own clock (see `session.ts`), when the key is seen to
 * be somebody else's, or when it resigns. Should this node be wrong about it, `HeldTerm.fence` fails in the store.
 */
import type { Term } from "@wardline/api/wardline/v1/cluster";
import { TermEnd } from "@wardline/api/wardline/v1/cluster";
import { beginTerm, endTerm } from "@wardline/domain/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Logger } from "pino";
import { bootMs, type Clock } from "../../agent/clock.ts";
import type { Keys } from "../keys.ts";
import { PrefixMirror } from "../membership/prefixMirror.ts";
import type { HeldTerm, LeadershipView } from "../ports.ts";
import type { ClusterStore, KeyValue } from "../store/clusterStore.ts";
import { type ElectionState, fenceOf, giveBackLead, NO_ELECTION, readElection, takeLead } from "./election.ts";
import type { HeldLease, Session } from "./session.ts";
import { backOffMs, sentenceOf, waitFor } from "./waiting.ts";

export interface LeadershipPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  /** Started and stopped by whoever made it; stop leadership first. */
  readonly session: Pick<Session, "current" | "onChange" | "leaseMs">;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warn">;
  /** Of this node. */
  readonly name: string;
  /** Others only follow. */
  readonly candidate: boolean;
  /** Asked before each campaign; `false` while another process holds this name, or the member was removed. */
  readonly mayCampaign?: () => boolean;
}

interface OwnTerm extends HeldTerm {
  readonly term: Term;
  readonly createRevision: bigint;
  readonly leaseId: bigint;
  readonly controller: AbortController;
}

/** So that candidates do not all ask at the very same moment; only one can win anyway. */
const SPREAD_MS = 20;
const CALL_TIMEOUT_MS = 5_000;
const STOP_TIMEOUT_MS = 2_000;
const FIRST_RETRY_MS = 100;
/** A term each millisecond would take 100,000 years to get there: whoever wrote more wrote nonsense. */
const LAST_TERM = 2n ** 52n;

export class Leadership implements LeadershipView {
  readonly #ports: LeadershipPorts;
  readonly #mirror: PrefixMirror;
  readonly #listeners = new Set<() => void>();
  readonly #stopping = new AbortController();
  #running: Promise<void> | null = null;
  #wake = new AbortController();
  #state = NO_ELECTION;
  /** `null` = nothing was read yet. */
  #revision: bigint | null = null;
  #own: OwnTerm | null = null;
  /** A lead that was given up while the store did not answer: the key has to go. */
  #givingBack: { readonly own: OwnTerm; readonly ended: Term } | null = null;
  /** Boot time since when the lead is seen to be vacant, or this node's own was over; `null` = not seen. */
  #vacantSinceMs: number | null = null;
  #stepsAsideUntilMs = 0;
  /** Of the newest key that this node took: a key up to this one is no sign of another leader. */
  #takenRevision = 0n;

  constructor(ports: LeadershipPorts) {
    this.#ports = ports;
    const { store, clock, random, log, keys } = ports;
    this.#mirror = new PrefixMirror({ store, prefix: keys.election, clock, random, log }, () => {
      if (this.#mirror.revision !== null) this.#learn(this.#mirror.items().values(), this.#mirror.revision);
    });
  }

  /** Wall time of the last word from the store about the lead; `null` = none yet. */
  get readAtMs(): number | null {
    return this.#mirror.readAtMs;
  }

  /** Keys of the election whose values cannot be read: somebody else wrote them. */
  get unreadable(): readonly string[] {
    return this.#state.unreadable;
  }

  held(): HeldTerm | null {
    const own = this.#own;
    if (own === null) return null;
    if (this.#ports.session.current()?.id === own.leaseId) return own;
    this.#lose(own, "its lease is over");
    return null;
  }

  leader(): { readonly name: string; readonly term: bigint } | null {
    const own = this.held();
    if (own) return { name: this.#ports.name, term: own.number };
    const said = this.#state.leader;
    // A key in this node's name that this node does not hold is what is left of a lead that is over.
    if (!said || said.term.leader === this.#ports.name || said.term.leader === "") return null;
    return { name: said.term.leader, term: said.term.number };
  }

  terms(): readonly Term[] {
    return this.#state.terms.map(({ term }) => term);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    if (this.#running !== null || this.#stopping.signal.aborted) return;
    this.#mirror.start();
    this.#running = this.#ports.candidate ? this.#run() : Promise.resolve();
  }

  /** Campaigns now if nothing is in the way any more: to be called when `mayCampaign` would say something else. */
  reconsider(): void {
    this.#wake.abort();
  }

  /** Ends a held term, then stops following. Never rejects. */
  async stop(end: "resigned" | "removed" = "resigned"): Promise<void> {
    this.#stopping.abort();
    const own = this.#own;
    if (own) {
      const how = end === "removed" ? TermEnd.REMOVED : TermEnd.RESIGNED;
      await this.#giveBack(own, how, STOP_TIMEOUT_MS).catch(() => {});
    }
    await Promise.all([this.#mirror.stop(), this.#running]);
  }

  /**
   * Lets another candidate lead; this one campaigns again only after a whole lease. NOT_LEADER, or STORE_UNAVAILABLE and
   * DEADLINE_EXCEEDED: the term is then over on this node all the same, and the key goes as soon as the store answers.
   */
  async resign(): Promise<void> {
    this.held();
    if (this.#own === null) throw this.#notLeader();
    await this.#giveBack(this.#own, TermEnd.RESIGNED, CALL_TIMEOUT_MS);
  }

  #notLeader(): Failure {
    const leader = this.leader();
    const who = leader ? `${leader.name} does` : "nobody does at the moment";
    return new Failure({ code: ErrorCode.NOT_LEADER, message: `${this.#ports.name} does not lead: ${who}.` });
  }

  async #giveBack(own: OwnTerm, end: TermEnd, timeoutMs: number): Promise<void> {
    const { clock, session, store, keys } = this.#ports;
    const ended = endTerm(own.term, end, clock.wallMs());
    this.#stepsAsideUntilMs = bootMs(clock) + session.leaseMs;
    this.#givingBack = { own, ended };
    this.#lose(own, "it resigns");
    await store.transact(giveBackLead(keys, own.fence, ended), { timeoutMs });
    this.#givingBack = null;
  }

  /** The only loop that campaigns. */
  async #run(): Promise<void> {
    const { session, clock, random } = this.#ports;
    const forget = session.onChange(() => this.#changed());
    const backOff = { firstMs: FIRST_RETRY_MS, longestMs: session.leaseMs };
    let failures = 0;
    let lookedAtMs = Number.NEGATIVE_INFINITY;
    while (!this.#stopping.signal.aborted) {
      // A watch may be silent for more than one reason: look by oneself once in a lease.
      const isDue = bootMs(clock) - lookedAtMs >= session.leaseMs;
      try {
        if (isDue) {
          if (failures > 0 || (await this.#isDifferent())) await this.#look();
          lookedAtMs = bootMs(clock);
        }
        await this.#step();
        failures = 0;
      } catch (error) {
        if (failures === 0) this.#ports.log.warn({ problem: sentenceOf(error) }, "the lead cannot be asked for");
        await waitFor(clock, backOffMs(backOff, failures++, random), this.#stopping.signal);
        // Whatever failed may have happened: look before anything else.
        lookedAtMs = Number.NEGATIVE_INFINITY;
        continue;
      }
      await this.#nextReason(lookedAtMs + session.leaseMs * (1 + random() / 4));
    }
    forget();
  }

  async #nextReason(latestMs: number): Promise<void> {
    const { clock } = this.#ports;
    const nowMs = bootMs(clock);
    const untilMs = this.#stepsAsideUntilMs > nowMs ? Math.min(latestMs, this.#stepsAsideUntilMs) : latestMs;
    await waitFor(clock, untilMs - nowMs, this.#wake.signal, this.#stopping.signal);
    if (this.#wake.signal.aborted) this.#wake = new AbortController();
  }

  /** Whether the lead is not as the watch told. */
  async #isDifferent(): Promise<boolean> {
    const { store, keys } = this.#ports;
    const options = { signal: this.#stopping.signal, timeoutMs: CALL_TIMEOUT_MS };
    const { item, revision } = await store.get(keys.leader, options);
    if (this.#revision === null) return true;
    const isOlder = revision < this.#revision;
    return !isOlder && item?.createRevision !== this.#state.leader?.item.createRevision;
  }

  async #look(): Promise<void> {
    const { store, keys } = this.#ports;
    const { items, revision } = await store.range(keys.election, {
      signal: this.#stopping.signal,
      timeoutMs: CALL_TIMEOUT_MS,
    });
    this.#learn(items, revision);
  }

  async #step(): Promise<void> {
    const { session, store, keys, clock, random } = this.#ports;
    const lease = session.current();
    if (this.held() || lease === null || this.#revision === null) return;
    const there = this.#state.leader;
    const { signal } = this.#stopping;
    if (there) {
      if (there.item.createRevision === this.#givingBack?.own.createRevision) {
        await store.transact(giveBackLead(keys, this.#givingBack.own.fence, this.#givingBack.ended), {
          signal,
          timeoutMs: CALL_TIMEOUT_MS,
        });
        this.#givingBack = null;
      } else if (there.item.leaseId === lease.id) this.#take(there.item, there.term, lease);
      return;
    }
    if (bootMs(clock) < this.#stepsAsideUntilMs || this.#ports.mayCampaign?.() === false) return;
    await waitFor(clock, random() * SPREAD_MS, signal);
    if (!signal.aborted && this.#state.leader === null) await this.#campaign(lease);
  }

  async #campaign(lease: HeldLease): Promise<void> {
    const { store, keys, name, clock, session } = this.#ports;
    const state = this.#state;
    if (state.newestNumber >= LAST_TERM) {
      throw new Failure({
        code: ErrorCode.INTERNAL,
        message: "The keys of the election hold a number that no term can have.",
      });
    }
    const vacantForMs = this.#vacantSinceMs === null ? null : bootMs(clock) - this.#vacantSinceMs;
    const { term, closed } = beginTerm({
      number: state.newestNumber + 1n,
      leader: name,
      nowMs: clock.wallMs(),
      previous: state.terms[0]?.term ?? null,
      vacantForMs,
      leaseMs: session.leaseMs,
    });
    const options = { signal: AbortSignal.any([lease.signal, this.#stopping.signal]), timeoutMs: CALL_TIMEOUT_MS };
    const { succeeded, found } = await store.transact(takeLead(keys, state, term, closed, lease.id), options);
    const item = found[0];
    if (succeeded && item) this.#take(item, term, lease);
    else {
      // Somebody was faster: what this node knows is old.
      await this.#look();
      if (!this.#state.leader)
        throw new Failure({ code: ErrorCode.VERSION_CONFLICT, message: "The lead changed twice." });
    }
  }

  #take(item: KeyValue, term: Term, lease: HeldLease): void {
    const { keys, session, log } = this.#ports;
    if (this.#stopping.signal.aborted || session.current()?.id !== lease.id) return;
    const controller = new AbortController();
    const { createRevision } = item;
    const own: OwnTerm = {
      number: term.number,
      fence: fenceOf(keys, createRevision),
      signal: controller.signal,
      ...{ term, createRevision, leaseId: lease.id, controller },
    };
    this.#own = own;
    this.#takenRevision = createRevision;
    this.#vacantSinceMs = null;
    this.#stepsAsideUntilMs = 0;
    lease.signal.addEventListener("abort", () => this.#lose(own, "its lease is over"), { once: true });
    log.info({ term: `${term.number}` }, "this node leads");
    this.#changed();
  }

  #lose(own: OwnTerm, why: string): void {
    if (this.#own !== own) return;
    this.#own = null;
    this.#vacantSinceMs = bootMs(this.#ports.clock);
    this.#ports.log.info({ term: `${own.number}`, why }, "this node does not lead any more");
    own.controller.abort();
    this.#changed();
  }

  #learn(items: Iterable<KeyValue>, revision: bigint): void {
    if (this.#revision !== null && revision < this.#revision) return;
    const before = this.#state;
    const isFirst = this.#revision === null;
    this.#state = readElection(this.#ports.keys, items);
    this.#revision = revision;
    this.#noteVacancy(before, isFirst);
    const own = this.#own;
    const isMine = this.#state.leader?.item.createRevision === own?.createRevision;
    if (own && revision >= own.createRevision && !isMine) this.#lose(own, "somebody took the lead from it");
    this.#changed();
  }

  #noteVacancy(before: ElectionState, isFirst: boolean): void {
    const { leader } = this.#state;
    if (leader && leader.item.createRevision > this.#takenRevision) {
      this.#stepsAsideUntilMs = 0;
      this.#vacantSinceMs = null;
    } else if (!leader && !isFirst && before.leader && this.#vacantSinceMs === null) {
      this.#vacantSinceMs = bootMs(this.#ports.clock);
    }
  }

  #changed(): void {
    this.#wake.abort();
    for (const listener of this.#listeners) listener();
  }
}
