/**
 * Carries out the leader's orders for this host. An order is taken in the store first, in a transaction that holds only while
 * the leader that gave it leads, the order is still there, and nobody took it: so a host without the store does nothing, an
 * order of a leader that is over is void, and none is carried out twice.
 */
import { randomBytes } from "node:crypto";
import { HealingOutcome } from "@wardline/api/wardline/v1/mesh";
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import type { HealingExecutor, HealingOrder, HealingReceipt } from "../../mesh/ports.ts";
import type { Keys } from "../keys.ts";
import { backOffMs, sentenceOf, waitFor } from "../leadership/waiting.ts";
import { PrefixMirror } from "../membership/prefixMirror.ts";
import type { ClusterStore, KeyValue, Transaction, TransactionResult } from "../store/clusterStore.ts";
import { FINISHED_AFTER_MS } from "./orderBook.ts";
import { decodeOrder, decodeReceipt, encodeReceipt, type StoredOrder } from "./records.ts";

export interface FollowerPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly memberName: string;
  readonly executor: HealingExecutor;
  readonly interrupted: () => Promise<readonly HealingReceipt[]>;
  readonly isRegistered: () => boolean;
}

const MAX_AT_ONCE = 16;
const RETRY = { firstMs: 100, longestMs: 2_000 };

/** One order with its place in the store. */
interface SeenOrder extends StoredOrder {
  readonly item: KeyValue;
}

export class OrderFollower {
  readonly #ports: FollowerPorts;
  readonly #mirror: PrefixMirror;
  readonly #ending = new AbortController();
  readonly #holder = randomBytes(16).toString("hex");
  /** Modification of each order that was looked at, for as long as it is there. */
  readonly #seen = new Map<string, bigint>();
  readonly #busy = new Set<Promise<void>>();

  constructor(ports: FollowerPorts) {
    this.#ports = ports;
    const { store, keys, clock, random, log, memberName } = ports;
    const prefix = keys.meshOrdersOf(memberName);
    this.#mirror = new PrefixMirror({ store, prefix, clock, random, log }, () => this.look());
  }

  start(): void {
    this.#mirror.start();
  }

