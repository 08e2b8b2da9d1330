/** The `Enforcer` contract in memory: two slots, a flip word and a deadline that counts without the agent. */
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
  PreparedProgram,
} from "../enforce/enforcer.ts";

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
  counters: readonly DecisionCounter[] = [];
  lost: EventLosses = { ringFull: 0n, rateLimited: 0n, notFollowed: 0n };
  prepareFailure: Error | null = null;
  activateFailure: Error | null = null;
  recalled: number[] = [];
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
    this.kernel.filled = generation;
    this.kernel.slots[this.kernel.active === 0 ? 1 : 0] = { generation, digest: program.digest, mode: "observe" };
    return { generation, program, timings: { fillUs: 1, selfTestUs: 1 } };
  }

  activate(prepared: PreparedProgram, options: ActivateOptions): number {
    if (this.activateFailure) throw this.activateFailure;
    const target = this.kernel.active === 0 ? 1 : 0;
    if (this.kernel.slots[target].generation !== prepared.generation) throw new Error("the slot holds another program");
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
    return this.counters;
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

  async release(): Promise<void> {
    await this.close();
    Object.assign(this.kernel, new FakeKernel());
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    this.#listeners.clear();
  }
}
