/**
 * Counters of the rules that are loaded, by decision: each rule carries its decision in its label. pf begins at zero with
 * each load, so what the rules before have counted is read right before they are replaced.
 */
import { Failure } from "@wardline/domain/errors";
import type { DecisionCounter, SlotCounters } from "../enforcer.ts";
import type { Marker } from "./anchorText.ts";
import type { LoadedAnchor } from "./loadedAnchor.ts";
import type { PfSlot } from "./record.ts";

type EndListener = (last: SlotCounters) => void;

export interface CounterPorts {
  readonly anchor: LoadedAnchor;
  /** Generation and digest of what the anchor says it holds. */
  readonly slotOf: (marker: Marker | null) => Pick<PfSlot, "generation" | "digest">;
  readonly bootMs: () => number;
}

export class PfCounters {
  readonly #ports: CounterPorts;
  readonly #listeners = new Set<EndListener>();
  /** When a decision was first found to have counted more than before; of the present load. */
  readonly #seen = new Map<number, { readonly packets: bigint; readonly atBootNs: bigint }>();
  #seenLoad: string | null = null;
  /** Last counters of the slot that can be returned to. */
  #kept: SlotCounters | null = null;

  constructor(ports: CounterPorts) {
    this.#ports = ports;
  }

  /** Of the rules that are loaded. Throws `Failure` when pf does not answer. */
  read(): readonly DecisionCounter[] {
    return this.#readLoaded()?.counters ?? [];
  }

  slots(): readonly SlotCounters[] {
    const loaded = this.#readLoaded();
    const kept = this.#kept?.storage === loaded?.storage ? null : this.#kept;
    return [loaded, kept].filter((slot) => slot !== null).filter(({ generation }) => generation !== 0);
  }

  onEnd(listener: EndListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** To be called right before another text is loaded. Does not throw: counters stand in nobody's way. */
  beforeLoad(): void {
    try {
      const last = this.#readLoaded();
      if (last === null) return;
      if (this.#kept?.storage !== last.storage) this.endKept();
      this.#kept = last;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
    }
  }

  /** To be called right after: what the same slot counted in an earlier load is not a slot's any more. */
  afterLoad(generation: number): void {
    if (this.#kept?.generation === generation) this.endKept();
  }

  /** The slot that could be returned to is given up. */
  endKept(): void {
    const last = this.#kept;
    this.#kept = null;
    if (last === null || last.generation === 0) return;
    for (const listener of this.#listeners) listener(last);
  }

  /** Everything is given up. */
  endAll(): void {
    this.beforeLoad();
    this.endKept();
  }

  #readLoaded(): SlotCounters | null {
    const counted = this.#ports.anchor.counted();
    if (counted === null) return null;
    const { loadName, labels, marker } = counted;
    if (loadName !== this.#seenLoad) this.#seen.clear();
    this.#seenLoad = loadName;
    const sums = new Map<number, { packets: bigint; bytes: bigint }>();
    for (const { label, packets, bytes } of labels) {
      const decision = /^d(\d+)_/.exec(label)?.[1];
      if (decision === undefined) continue;
      const sum = sums.get(Number(decision)) ?? { packets: 0n, bytes: 0n };
      sums.set(Number(decision), { packets: sum.packets + packets, bytes: sum.bytes + bytes });
    }
    const counters = [...sums].map(([decision, sum]) => this.#withTime({ decision, ...sum }));
    const { generation, digest } = this.#ports.slotOf(marker);
    return { storage: loadName, generation, programDigest: digest, counters };
  }

  /**
   * pf does not say when a rule last matched. The time given is that of the first look that found the count higher, so it
   * is late by at most the time between two looks.
   */
  #withTime(counter: Omit<DecisionCounter, "lastSeenBootNs">): DecisionCounter {
    const { decision, packets } = counter;
    const before = this.#seen.get(decision) ?? { packets: 0n, atBootNs: 0n };
    const nowBootNs = BigInt(Math.round(this.#ports.bootMs() * 1e6));
    const lastSeenBootNs = packets === before.packets ? before.atBootNs : nowBootNs;
    this.#seen.set(decision, { packets, atBootNs: lastSeenBootNs });
    return { ...counter, lastSeenBootNs };
  }
}
