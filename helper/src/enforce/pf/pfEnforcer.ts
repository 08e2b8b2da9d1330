/**
 * Enforcement by pf on macOS: one anchor, called from the main rules, loaded as a whole.
 *
 * Why one anchor and not a child for each tier: the compiler has resolved tiers, priorities and deny-over-allow, so the
 * text is one list in which the first match decides (every rule is `quick`, and each direction ends in a rule that always
 * matches). One anchor is one transaction of the kernel; four would let a packet meet two generations.
 *
 * pf has no second slot: the text of the other slot is kept in the record, and a flip is a load. What pf cannot do at
 * all: limits.ts. The way around it: docs/backends-pf.md.
 */
import type { HostProgram } from "@wardline/domain/policy";
import { emitPf, requireScript } from "@wardline/domain/policy/emit";
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
  type SlotCounters,
} from "../enforcer.ts";
import { anchorText } from "./anchorText.ts";
import type { PfCommands } from "./commands.ts";
import { PfDatapath } from "./datapath.ts";
import { PF_LIMITS } from "./limits.ts";
import type { PfConfFile } from "./pfConfFile.ts";
import { EMPTY_RECORD, EMPTY_SLOT, type PfStore } from "./record.ts";
import * as refuse from "./refusals.ts";

export interface PfEnforcerConfig {
  readonly commands: PfCommands;
  readonly confFile: PfConfFile;
  readonly store: PfStore;
  /** Milliseconds on the boot clock. */
  readonly bootMs: () => number;
  /** `wardline` unless given: lower-case letters, digits and hyphens. */
  readonly anchorName?: string;
}

interface Prepared {
  readonly generation: number;
  readonly digest: string;
  readonly scripts: Readonly<Record<EnforcementMode, string>>;
}

const WATCH_INTERVAL_MS = 10_000;

export function createPfEnforcer(config: PfEnforcerConfig): PfEnforcer {
  return new PfEnforcer(config);
}

export class PfEnforcer implements Enforcer {
  readonly name = "pf";
  readonly #config: PfEnforcerConfig;
  readonly #datapath: PfDatapath;
  #prepared: Prepared | null = null;
  #timers: { readonly watch: NodeJS.Timeout; deadline: NodeJS.Timeout | null } | null = null;

  constructor(config: PfEnforcerConfig) {
    this.#config = config;
    this.#datapath = new PfDatapath(config);
  }

