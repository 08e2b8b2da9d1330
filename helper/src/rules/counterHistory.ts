/** What each decision counted over all generations, by its stable id. */
import type { SlotCounters } from "../enforce/enforcer.ts";

/** Twice what both slots can name. */
export const MAX_HISTORY = 65_536;

export interface RuleTotal {
  readonly packets: bigint;
  readonly bytes: bigint;
  /** Wall clock; 0 when never. */
  readonly lastSeenMs: number;
}

/** What the history already holds of a slot's present counters, by decision index. */
export interface Counted {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** A slot that was looked at: its counters go on, and only what they grow by is new. */
export interface CountedSlot {
  readonly storage: string;
  readonly generation: number;
  readonly programDigest: string;
  /** Stable ids by decision index; empty text = none. */
  readonly ids: readonly string[];
  readonly counted: ReadonlyMap<number, Counted>;
}

export interface HistoryImage {
  readonly totals: ReadonlyMap<string, RuleTotal>;
  readonly slots: readonly CountedSlot[];
  /** Ids that were left out because there were too many. */
  readonly dropped: number;
}

export const EMPTY_HISTORY: HistoryImage = { totals: new Map(), slots: [], dropped: 0 };

type SlotName = Pick<SlotCounters, "storage" | "generation" | "programDigest">;

const NOTHING_COUNTED: Counted = { packets: 0n, bytes: 0n };
const NO_TOTAL: RuleTotal = { packets: 0n, bytes: 0n, lastSeenMs: 0 };

function isSame(one: SlotName, other: SlotName): boolean {
  return (
    one.storage === other.storage && one.generation === other.generation && one.programDigest === other.programDigest
  );
}

/** A counter that went back began at zero without anybody saying so. */
function growth({ packets, bytes }: Counted, before: Counted): Counted {
  return packets >= before.packets && bytes >= before.bytes
    ? { packets: packets - before.packets, bytes: bytes - before.bytes }
    : { packets, bytes };
}

function added(total: RuleTotal, more: Counted, lastSeenMs: number): RuleTotal {
  return {
    packets: total.packets + more.packets,
    bytes: total.bytes + more.bytes,
    lastSeenMs: Math.max(total.lastSeenMs, lastSeenMs),
  };
}

export class CounterHistory {
  readonly #totals: Map<string, RuleTotal>;
  #slots: CountedSlot[];
  #dropped: number;

  constructor(image: HistoryImage) {
    this.#totals = new Map(image.totals);
    this.#slots = [...image.slots];
    this.#dropped = image.dropped;
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** Ids of a slot that was looked at before, in this process or an earlier one; `null` = never. */
  idsOf(slot: SlotName): readonly string[] | null {
    return this.#slots.find((known) => isSame(known, slot))?.ids ?? null;
  }

  /** Takes over what a slot's counters grew by. Counters of decisions without an id are left alone. */
  absorb(slot: SlotCounters, ids: readonly string[], wallMsOf: (bootNs: bigint) => number): void {
    const before = this.#slots.find((known) => isSame(known, slot));
    const counted = new Map<number, Counted>(before?.counted);
    for (const counter of slot.counters) {
      const id = ids[counter.decision] ?? "";
      if (id === "" || counter.packets === 0n) continue;
      const { decision, packets, bytes, lastSeenBootNs } = counter;
      const known = counted.get(decision) ?? NOTHING_COUNTED;
      if (known.packets === packets && known.bytes === bytes) continue;
      const total = this.#totals.get(id) ?? NO_TOTAL;
      this.#totals.set(id, added(total, growth(counter, known), lastSeenBootNs > 0n ? wallMsOf(lastSeenBootNs) : 0));
      counted.set(decision, { packets, bytes });
    }
    const { storage, generation, programDigest } = slot;
    const looked: CountedSlot = { storage, generation, programDigest, ids, counted };
    this.#slots = [...this.#slots.filter((known) => !isSame(known, slot)), looked];
  }

  /** The slot's counters are gone: should the same program come again, it counts from zero. */
  forget(slot: SlotName): void {
    this.#slots = this.#slots.filter((known) => !isSame(known, slot));
  }

  /** Keeps only what is known of these slots: the others are gone. */
  keepOnly(slots: readonly SlotName[]): void {
    this.#slots = this.#slots.filter((known) => slots.some((slot) => isSame(known, slot)));
  }

  /** Totals by id, with what the given slots have counted since they were absorbed. Changes nothing. */
  totalsWith(
    live: readonly { readonly slot: SlotCounters; readonly ids: readonly string[] }[],
    wanted: ReadonlySet<string>,
    wallMsOf: (bootNs: bigint) => number,
  ): Map<string, RuleTotal> {
    const totals = new Map<string, RuleTotal>();
    for (const id of wanted) {
      const total = this.#totals.get(id);
      if (total) totals.set(id, total);
    }
    for (const { slot, ids } of live) {
      const counted = this.#slots.find((known) => isSame(known, slot))?.counted;
      for (const counter of slot.counters) {
        const id = ids[counter.decision] ?? "";
        if (counter.packets === 0n || !wanted.has(id)) continue;
        const more = growth(counter, counted?.get(counter.decision) ?? NOTHING_COUNTED);
        const lastSeenMs = counter.lastSeenBootNs > 0n ? wallMsOf(counter.lastSeenBootNs) : 0;
        totals.set(id, added(totals.get(id) ?? NO_TOTAL, more, lastSeenMs));
      }
    }
    return totals;
  }

  /** Drops the ids that were seen longest ago and that no slot names. Returns how many. */
  bound(maximum = MAX_HISTORY): number {
    const excess = this.#totals.size - maximum;
    if (excess <= 0) return 0;
    const named = new Set(this.#slots.flatMap(({ ids }) => ids));
    const oldest = [...this.#totals]
      .filter(([id]) => !named.has(id))
      .sort(([, one], [, other]) => one.lastSeenMs - other.lastSeenMs)
      .slice(0, excess);
    for (const [id] of oldest) this.#totals.delete(id);
    this.#dropped += oldest.length;
    return oldest.length;
  }

  /** The present content; later changes do not reach it. */
  image(): HistoryImage {
    return { totals: new Map(this.#totals), slots: [...this.#slots], dropped: this.#dropped };
  }
}
