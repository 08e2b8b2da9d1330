/**
 * An enforcer that may be released and opened again within the life of the agent: listeners stay, and while nothing is
 * loaded the state says so instead of failing.
 */
import type { HostProgram } from "@wardline/domain/policy";
import {
  type ActivateOptions,
  type DatapathState,
  type DecisionCounter,
  type Emergency,
  type Enforcer,
  type EventLosses,
  type FlowEvent,
  type FlowProgress,
  noFlowProgress,
  type OverlayInterface,
  type PreparedProgram,
  type SlotCounters,
} from "./enforcer.ts";

const NOTHING_LOADED: DatapathState = {
  attached: false,
  generation: 0,
  mode: "observe",
  programDigest: "",
  previousGeneration: 0,
  previousProgramDigest: "",
  previousMode: "observe",
  deadlineBootMs: null,
  expired: false,
  emergency: "none",
};

export class EnforcerSession implements Enforcer {
  readonly #inner: Enforcer;
  readonly #listeners = new Set<(events: readonly FlowEvent[]) => void>();
  #isOpen = false;
  #isListening = false;
  readonly #endListeners = new Set<(last: SlotCounters) => void>();
  /** `undefined` = nobody has said. */
  #overlay: OverlayInterface | null | undefined;
  #lastLosses: EventLosses = { ringFull: 0n, rateLimited: 0n, notFollowed: 0n };

  constructor(inner: Enforcer) {
    this.#inner = inner;
    inner.onCountersEnd?.((last) => {
      for (const listener of this.#endListeners) listener(last);
    });
  }

  get name() {
    return this.#inner.name;
  }

  get limits() {
    return this.#inner.limits;
  }

  async open(): Promise<DatapathState> {
    const state = await this.#inner.open();
    this.#isOpen = true;
    if (this.#listeners.size > 0) this.#listen();
    if (this.#overlay !== undefined) this.#inner.setOverlay?.(this.#overlay);
    return state;
  }

  state(): DatapathState {
    return this.#isOpen ? this.#inner.state() : NOTHING_LOADED;
  }

  prepare(program: HostProgram, generation: number): Promise<PreparedProgram> {
    return this.#inner.prepare(program, generation);
  }

  activate(prepared: PreparedProgram, options: ActivateOptions): number {
    return this.#inner.activate(prepared, options);
  }

  confirm(): void {
    this.#inner.confirm();
  }

  revert(): DatapathState {
    return this.#inner.revert();
  }

  setEmergency(emergency: Emergency): void {
    this.#inner.setEmergency(emergency);
  }

  setOverlay(overlay: OverlayInterface | null): void {
    this.#overlay = overlay;
    if (this.#isOpen) this.#inner.setOverlay?.(overlay);
  }

  heldOverlay(): Partial<OverlayInterface> | null {
    return this.#isOpen ? (this.#inner.heldOverlay?.() ?? null) : null;
  }

  recall(program: HostProgram, generation: number): void {
    this.#inner.recall(program, generation);
  }

  readCounters(): readonly DecisionCounter[] {
    return this.#isOpen ? this.#inner.readCounters() : [];
  }

  slotCounters(): readonly SlotCounters[] {
    if (!this.#isOpen) return [];
    if (this.#inner.slotCounters) return this.#inner.slotCounters();
    const { generation, programDigest } = this.#inner.state();
    return [{ storage: "", generation, programDigest, counters: this.#inner.readCounters() }];
  }

  onCountersEnd(listener: (last: SlotCounters) => void): () => void {
    this.#endListeners.add(listener);
    return () => this.#endListeners.delete(listener);
  }

  onEvents(listener: (events: readonly FlowEvent[]) => void): () => void {
    this.#listeners.add(listener);
    if (this.#isOpen) this.#listen();
    return () => this.#listeners.delete(listener);
  }

  losses(): EventLosses {
    if (this.#isOpen) this.#lastLosses = this.#inner.losses();
    return this.#lastLosses;
  }

  flowProgress(seenSinceBootNs: bigint): AsyncIterable<readonly FlowProgress[]> {
    return this.#isOpen ? this.#inner.flowProgress(seenSinceBootNs) : noFlowProgress();
  }

  edgeInterfaces(): readonly string[] {
    return (this.#isOpen ? this.#inner.edgeInterfaces?.() : null) ?? [];
  }

  problems(): readonly string[] {
    return (this.#isOpen ? this.#inner.problems?.() : null) ?? [];
  }

  async release(): Promise<void> {
    this.losses();
    this.#isOpen = false;
    this.#isListening = false;
    await this.#inner.release();
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.losses();
    this.#isOpen = false;
    this.#isListening = false;
    await this.#inner.close();
  }

  /** Once per open: closing the inner enforcer ends its listeners. */
  #listen(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    this.#inner.onEvents((events) => {
      for (const listener of this.#listeners) listener(events);
    });
  }
}
