/** The `Enforcer` contract in memory: two slots, a flip word and a deadline that counts without the agent. */
import type { HostProgram } from "@wardline/domain/policy";
import { bootMs, type Clock } from "../agent/clock.ts";
import type {
  ActivateOptions,
  BackendName,
  DatapathState,
  DecisionCounter,
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
  deadlineBootMs: number | null = null;
  attached = false;
}

export class FakeEnforcer implements Enforcer {
  readonly name: BackendName;
  readonly limits: readonly string[] = [];
  readonly kernel: FakeKernel;
  readonly #clock: Clock;
  readonly #listeners = new Set<(events: readonly FlowEvent[]) => void>();
  counters: readonly DecisionCounter[] = [];
  lost: EventLosses = { ringFull: 0n, rateLimited: 0n };
  prepareFailure: Error | null = null;
  activateFailure: Error | null = null;
  opened = 0;

  constructor(clock: Clock, kernel = new FakeKernel(), name: BackendName = "ebpf") {
    this.#clock = clock;
    this.kernel = kernel;
    this.name = name;
  }

  async open(): Promise<DatapathState> {
    this.opened += 1;
    this.kernel.attached = true;
    return this.state();
  }

  state(): DatapathState {
    const { slots, active, deadlineBootMs, attached } = this.kernel;
    const current = slots[active];
    const other = slots[active === 0 ? 1 : 0];
    return {
      attached,
      generation: current.generation,
      mode: current.mode,
      programDigest: current.digest,
      previousGeneration: other.generation,
      previousProgramDigest: other.digest,
      previousMode: other.mode,
      deadlineBootMs,
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
    return 1;
  }

  confirm(): void {
    this.kernel.deadlineBootMs = null;
  }

  revert(): DatapathState {
    this.kernel.active = this.kernel.active === 0 ? 1 : 0;
    this.kernel.deadlineBootMs = null;
    return this.state();
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
    Object.assign(this.kernel, new FakeKernel());
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }
}
