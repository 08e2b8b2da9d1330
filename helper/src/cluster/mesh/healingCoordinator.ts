/**
 * The loop of healing in a cluster, for the time of one term. It follows everything of the meshes with one watch, lets the loop
 * judge, and writes down what came of it in one transaction under the term's fence: the run together with its order, the
 * answer together with the order's end, a decision together with what it did. So whoever leads next finds each step done or not
 * done, and goes on from there.
 */

import type { StoreEndpoint } from "@wardline/api/wardline/v1/cluster";
import { HealingOutcome } from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  HealingLoop,
  type HealingLoopOptions,
  type KeptRun,
  MAX_RUNS,
  type PlannedOrder,
  USUAL_HEALING_SETTINGS,
} from "@wardline/domain/mesh/healing";
import type { Logger } from "pino";
import { bootMs, type Clock } from "../../agent/clock.ts";
import type { Keys } from "../keys.ts";
import { waitFor } from "../leadership/waiting.ts";
import { PrefixMirror } from "../membership/prefixMirror.ts";
import type { HeldTerm, MembershipView } from "../ports.ts";
import type { ClusterStore, KeyValue, Operation } from "../store/clusterStore.ts";
import { readDecisions } from "./decisions.ts";
import { writeFenced } from "./fencedWrites.ts";
import { Gathered, receiptOf } from "./gathered.ts";
import { WorldReader } from "./healingWorld.ts";
import { answerOf, isGivenUp, isVoid, readBook } from "./orderBook.ts";
import * as records from "./records.ts";

/** What is used of the loop. */
export type Loop = Pick<
  HealingLoop,
  "observe" | "isUnsettled" | "receipt" | "decide" | "configure" | "resetKnowledge" | "runs" | "knowledge"
>;

export interface CoordinatorPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly random: () => number;
  /** Of this node. */
  readonly memberName: string;
  readonly membership: MembershipView;
  /** `HealingLoop` unless given. */
  readonly makeLoop?: (options: HealingLoopOptions) => Loop;
}

const STEP_EVERY_MS = 1_000;
/** While something waits to be called a fault. */
const UNSETTLED_STEP_MS = 200;
/** One change of the mesh is told by many members. */
const COALESCE_MS = 20;
/** With so many members that a look takes long, it is taken more seldom: a fifth of one processor is the most. */
const PAUSES_PER_STEP = 4;
const CAUGHT_UP_WITHIN_MS = 5_000;
/** After a failure of the store. */
const PAUSE_MS = 1_000;
const ENDPOINTS_EVERY_MS = 10_000;
const ENDPOINTS_TIMEOUT_MS = 1_500;
export class HealingCoordinator {
  readonly #ports: CoordinatorPorts;
  readonly #term: HeldTerm;
  readonly #startedMs: { readonly wall: number; readonly boot: number };
  #mirror: PrefixMirror;
  #world: WorldReader;
  #wake = new AbortController();
  #loop: Loop | null = null;
  #settings = "";
  #unreadable: ReadonlySet<string> = new Set();
  #endpoints: readonly StoreEndpoint[] | null = null;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  /** Of the last look. */
  #costMs = 0;

  constructor(ports: CoordinatorPorts, term: HeldTerm) {
    this.#ports = ports;
    this.#term = term;
    const { clock } = ports;
    this.#startedMs = { wall: clock.wallMs(), boot: bootMs(clock) };
    this.#world = new WorldReader(ports);
    this.#mirror = this.#makeMirror();
  }

