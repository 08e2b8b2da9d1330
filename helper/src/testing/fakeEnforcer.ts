/** The `Enforcer` contract in memory: two slots, a flip word and a deadline that counts without the agent. */
import { randomUUID } from "node:crypto";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HostProgram } from "@wardline/domain/policy";
import { bootMs, type Clock } from "../agent/clock.ts";
import type {
  ActivateOptions,
  BackendName,
  DatapathState,
  DecisionCounter,
  Emergency,
  EnforcementMode,
  Enforcer,
  EventLosses,
  FlowEvent,
  FlowProgress,
  PreparedProgram,
  SlotCounters,
} from "../enforce/enforcer.ts";

const FLOWS_AT_ONCE = 2;

interface Slot {
  generation: number;
  digest: string;
  mode: EnforcementMode;
}

/** What outlives the process: share one between enforcers to play a restart, make a new one to play a reboot. */
export class FakeKernel {
  slots: [Slot, Slot] = [
    { generation: 0, digest: "", mode: "observe" },
    { generation: 0, digest: "", mode: "observe" },
  ];
  /** Packets by decision, of each slot; gone when it is filled anew. */
  counted: [Map<number, bigint>, Map<number, bigint>] = [new Map(), new Map()];
  readonly storage = randomUUID();
  active: 0 | 1 = 0;
  /** Generation that was filled into the inactive slot and never decided: nothing to return to. */
  filled: number | null = null;
  deadlineBootMs: number | null = null;
  attached = false;
  emergency: Emergency = "none";
}

export class FakeEnforcer implements Enforcer {
  readonly name: BackendName;
  readonly limits: readonly string[] = [];
  readonly kernel: FakeKernel;
  readonly #clock: Clock;
  readonly #listeners = new Set<(events: readonly FlowEvent[]) => void>();
  readonly #counterEnds = new Set<(last: SlotCounters) => void>();
  lost: EventLosses = { ringFull: 0n, rateLimited: 0n, notFollowed: 0n };
  prepareFailure: Error | null = null;
  activateFailure: Error | null = null;
  recalled: number[] = [];
  /** What `flowProgress` answers, in batches of two. */
  living: readonly FlowProgress[] = [];
  #isOpen = false;

  constructor(clock: Clock, kernel = new FakeKernel(), name: BackendName = "ebpf") {
    this.#clock = clock;
    this.kernel = kernel;
    this.name = name;
  }

  async open(): Promise<DatapathState> {
    this.#isOpen = true;
    this.kernel.attached = true;
    return this.state();
  }

