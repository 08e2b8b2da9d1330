/**
 * Counters of rules that outlive the tables they were counted in: a swap, a restart, an upgrade, a reboot.
 *
 * The datapath counts by slot and decision index. A rule's total is its history plus what the slots have counted since they
 * were last looked at. A look takes the growth over into the history and notes how far it got, so that nothing is counted
 * twice; a slot is looked at for the last time right before its counters are lost. The history is on disk with the notes:
 * a restart goes on where the counters stand, and after a reboot, when they are gone, only what they counted since the
 * last write is missing (at most {@link PERSIST_EVERY_MS}).
 */
import type { Logger } from "pino";
import type { Clock } from "../agent/clock.ts";
import type { Enforcer, SlotCounters } from "../enforce/enforcer.ts";
import { CounterHistory, EMPTY_HISTORY, type HistoryImage, MAX_HISTORY, type RuleTotal } from "./counterHistory.ts";
import { readHistory, writeHistory } from "./historyFile.ts";

export const PERSIST_EVERY_MS = 60_000;
/** After a change: looking at a hundred thousand counters takes a while, and an apply must not wait for it. */
const PERSIST_SOON_MS = 1_000;
/** Totals that took longer than this to read are given again for a while, so that reading them takes a 25th of the time. */
const COSTLY_MS = 20;
const COST_SHARE = 25;

export interface RuleCountersPorts {
  readonly enforcer: Pick<Enforcer, "slotCounters" | "onCountersEnd">;
  /** Stable ids of the decisions of a loaded program, in order of index; `null` when it is not known (any more). */
  readonly idsOf: (generation: number, programDigest: string) => readonly string[] | null;
  readonly clock: Clock;
  /** Counters do not outlive a boot, and their storage may get the same name in the next one. */
  readonly bootId: string;
  readonly path: string;
  readonly log: Pick<Logger, "warn">;
  readonly maxHistory?: number;
}

interface RecentTotals {
  readonly ids: readonly string[];
  readonly totals: ReadonlyMap<string, RuleTotal>;
  readonly untilMs: number;
}

export class RuleCounters {
  readonly #ports: RuleCountersPorts;
  readonly #stopListening: (() => void) | undefined;
  #history = new CounterHistory(EMPTY_HISTORY);
  #cancelTimer: () => void = () => {};
  #cancelSoon: (() => void) | null = null;
  #recent: RecentTotals | null = null;
  #writing: Promise<void> = Promise.resolve();
  #isWriteQueued = false;
  #isFailing = false;
  #written: HistoryImage | null = null;
  #isClosed = false;

  private constructor(ports: RuleCountersPorts) {
    this.#ports = ports;
    this.#stopListening = ports.enforcer.onCountersEnd?.((last) => this.#end(last));
  }

  /** Reads the history. A damaged file is said in the log and begun anew: verdicts never depend on it. */
  static async open(ports: RuleCountersPorts): Promise<RuleCounters> {
    const counters = new RuleCounters(ports);
    const { image, problem } = await readHistory(ports.path);
    if (problem !== null)
      ports.log.warn({ path: ports.path, problem }, "the history of rule counters is damaged and begins anew");
    counters.#history = new CounterHistory(image);
    counters.#schedule();
    return counters;
  }

  /** Ids that are no longer kept because there were too many. */
  get dropped(): number {
    return this.#history.dropped;
  }

  /** Totals of the given ids; those that never counted are left out. */
  totals(ids: Iterable<string>): ReadonlyMap<string, RuleTotal> {
    const live = this.#slots().map((slot) => ({ slot, ids: this.#idsOf(slot) }));
    return this.#history.totalsWith(live, new Set(ids), this.#wallMsOf());
  }

  /** As {@link totals}, but some seconds old where there are so many that reading them at every call would cost too much. */
  recentTotals(ids: readonly string[]): ReadonlyMap<string, RuleTotal> {
    const startMs = performance.now();
    const recent = this.#recent;
    if (recent?.ids === ids && startMs < recent.untilMs) return recent.totals;
    const totals = this.totals(ids);
    const endMs = performance.now();
    const tookMs = endMs - startMs;
    this.#recent = tookMs < COSTLY_MS ? null : { ids, totals, untilMs: endMs + tookMs * COST_SHARE };
    return totals;
  }