  /** Until the term is over. After a failure of the store it begins anew from what lies there, as the next leader would. */
  async run(): Promise<void> {
    const { clock, membership, random, log } = this.#ports;
    const { signal } = this.#term;
    const unsubscribe = membership.onChange(() => this.#wake.abort());
    try {
      while (!signal.aborted) {
        const failure = await this.#follow();
        if (signal.aborted) return;
        log.warn({ problem: failure?.message }, "the healing of meshes begins anew from the store");
        await waitFor(clock, PAUSE_MS * (0.5 + random() / 2), signal);
      }
    } finally {
      unsubscribe();
    }
  }

  /** What failed; `null` = the term is over. Nothing that was not written is remembered. */
  async #follow(): Promise<Failure | null> {
    const { clock, membership } = this.#ports;
    const { signal } = this.#term;
    this.#loop = null;
    this.#world = new WorldReader(this.#ports);
    this.#mirror = this.#makeMirror();
    this.#mirror.start();
    try {
      while (!signal.aborted) {
        this.#wake = new AbortController();
        this.#askStore();
        if (this.#mirror.revision !== null && membership.members().length > 0) await this.#step();
        await waitFor(clock, this.#pauseMs(), signal, this.#wake.signal);
        await waitFor(clock, Math.max(COALESCE_MS, this.#costMs * PAUSES_PER_STEP), signal);
      }
      return null;
    } catch (error) {
      if (error instanceof Failure) return error;
      throw error;
    } finally {
      await this.#mirror.stop();
    }
  }

  #pauseMs(): number {
    return this.#loop?.isUnsettled(this.#nowMs()) ? UNSETTLED_STEP_MS : STEP_EVERY_MS;
  }

  #makeMirror(): PrefixMirror {
    const { store, keys, clock, random, log } = this.#ports;
    return new PrefixMirror({ store, prefix: keys.mesh, clock, random, log }, () => this.#wake.abort());
  }

  async #step(): Promise<void> {
    await this.#withdraw();
    this.#loop ??= this.#begin();
    const loop = this.#loop;
    const gathered = new Gathered();
    const nowMs = this.#nowMs();
    this.#configure(loop, gathered, nowMs);
    const answered = this.#answers(loop, gathered, nowMs);
    const decisions = readDecisions(this.#ports, loop, this.#mirror.items(), nowMs);
    for (const change of decisions.changes) gathered.add(change);
    const beganAtMs = performance.now();
    const world = this.#world.read(this.#mirror.items(), this.#endpoints, this.#obstacle(), nowMs);
    gathered.add(loop.observe(world, nowMs));
    this.#costMs = performance.now() - beganAtMs;
    const orders = this.#admit(loop, gathered, answered, nowMs);
    const addresses = this.#world.addresses(world.hosts);
    await this.#write([
      ...deletions(decisions.keys),
      ...this.#runWrites(loop, gathered),
      ...this.#changedOnly(this.#ports.keys.meshAddresses, records.encodeAddresses(addresses)),
      ...deletions([...answered, ...this.#left(loop)]),
      ...orders,
    ]);
  }

  /** Goes on where the leader before ended. */
  #begin(): Loop {
    const { keys, memberName, makeLoop } = this.#ports;
    const items = this.#mirror.items();
    const stored = [...items.values()].filter(({ key }) => key.startsWith(keys.meshRuns));
    const runs = stored.flatMap((item) => this.#keptRun(item) ?? []);
    const readable = new Set(runs.map(({ id }) => keys.meshRun(id)));
    this.#unreadable = new Set(stored.flatMap(({ key }) => (readable.has(key) ? [] : [key])));
    const settings = items.get(keys.meshSettings);
    const knowledge = items.get(keys.meshKnowledge);
    const saved = {
      settings: (settings && records.decodeSettings(settings.value)) ?? USUAL_HEALING_SETTINGS,
      runs: runs.sort((one, other) => other.detectedAtMs - one.detectedAtMs),
      knowledge: knowledge ? records.decodeKnowledge(knowledge.value) : [],
    };
    this.#settings = settings ? Buffer.from(settings.value).toString("base64") : "";
    const options: HealingLoopOptions = {
      scope: { kind: "cluster" },
      coordinator: memberName,
      term: this.#term.number,
      saved,
    };
    return makeLoop ? makeLoop(options) : new HealingLoop(options);
  }

  #keptRun(item: KeyValue): KeptRun | null {
    const run = records.decodeRun(item.value);
    return run !== null && item.key === this.#ports.keys.meshRun(run.id) ? run : null;
  }

  #configure(loop: Loop, gathered: Gathered, nowMs: number): void {
    const item = this.#mirror.items().get(this.#ports.keys.meshSettings);
    const text = item ? Buffer.from(item.value).toString("base64") : "";
    if (text === this.#settings) return;
    this.#settings = text;
    const settings = item ? records.decodeSettings(item.value) : null;
    gathered.add(loop.configure(settings ?? USUAL_HEALING_SETTINGS, nowMs));
  }

  /** Each by itself and only while nobody took it. To the loop they are orders without an answer. */
  async #withdraw(): Promise<void> {
    const { store, keys } = this.#ports;
    const book = readBook(keys, this.#mirror.items());
    const nowMs = this.#nowMs();
    for (const order of book.orders.filter((each) => isVoid(each, this.#leadRevision, nowMs))) {
      const untaken = { key: order.receiptKey, target: "create", operator: "=", number: 0n } as const;
      const unchanged = { key: order.key, target: "mod", operator: "=", number: order.modRevision } as const;
      const { succeeded, revision } = await store.transact(
        { compare: [...this.#term.fence, untaken, unchanged], then: [{ kind: "delete", key: order.key }] },
        { signal: this.#term.signal },
      );
      if (succeeded) await this.#caughtUp(revision);
    }
  }

  /** Tells the loop; resolves with the keys that have to go with it. */
  #answers(loop: Loop, gathered: Gathered, nowMs: number): Set<string> {
    const gone = new Set<string>();
    const book = readBook(this.#ports.keys, this.#mirror.items());
    for (const key of book.rubbish) gone.add(key);
    for (const booked of book.orders) {
      const { order, host, key, receiptKey } = booked;
      const lost = receiptOf(order.id, HealingOutcome.INTERRUPTED, `${host} took the order and said no more.`, nowMs);
      const answer = answerOf(booked) ?? (isGivenUp(booked, nowMs) ? lost : null);
      if (answer === null) continue;
      // Times of a run are all on the clock of who decides.
      gathered.add(loop.receipt({ ...answer, atMs: nowMs }, nowMs));
      gone.add(key).add(receiptKey);
    }
    return gone;
  }

  /** Orders for the store. One whose target has another on its way is answered at once: it was not given. */
  #admit(loop: Loop, gathered: Gathered, answered: ReadonlySet<string>, nowMs: number): Operation[] {
    const { keys, clock } = this.#ports;
    const book = readBook(keys, this.#mirror.items());
    const underWay = new Set(book.orders.filter(({ key }) => !answered.has(key)).map(({ order }) => order.target));
    const offsetMs = clock.wallMs() - nowMs;
    const operations: Operation[] = [];
    for (let planned = gathered.orders.shift(); planned; planned = gathered.orders.shift()) {
      const obstacle = this.#obstacleTo(planned, underWay);
      if (obstacle !== "") {
        gathered.add(loop.receipt(receiptOf(planned.id, HealingOutcome.SKIPPED, obstacle, nowMs), nowMs));
        continue;
      }
      underWay.add(planned.target);
      const { host, ...order } = { ...planned, expiresAtMs: planned.expiresAtMs + offsetMs };
      const value = records.encodeOrder({ order, leadRevision: this.#leadRevision });
      operations.push({ kind: "put", key: keys.meshOrder(host, order.id), value });
    }
    return operations;
  }

  #obstacleTo({ target, host }: PlannedOrder, underWay: ReadonlySet<string>): string {
    if (underWay.has(target)) return "An order before this one is still being carried out.";
    const isMember = this.#ports.membership.members().some(({ record }) => record?.name === host);
    return isMember ? "" : `${host} is no member of the cluster.`;
  }

  #runWrites(loop: Loop, { runs, dropped, isKnowledgeChanged }: Gathered): Operation[] {
    const { keys } = this.#ports;
    for (const id of dropped) runs.delete(id);
    const puts = [...runs.values()].flatMap((run) => this.#changedOnly(keys.meshRun(run.id), records.encodeRun(run)));
    const known = isKnowledgeChanged
      ? this.#changedOnly(keys.meshKnowledge, records.encodeKnowledge(loop.knowledge()))
      : [];
    return [...puts, ...known];
  }

  #changedOnly(key: string, value: Uint8Array): Operation[] {
    const there = this.#mirror.items().get(key);
    return there && Buffer.compare(there.value, value) === 0 ? [] : [{ kind: "put", key, value }];
  }

  /**
   * Runs that are not kept any more, and what is left of those who are no members. Runs that cannot be read may be those of a
   * newer leader: they stay while they are few.
   */
  #left(loop: Loop): readonly string[] {
    const { keys, membership } = this.#ports;
    const kept = new Set(loop.runs().map(({ id }) => keys.meshRun(id)));
    const mayStay = this.#unreadable.size <= MAX_RUNS;
    const names = new Set(membership.members().map(({ record }) => record?.name ?? ""));
    return [...this.#mirror.items().keys()].filter((key) => {
      if (key.startsWith(keys.meshRuns)) return !kept.has(key) && !(mayStay && this.#unreadable.has(key));
      return key.startsWith(keys.meshObservations) && !names.has(key.slice(keys.meshObservations.length));
    });
  }

  async #write(operations: readonly Operation[]): Promise<void> {
    if (operations.length === 0) return;
    const { store, keys } = this.#ports;
    const modRevision = this.#mirror.items().get(keys.meshStep)?.modRevision ?? 0n;
    const step = { key: keys.meshStep, modRevision, value: Buffer.from(`${this.#term.number}`) };
    await this.#caughtUp(await writeFenced(store, this.#term, step, operations));
  }

  /** What this term wrote has to be seen before the next step: nothing is read twice. */
  async #caughtUp(revision: bigint): Promise<void> {
    const { clock } = this.#ports;
    const until = bootMs(clock) + CAUGHT_UP_WITHIN_MS;
    while ((this.#mirror.revision ?? 0n) < revision) {
      if (this.#term.signal.aborted) return;
      if (bootMs(clock) >= until) {
        const message = "The store took a write and does not tell of it.";
        throw new Failure({ code: ErrorCode.STORE_UNAVAILABLE, message, retryable: true });
      }
      this.#wake = new AbortController();
      if ((this.#mirror.revision ?? 0n) < revision) await waitFor(clock, 50, this.#term.signal, this.#wake.signal);
    }
    // Something else may have come with it.
    this.#wake.abort();
  }

  /** etcd only, now and then: the next step takes what was answered. */
  #askStore(): void {
    const { store, clock } = this.#ports;
    if (store.kind !== "etcd" || bootMs(clock) - this.#askedAtMs < ENDPOINTS_EVERY_MS) return;
    this.#askedAtMs = bootMs(clock);
    void store.endpoints({ timeoutMs: ENDPOINTS_TIMEOUT_MS, signal: this.#term.signal }).then(
      (endpoints) => {
        this.#endpoints = endpoints;
        this.#wake.abort();
      },
      () => {},
    );
  }

  #obstacle(): string {
    const { problem } = this.#mirror;
    return problem === null ? "" : `The leader cannot follow what members say: ${problem}`;
  }

  /** Wall time that a jump of the wall clock does not move: deadlines of this term are this term's. */
  #nowMs(): number {
    return this.#startedMs.wall + bootMs(this.#ports.clock) - this.#startedMs.boot;
  }

  /** Create revision of the leader key of this term. */
  get #leadRevision(): bigint {
    const { keys } = this.#ports;
    const fence = this.#term.fence.find(({ key, target }) => key === keys.leader && target === "create");
    return fence?.target === "create" ? fence.number : 0n;
  }
}

function deletions(keys: Iterable<string>): Operation[] {
  return [...keys].map((key) => ({ kind: "delete", key }));
}