  /** What pf cannot do, and what is wrong with it now. */
  get limits(): readonly string[] {
    return [...PF_LIMITS, ...this.#datapath.problems];
  }

  /**
   * Loads what was in force (after a reboot pf has nothing) before it lets pf call it, so that no packet meets an empty
   * anchor. Called again while it is open, it repairs what others have undone. Throws `Failure` KERNEL_REFUSED when pf
   * does not answer or refuses the rules.
   */
  async open(): Promise<DatapathState> {
    if (this.#timers === null) this.#datapath.adopt();
    this.#datapath.repair();
    this.#timers ??= { watch: setInterval(() => this.watch(), WATCH_INTERVAL_MS).unref(), deadline: null };
    this.#armDeadline();
    return this.state();
  }

  state(): DatapathState {
    const datapath = this.#held();
    const attached = datapath.look();
    const { active, previous, deadlineBootMs, emergency } = datapath.record;
    const other = this.#prepared === null && previous !== null ? previous : EMPTY_SLOT;
    return {
      attached,
      generation: active.generation,
      mode: active.mode,
      programDigest: active.digest,
      previousGeneration: other.generation,
      previousProgramDigest: other.digest,
      previousMode: other.mode,
      deadlineBootMs,
      expired: datapath.isExpired(),
      emergency,
    };
  }

  /** Puts back what another program has undone. Runs every ten seconds by itself. */
  watch(): void {
    if (this.#timers !== null) this.#datapath.watch();
  }

  async prepare(program: HostProgram, generation: number): Promise<PreparedProgram> {
    const datapath = this.#held();
    if (datapath.isExpired()) this.revert();
    if (datapath.record.deadlineBootMs !== null) throw refuse.confirmationPending();
    const start = performance.now();
    const scripts = {
      enforce: requireScript(emitPf(program, { mode: "enforce" })),
      observe: requireScript(emitPf(program, { mode: "observe" })),
    };
    const emitted = performance.now();
    for (const mode of ["enforce", "observe"] as const) {
      const slot = { generation, digest: program.digest, mode, script: scripts[mode] };
      datapath.anchor.check(anchorText(slot, "none"));
    }
    const checked = performance.now();
    this.#prepared = { generation, digest: program.digest, scripts };
    datapath.counters.endKept();
    return { generation, program, timings: { fillUs: inUs(emitted - start), selfTestUs: inUs(checked - emitted) } };
  }

  /** The load is one transaction; what fails after it takes it back. Throws `Failure`; then nothing was changed. */
  activate(prepared: PreparedProgram, options: ActivateOptions): number {
    const datapath = this.#held();
    const ready = this.#prepared;
    if (ready?.generation !== prepared.generation || ready.digest !== prepared.program.digest)
      throw refuse.notPrepared(prepared.generation);
    const { mode, fallbackAfterMs } = options;
    const { generation, digest, scripts } = ready;
    const before = datapath.record;
    if (fallbackAfterMs !== null && before.active.script === null) throw refuse.noWayBack(before.active.generation);
    const deadlineBootMs = fallbackAfterMs === null ? null : this.#config.bootMs() + fallbackAfterMs;
    const active = { generation, digest, mode, script: scripts[mode] };
    datapath.write({ ...before, active, previous: before.active, deadlineBootMs });
    let loadUs: number;
    try {
      const text = anchorText(active, before.emergency);
      loadUs = datapath.switchTo(text);
      datapath.endStates(text);
    } catch (error) {
      datapath.takeBack(before);
      throw error;
    }
    this.#prepared = null;
    this.#armDeadline();
    return loadUs;
  }

  confirm(): void {
    const datapath = this.#held();
    if (datapath.record.deadlineBootMs === null) return;
    if (datapath.isExpired()) throw refuse.tooLate();
    datapath.writeOrReport({ ...datapath.record, deadlineBootMs: null });
    this.#armDeadline();
  }

  /** Loads the text before. A full disk does not stand in the way: the anchor says afterwards what is in force. */
  revert(): DatapathState {
    const datapath = this.#held();
    const { active, previous, emergency } = datapath.record;
    if (this.#prepared !== null || previous === null || previous.script === null) throw refuse.nothingEarlier();
    const text = anchorText(previous, emergency);
    if (!datapath.isExpired() || !datapath.isIntact(text)) datapath.load(text);
    datapath.writeOrReport({ ...datapath.record, active: previous, previous: active, deadlineBootMs: null });
    this.#armDeadline();
    datapath.endStatesOrReport(text);
    return this.state();
  }

  setEmergency(emergency: Emergency): void {
    const datapath = this.#held();
    const slot = datapath.deciding();
    if (emergency === "none" && slot.script === null) throw refuse.textUnknown(slot.generation);
    if (!datapath.attachment.check().isAttached) datapath.repair();
    const before = datapath.record;
    const text = anchorText(slot, emergency);
    datapath.writeOrReport({ ...before, emergency });
    try {
      datapath.switchTo(text);
    } catch (error) {
      datapath.takeBack(before);
      throw error;
    }
    // Not taken back when this fails: a network that is closed for everything new is better than an open one.
    datapath.endStates(text);
  }

  /** Nothing to do: the texts carry what counters need, and pf follows no workloads. */
  recall(_program: HostProgram, _generation: number): void {}

  readCounters(): readonly DecisionCounter[] {
    return this.#held().counters.read();
  }

  slotCounters(): readonly SlotCounters[] {
    return this.#held().counters.slots();
  }

  onCountersEnd(listener: (last: SlotCounters) => void): () => void {
    return this.#datapath.counters.onEnd(listener);
  }

  /** pf reports no flows. */
  onEvents(_listener: (events: readonly FlowEvent[]) => void): () => void {
    return () => {};
  }

  losses(): EventLosses {
    return { ringFull: 0n, rateLimited: 0n, notFollowed: 0n };
  }

  flowProgress(): AsyncIterable<readonly FlowProgress[]> {
    return noFlowProgress();
  }

  /** Rules, call and token: each is given up whatever happens to the others. Throws `Failure` naming what stayed. */
  async release(): Promise<void> {
    const datapath = this.#datapath;
    const { token } = this.#timers === null ? datapath.readRecord() : datapath.record;
    await this.close();
    datapath.counters.endAll();
    const flushProblem = datapath.anchor.flush();
    const problems = [...(flushProblem === null ? [] : [flushProblem]), ...datapath.attachment.detach(token)];
    datapath.forget();
    if (problems.length === 0) {
      this.#config.store.clear();
      return;
    }
    datapath.writeOrReport({ ...EMPTY_RECORD, token });
    throw refuse.notReleased(problems);
  }

  async close(): Promise<void> {
    if (this.#timers === null) return;
    clearInterval(this.#timers.watch);
    clearTimeout(this.#timers.deadline ?? undefined);
    this.#timers = null;
    this.#prepared = null;
  }

  #held(): PfDatapath {
    if (this.#timers === null) throw new Error("the enforcer is not open");
    return this.#datapath;
  }

  /** While the agent lives it falls back at the deadline by itself, whoever else keeps a timer. */
  #armDeadline(): void {
    if (this.#timers === null) return;
    clearTimeout(this.#timers.deadline ?? undefined);
    const { deadlineBootMs } = this.#datapath.record;
    const waitMs = deadlineBootMs === null ? null : Math.max(0, deadlineBootMs - this.#config.bootMs()) + 1;
    this.#timers.deadline = waitMs === null ? null : setTimeout(() => this.#datapath.look(), waitMs).unref();
  }
}

function inUs(ms: number): number {
  return Math.round(ms * 1000);
}