  state(): DatapathState {
    if (!this.#isOpen) throw new Error("the enforcer is not open");
    const { slots, active, deadlineBootMs, attached } = this.kernel;
    const current = slots[active];
    const inactive = slots[active === 0 ? 1 : 0];
    const other: Slot = this.kernel.filled === null ? inactive : { generation: 0, digest: "", mode: "observe" };
    return {
      attached,
      generation: current.generation,
      mode: current.mode,
      programDigest: current.digest,
      previousGeneration: other.generation,
      previousProgramDigest: other.digest,
      previousMode: other.mode,
      deadlineBootMs,
      emergency: this.kernel.emergency,
      expired: deadlineBootMs !== null && bootMs(this.#clock) >= deadlineBootMs,
    };
  }

  /** Generation whose tables decide packets now, the kernel's own fallback included. */
  deciding(): number {
    const state = this.state();
    return state.expired ? state.previousGeneration : state.generation;
  }

  async prepare(program: HostProgram, generation: number): Promise<PreparedProgram> {
    if (this.prepareFailure) throw this.prepareFailure;
    if (this.state().expired) this.revert();
    if (this.kernel.deadlineBootMs !== null) {
      throw new Failure({ code: ErrorCode.CONFIRMATION_PENDING, message: "The last change waits for confirmation." });
    }
    const slot = this.kernel.active === 0 ? 1 : 0;
    this.#endCounters(slot);
    this.kernel.filled = generation;
    this.kernel.slots[slot] = { generation, digest: program.digest, mode: "observe" };
    this.kernel.counted[slot].clear();
    return { generation, program, timings: { fillUs: 1, selfTestUs: 1 } };
  }

  activate(prepared: PreparedProgram, options: ActivateOptions): number {
    if (this.activateFailure) throw this.activateFailure;
    const target = this.kernel.active === 0 ? 1 : 0;
    if (this.kernel.filled !== prepared.generation) {
      throw new Failure({ code: ErrorCode.GENERATION_CONFLICT, message: "The slot holds another program." });
    }
    this.kernel.slots[target].mode = options.mode;
    this.kernel.deadlineBootMs =
      options.fallbackAfterMs === null ? null : bootMs(this.#clock) + options.fallbackAfterMs;
    this.kernel.active = target;
    this.kernel.filled = null;
    return 1.5;
  }

  confirm(): void {
    if (this.state().expired) {
      throw new Failure({ code: ErrorCode.DEADLINE_EXCEEDED, message: "The time to confirm is over." });
    }
    this.kernel.deadlineBootMs = null;
  }

  revert(): DatapathState {
    if (this.kernel.filled !== null) {
      throw new Failure({ code: ErrorCode.NOTHING_PENDING, message: "There is no earlier generation." });
    }
    this.kernel.active = this.kernel.active === 0 ? 1 : 0;
    this.kernel.deadlineBootMs = null;
    return this.state();
  }

  setEmergency(emergency: Emergency): void {
    this.kernel.emergency = emergency;
  }

  recall(_program: HostProgram, generation: number): void {
    this.recalled.push(generation);
  }

  readCounters(): readonly DecisionCounter[] {
    return this.#countersOf(this.kernel.active)?.counters ?? [];
  }

  slotCounters(): readonly SlotCounters[] {
    const slots = [0, 1] as const;
    return slots.flatMap((slot) => this.#countersOf(slot) ?? []);
  }

  onCountersEnd(listener: (last: SlotCounters) => void): () => void {
    this.#counterEnds.add(listener);
    return () => this.#counterEnds.delete(listener);
  }

  /** Packets of 100 bytes that the active program decides now. */
  count(decision: number, packets: number): void {
    const counted = this.kernel.counted[this.kernel.active];
    counted.set(decision, (counted.get(decision) ?? 0n) + BigInt(packets));
  }

  #countersOf(slot: 0 | 1): SlotCounters | null {
    const { slots, active, filled, counted, storage } = this.kernel;
    const { generation, digest } = slots[slot];
    if (generation === 0 || (slot !== active && filled !== null)) return null;
    const lastSeenBootNs = this.#clock.bootNs();
    const counters = [...counted[slot]].map(([decision, packets]) => ({
      decision,
      packets,
      bytes: packets * 100n,
      lastSeenBootNs,
    }));
    return { storage, generation, programDigest: digest, counters };
  }

  #endCounters(slot: 0 | 1): void {
    const last = this.#countersOf(slot);
    if (last !== null) for (const listener of this.#counterEnds) listener(last);
  }

  onEvents(listener: (events: readonly FlowEvent[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(events: readonly FlowEvent[]): void {
    for (const listener of this.#listeners) listener(events);
  }

  losses(): EventLosses {
    return this.lost;
  }

  async *flowProgress(seenSinceBootNs: bigint): AsyncIterable<readonly FlowProgress[]> {
    const seen = this.living.filter(({ lastSeenBootNs }) => lastSeenBootNs >= seenSinceBootNs);
    for (let first = 0; first < seen.length && this.#isOpen; first += FLOWS_AT_ONCE)
      yield seen.slice(first, first + FLOWS_AT_ONCE);
  }

  async release(): Promise<void> {
    for (const slot of [0, 1] as const) this.#endCounters(slot);
    await this.close();
    Object.assign(this.kernel, new FakeKernel());
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    this.#listeners.clear();
  }
}