  /** What is being done is told to end, and waited for. Never rejects. */
  async close(): Promise<void> {
    this.#ending.abort();
    await Promise.all([this.#mirror.stop(), ...this.#busy]);
  }

  /** Looks again: to be called when this process got its name. */
  look(): void {
    const items = this.#mirror.items();
    for (const key of [...this.#seen.keys()]) if (!items.has(key)) this.#seen.delete(key);
    if (!this.#ports.isRegistered()) return;
    for (const item of items.values()) {
      if (this.#busy.size >= MAX_AT_ONCE) return;
      if (this.#ending.signal.aborted || this.#seen.get(item.key) === item.modRevision) continue;
      this.#seen.set(item.key, item.modRevision);
      const stored = this.#read(item);
      if (stored) this.#begin({ ...stored, item });
    }
  }

  #read(item: KeyValue): StoredOrder | null {
    const { keys, memberName, log } = this.#ports;
    const stored = decodeOrder(item.value);
    if (stored && item.key === keys.meshOrder(memberName, stored.order.id)) return stored;
    log.warn({ key: item.key }, "this is no order that could be carried out");
    return null;
  }

  #begin(seen: SeenOrder): void {
    const work = this.#carryOut(seen).finally(() => {
      this.#busy.delete(work);
      this.look();
    });
    this.#busy.add(work);
  }

  /** Never rejects. */
  async #carryOut(seen: SeenOrder): Promise<void> {
    const { executor, clock, log } = this.#ports;
    const { order } = seen;
    const claim = this.#claim(order);
    const outcome = await this.#take(seen, claim);
    if (outcome === "interrupted") return this.#answer(seen, await this.#interruption(order));
    // Not answered: whoever gave it finds that nobody took it, and may give another one.
    if (outcome === "late") {
      log.warn({ order: order.id }, "an order was too old when this host could take it");
      return this.#giveBack(order, claim);
    }
    if (outcome !== "taken") return;
    const tooLong = new AbortController();
    const limitMs = order.expiresAtMs - clock.wallMs() + FINISHED_AFTER_MS;
    const cancel = clock.schedule(limitMs, () => tooLong.abort());
    const signal = AbortSignal.any([this.#ending.signal, tooLong.signal]);
    const receipt = await executor.execute(order, signal).catch((error: unknown) => {
      return this.#receipt(order, HealingOutcome.FAILED, `It failed: ${sentenceOf(error)}`);
    });
    cancel();
    await this.#answer(seen, receipt);
  }

  /** Tries for as long as the order counts. `void` = it does not count any more, or another agent of this name answered. */
  async #take(seen: SeenOrder, claim: Uint8Array): Promise<"taken" | "interrupted" | "void" | "late"> {
    const { clock, random } = this.#ports;
    const { signal } = this.#ending;
    for (let failures = 0; !signal.aborted; failures += 1) {
      if (seen.order.expiresAtMs <= clock.wallMs()) return "late";
      try {
        const { succeeded, found } = await this.#tryToTake(seen, claim);
        if (succeeded) return "taken";
        const there = found[0] ? decodeReceipt(found[0].value) : null;
        if (there === null || there.receipt !== null) return "void";
        // The answer to a try before this one may have been lost on the way.
        return there.holder === this.#holder ? "taken" : "interrupted";
      } catch {
        await waitFor(clock, backOffMs(RETRY, failures, random), signal);
      }
    }
    return "void";
  }

  #claim({ id }: HealingOrder): Uint8Array {
    return encodeReceipt({ orderId: id, takenAtMs: this.#ports.clock.wallMs(), holder: this.#holder, receipt: null });
  }

  #tryToTake({ order, leadRevision, item }: SeenOrder, claim: Uint8Array): Promise<TransactionResult> {
    const { store, keys, memberName } = this.#ports;
    const key = keys.meshReceipt(memberName, order.id);
    return store.transact(
      {
        compare: [
          { key: keys.leader, target: "create", operator: "=", number: leadRevision },
          { key: item.key, target: "mod", operator: "=", number: item.modRevision },
          { key, target: "create", operator: "=", number: 0n },
        ],
        then: [{ kind: "put", key, value: claim }],
        otherwise: [{ kind: "get", key }],
      },
      { signal: this.#ending.signal },
    );
  }

  /** A try whose answer never came may have taken it. */
  #giveBack(order: HealingOrder, claim: Uint8Array): Promise<void> {
    const key = this.#ports.keys.meshReceipt(this.#ports.memberName, order.id);
    const isOurs = { key, target: "value", operator: "=", value: claim } as const;
    return this.#say(order, { compare: [isOurs], then: [{ kind: "delete", key }] });
  }

  /** For as long as somebody wants to know: an order that was withdrawn needs no answer. */
  #answer({ order, item }: SeenOrder, receipt: HealingReceipt): Promise<void> {
    const { keys, memberName } = this.#ports;
    const value = encodeReceipt({ orderId: order.id, takenAtMs: receipt.atMs, holder: this.#holder, receipt });
    const isThere = { key: item.key, target: "mod", operator: "=", number: item.modRevision } as const;
    const put = { kind: "put", key: keys.meshReceipt(memberName, order.id), value } as const;
    return this.#say(order, { compare: [isThere], then: [put] });
  }

  /** Until the store has it; once more also while this ends. Never rejects. */
  async #say(order: HealingOrder, transaction: Transaction): Promise<void> {
    const { store, clock, random, log } = this.#ports;
    for (let failures = 0; ; failures += 1) {
      try {
        await store.transact(transaction, { repeatable: true });
        return;
      } catch (error) {
        if (failures === 0) log.warn({ order: order.id, problem: sentenceOf(error) }, "a receipt is not told yet");
        if (this.#ending.signal.aborted) return;
        await waitFor(clock, backOffMs(RETRY, failures, random), this.#ending.signal);
      }
    }
  }

  async #interruption(order: HealingOrder): Promise<HealingReceipt> {
    const interrupted = await this.#ports.interrupted().catch(() => []);
    const known = interrupted.find(({ orderId }) => orderId === order.id);
    const sentence = "The agent ended after it took the order. What became of it is not known.";
    return known ?? this.#receipt(order, HealingOutcome.INTERRUPTED, sentence);
  }

  #receipt({ id }: HealingOrder, outcome: HealingOutcome, sentence: string): HealingReceipt {
    return { orderId: id, outcome, sentence, evidence: [], atMs: this.#ports.clock.wallMs() };
  }
}
