/**
 * The backend for hosts where nothing can be enforced: no root, no eBPF, another system. It checks and remembers what it
 * is given, so that plan, history and rollback work, and says everywhere that no packet is filtered.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HostProgram } from "@wardline/domain/policy";
import { packProgram } from "../ebpf/image.ts";
import {
  type ActivateOptions,
  type DatapathState,
  type DecisionCounter,
  type Emergency,
  type EnforcementMode,
  type Enforcer,
  type EventLosses,
  type FlowEvent,
  type FlowProgress,
  noFlowProgress,
  type PreparedProgram,
} from "../enforcer.ts";

export interface ObserveEnforcerConfig {
  /** Why this backend was chosen, as a sentence. */
  readonly reason: string;
  /** Milliseconds on the boot clock. */
  readonly bootMs: () => number;
}

interface Slot {
  readonly generation: number;
  readonly digest: string;
  readonly mode: EnforcementMode;
  readonly activated: boolean;
}

const EMPTY: Slot = { generation: 0, digest: "", mode: "observe", activated: true };

export function createObserveEnforcer(config: ObserveEnforcerConfig): Enforcer {
  return new ObserveEnforcer(config);
}

class ObserveEnforcer implements Enforcer {
  readonly name = "observe";
  readonly limits: readonly string[];
  readonly #bootMs: () => number;
  #active: Slot = EMPTY;
  #other: Slot = EMPTY;
  #deadlineBootMs: number | null = null;

  constructor({ reason, bootMs }: ObserveEnforcerConfig) {
    this.limits = [
      `Nothing is enforced on this host. ${reason}`,
      "Flows and counters are not recorded: no packet is looked at.",
    ];
    this.#bootMs = bootMs;
  }

  async open(): Promise<DatapathState> {
    return this.state();
  }

  #isExpired(): boolean {
    return this.#deadlineBootMs !== null && this.#bootMs() > this.#deadlineBootMs;
  }

  state(): DatapathState {
    const previous = this.#other.activated ? this.#other : EMPTY;
    return {
      attached: false,
      generation: this.#active.generation,
      mode: "observe",
      programDigest: this.#active.digest,
      previousGeneration: previous.generation,
      previousProgramDigest: previous.digest,
      previousMode: "observe",
      deadlineBootMs: this.#deadlineBootMs,
      expired: this.#isExpired(),
      emergency: "none",
    };
  }

  async prepare(program: HostProgram, generation: number): Promise<PreparedProgram> {
    const start = performance.now();
    packProgram(program);
    if (this.#isExpired()) this.revert();
    if (this.#deadlineBootMs !== null)
      throw new Failure({
        code: ErrorCode.CONFIRMATION_PENDING,
        message: "The last change waits for its confirmation.",
        hint: "Confirm it or roll it back first.",
        retryable: true,
      });
    this.#other = { generation, digest: program.digest, mode: "observe", activated: false };
    return { generation, program, timings: { fillUs: Math.round((performance.now() - start) * 1000), selfTestUs: 0 } };
  }

  /** A program can be recorded in observe mode only: to accept `enforce` here would be a claim. */
  activate(prepared: PreparedProgram, options: ActivateOptions): number {
    if (options.mode === "enforce")
      throw new Failure({
        code: ErrorCode.OBSERVE_ONLY,
        message: "This host cannot enforce policy. Nothing was changed.",
        hint: this.limits[0] ?? "",
      });
    const start = performance.now();
    if (this.#other.activated || this.#other.generation !== prepared.generation)
      throw new Failure({
        code: ErrorCode.GENERATION_CONFLICT,
        message: `Generation ${prepared.generation} is no longer prepared. Nothing was changed.`,
        hint: "Apply again.",
        retryable: true,
      });
    const activated = { ...this.#other, activated: true };
    this.#other = this.#active;
    this.#active = activated;
    this.#deadlineBootMs = options.fallbackAfterMs === null ? null : this.#bootMs() + options.fallbackAfterMs;
    return (performance.now() - start) * 1000;
  }

  confirm(): void {
    if (this.#isExpired())
      throw new Failure({
        code: ErrorCode.DEADLINE_EXCEEDED,
        message: "The time to confirm is over; the host has returned to the generation before.",
      });
    this.#deadlineBootMs = null;
  }

  revert(): DatapathState {
    if (!this.#other.activated)
      throw new Failure({ code: ErrorCode.NOTHING_PENDING, message: "There is no earlier generation to return to." });
    [this.#active, this.#other] = [this.#other, this.#active];
    this.#deadlineBootMs = null;
    return this.state();
  }

  /** Nothing is filtered here, so there is nothing to open, and closing would be a claim. */
  setEmergency(emergency: Emergency): void {
    if (emergency === "closed")
      throw new Failure({
        code: ErrorCode.OBSERVE_ONLY,
        message: "This host cannot close its network: it has nothing to enforce with. Nothing was changed.",
        hint: this.limits[0] ?? "",
      });
  }

  recall(_program: HostProgram, _generation: number): void {}

  readCounters(): readonly DecisionCounter[] {
    return [];
  }

  onEvents(_listener: (events: readonly FlowEvent[]) => void): () => void {
    return () => {};
  }

  losses(): EventLosses {
    return { ringFull: 0n, rateLimited: 0n, notFollowed: 0n };
  }

  flowProgress(): AsyncIterable<readonly FlowProgress[]> {
    return noFlowProgress();
  }

  async release(): Promise<void> {
    this.#active = EMPTY;
    this.#other = EMPTY;
    this.#deadlineBootMs = null;
  }

  async close(): Promise<void> {}
}