  /**
   * Writes in a second. To be called when another program has come into force, so that the names of its decisions are on
   * disk too: a later process knows those of the program before only from there.
   */
  persistSoon(): void {
    if (this.#isClosed) return;
    this.#cancelSoon ??= this.#ports.clock.schedule(PERSIST_SOON_MS, () => {
      this.#cancelSoon = null;
      void this.persist();
    });
  }

  /**
   * Looks at every slot and puts the history on disk. A failure is said in the log and tried again in a minute.
   */
  persist(): Promise<void> {
    // One write at a time; whoever asks meanwhile is served by the next one.
    if (this.#isWriteQueued) return this.#writing;
    this.#isWriteQueued = true;
    this.#writing = this.#writing.then(() => {
      this.#isWriteQueued = false;
      return this.#write();
    });
    return this.#writing;
  }

  /** Resolves when what was begun to be written is on disk, or has failed. */
  async settled(): Promise<void> {
    let writing: Promise<void> | null = null;
    while (writing !== this.#writing) {
      writing = this.#writing;
      await writing;
    }
  }

  /** Call before the enforcer is closed: what it counted until now is written. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTimer();
    this.#cancelSoon?.();
    await this.persist();
    this.#stopListening?.();
  }

  #schedule(): void {
    if (this.#isClosed) return;
    this.#cancelTimer = this.#ports.clock.schedule(PERSIST_EVERY_MS, () => {
      void this.persist();
      this.#schedule();
    });
  }

  #slots(): readonly SlotCounters[] {
    return (this.#ports.enforcer.slotCounters?.() ?? []).map((slot) => this.#inThisBoot(slot));
  }

  #inThisBoot(slot: SlotCounters): SlotCounters {
    return { ...slot, storage: `${this.#ports.bootId} ${slot.storage}` };
  }

  #idsOf(slot: SlotCounters): readonly string[] {
    return this.#ports.idsOf(slot.generation, slot.programDigest) ?? this.#history.idsOf(slot) ?? [];
  }

  #wallMsOf(): (bootNs: bigint) => number {
    const { clock } = this.#ports;
    // Asked once for all: each asks the system.
    const startedMs = clock.wallMs() - Number(clock.bootNs()) / 1e6;
    return (bootNs) => Math.max(0, Math.round(startedMs + Number(bootNs) / 1e6));
  }

  #end(last: SlotCounters): void {
    const slot = this.#inThisBoot(last);
    this.#history.absorb(slot, this.#idsOf(slot), this.#wallMsOf());
    this.#history.forget(slot);
    this.persistSoon();
  }

  #look(): HistoryImage {
    const slots = this.#slots();
    const wallMsOf = this.#wallMsOf();
    for (const slot of slots) this.#history.absorb(slot, this.#idsOf(slot), wallMsOf);
    this.#history.keepOnly(slots);
    const dropped = this.#history.bound(this.#ports.maxHistory ?? MAX_HISTORY);
    if (dropped > 0) this.#ports.log.warn({ dropped }, "counters of rules that nothing names any more were dropped");
    return this.#history.image();
  }

  async #write(): Promise<void> {
    try {
      const image = this.#look();
      if (this.#written !== null && isSame(image, this.#written)) return;
      await writeHistory(this.#ports.path, image);
      this.#written = image;
      this.#isFailing = false;
    } catch (error) {
      // Said once: a full disk would fill the log with it.
      if (!this.#isFailing) this.#ports.log.warn({ error }, "the history of rule counters could not be written");
      this.#isFailing = true;
    }
  }
}

/** Whether writing would change nothing: an idle host does not touch its disk. */
function isSame(one: HistoryImage, other: HistoryImage): boolean {
  if (one.dropped !== other.dropped || one.totals.size !== other.totals.size || one.slots.length !== other.slots.length)
    return false;
  const names = (image: HistoryImage) => image.slots.map((slot) => `${slot.storage} ${slot.generation}`).join();
  if (names(one) !== names(other)) return false;
  // A total is a new object whenever it grew.
  for (const [id, total] of one.totals) if (other.totals.get(id) !== total) return false;
  return true;
}
