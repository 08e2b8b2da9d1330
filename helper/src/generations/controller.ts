/**
 * Commit-confirm: the one place that changes which generation decides.
 *
 * Order of an apply: check and compile, fill and self-test the inactive slot, write the pending record, flip with the
 * datapath's own deadline, start the timer. A crash between any two steps ends in the confirmed generation, because a
 * start that finds a pending record leaves that generation first (see recovery.ts).
 */
import { Failure } from "@wardline/domain/errors";
import type { SourceFile } from "@wardline/domain/policy";
import { bootMs } from "../agent/clock.ts";
import type { PreparedProgram } from "../enforce/enforcer.ts";
import { atBootTime, TIMER_STEP_MS } from "./bootTimer.ts";
import type { Accept, ApplyOutcome, ApplyRequest, Caller, ControllerPorts, Pending } from "./controllerTypes.ts";
import { DATAPATH_MARGIN_MS } from "./limits.ts";
import { Mutex } from "./mutex.ts";
import { CorruptStateError } from "./recordCodec.ts";
import {
  EMPTY_INDEX,
  GENERATION_ZERO,
  type GenerationRecord,
  type StateIndex,
  type StoredGeneration,
  toRecord,
} from "./records.ts";
import { recover } from "./recovery.ts";
import * as refuse from "./refusals.ts";
import {
  type Compiled,
  compileAgain,
  elapsedUs,
  makeActive,
  newRecord,
  readAndCompile,
  readStored,
  withoutNames,
} from "./switching.ts";

interface PendingState extends Pending {
  readonly newestConnectionAtFlip: number;
  readonly cancelTimer: () => void;
}

export class GenerationController {
  readonly #ports: ControllerPorts;
  readonly #mutex = new Mutex();
  readonly #listeners = new Set<() => void>();
  #index: StateIndex = EMPTY_INDEX;
  #enforced: GenerationRecord = GENERATION_ZERO;
  #pending: PendingState | null = null;
  #startProblems: readonly string[] = [];
  #writeProblem: string | null = null;
  #trusted = true;
  #closed = false;

  constructor(ports: ControllerPorts) {
    this.#ports = ports;
  }

  /** Adopts, rolls back or loads; see recovery.ts. Call once, before serving. */
  async start(): Promise<void> {
    const recovered = await recover(this.#ports, this.#ports.store);
    this.#index = recovered.index;
    this.#enforced = recovered.enforced;
    this.#startProblems = recovered.problems;
    this.#trusted = recovered.trusted;
    if (recovered.rolledBack === null) return;
    const { number } = recovered.enforced;
    this.#ports.recordAutomatic(
      "rollback.restart",
      `generation ${recovered.rolledBack} was not confirmed when the agent ended; back to ${number}`,
    );
    if (recovered.trusted) await this.#settle(this.#index);
  }

  get enforced(): GenerationRecord {
    return this.#enforced;
  }

  get pending(): Pending | null {
    return this.#pending;
  }

  get problems(): readonly string[] {
    return this.#writeProblem === null ? this.#startProblems : [...this.#startProblems, this.#writeProblem];
  }

  /** Called after each change of what is enforced, pending or wrong. Returns the disposer. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Desired state behind the enforced generation. Throws `Failure` INTERNAL when its record is damaged. */
  async enforcedFiles(): Promise<readonly SourceFile[]> {
    try {
      return (await this.#ports.store.readGeneration(this.#enforced.number)).files;
    } catch (error) {
      if (error instanceof CorruptStateError) throw refuse.damaged(this.#enforced.number, error);
      throw error;
    }
  }

  /** Throws `Failure`; then what is enforced did not change. */
  apply(request: ApplyRequest, caller: Caller, accept: Accept): Promise<ApplyOutcome> {
    return this.#mutex.run(async () => {
      const start = performance.now();
      if (this.#pending) throw refuse.confirmationPending(this.#pending.generation.number);
      refuse.checkApply(request, this.#enforced.number, this.#ports.enforcer.name);
      const base = readAndCompile(this.#ports, request.files, withoutNames(this.#ports.clock.wallMs()));
      // Who planned this knows no names: what they are looked up to differs from host to host.
      if (base.program.digest !== request.expectedProgramDigest) throw refuse.otherProgram();
      const compiled = await this.#underPresentCircumstances(base);
      await accept();
      if (!this.#ports.enforcer.state().attached) await this.#ports.enforcer.open();
      const prepared = await this.#ports.enforcer.prepare(compiled.program, this.#index.nextGeneration);
      const record = this.#recordOf(request, caller, compiled);
      const flipUs = await this.#flip(record, request, compiled, prepared);
      const { readUs, compileUs } = compiled;
      const timings = { readUs, compileUs, ...prepared.timings, flipUs: Math.round(flipUs), totalUs: elapsedUs(start) };
      return { pending: this.#pendingOrThrow(), timings };
    });
  }

  /** Keeps the pending generation. Throws `Failure` NOTHING_PENDING, GENERATION_CONFLICT, PERMISSION_DENIED, DISK_FULL. */
  confirm(generation: number, programDigest: string, caller: Caller, accept: Accept): Promise<GenerationRecord> {
    return this.#mutex.run(async () => {
      const pending = this.#pending;
      if (!pending) throw refuse.nothingPending();
      refuse.checkConfirm(pending.generation, generation, programDigest);
      if (caller.connectionOrder <= pending.newestConnectionAtFlip) throw refuse.oldConnection();
      if (bootMs(this.#ports.clock) >= pending.deadlineBootMs) throw refuse.tooLate();
      await accept();
      const index = { ...this.#index, confirmed: generation, previous: pending.previous.number, pending: null };
      // On disk first: a crash before the next line leaves a confirmed generation, which a restart confirms again.
      await this.#ports.store.writeIndex(index);
      await this.#confirmInDatapath(pending);
      this.#endPending();
      this.#startProblems = [];
      await this.#settled(index);
      return this.#enforced;
    });
  }

  /** Leaves the named generation for the one before: the pending one, or the confirmed one. Throws `Failure`. */
  rollback(generation: number, accept: Accept): Promise<GenerationRecord> {
    return this.#mutex.run(async () => {
      const pending = this.#pending;
      if (generation !== this.#enforced.number) throw refuse.otherGeneration(this.#enforced.number, generation);
      if (pending) {
        // The agent would do this by itself a little later: a full disk must not stand in the way.
        await accept({ evenWhenUnrecorded: true });
        await this.#leavePending(pending);
      } else {
        await this.#leaveConfirmed(accept);
      }
      return this.#enforced;
    });
  }

  /**
   * Puts the enforced policies in force as they are now: without those that have expired, with the present addresses of
   * domain names. That is a generation of its own, confirmed from the start, because nobody decided anything new; a
   * rollback still returns to the generation before the last apply. Nothing happens while a confirmation is pending (both
   * slots are taken) or when the tables stay the same. Throws `Failure`; then what was enforced still is.
   */
  refresh(why: string): Promise<void> {
    return this.#mutex.run(async () => {
      const { number: current } = this.#enforced;
      if (this.#closed || this.#pending || current === 0 || !this.#trusted) return;
      const stored = await this.#ports.store.readGeneration(current).catch((error: unknown) => {
        throw error instanceof CorruptStateError ? refuse.damaged(current, error) : error;
      });
      const before = readStored(this.#ports, stored);
      const base = compileAgain(this.#ports, before, withoutNames(this.#ports.clock.wallMs()));
      const compiled = await this.#underPresentCircumstances(base);
      if (compiled.program.digest === this.#ports.enforcer.state().programDigest) {
        this.#ports.contexts.remember(current, compiled);
        return;
      }
      await this.#replaceQuietly(stored, compiled);
      const { number } = this.#enforced;
      this.#ports.recordAutomatic("refresh", `${why}: generation ${number} takes over from ${current}`);
    });
  }

  /** Ends enforcement on purpose: detaches and removes everything. Throws `Failure`. */
  release(accept: Accept): Promise<void> {
    return this.#mutex.run(async () => {
      if (this.#pending) throw refuse.confirmationPending(this.#pending.generation.number);
      await accept();
      const index = { ...this.#index, confirmed: 0, previous: null, pending: null };
      await this.#ports.store.writeIndex(index);
      await this.#ports.enforcer.release();
      this.#enforced = GENERATION_ZERO;
      await this.#settled(index);
    });
  }

  /** Ends this process's part; what is enforced stays, a pending generation is left by the datapath or the next start. */
  close(): Promise<void> {
    this.#closed = true;
    this.#pending?.cancelTimer();
    this.#listeners.clear();
    return this.#mutex.run(async () => undefined);
  }

  #recordOf(request: ApplyRequest, caller: Caller, compiled: Compiled): GenerationRecord {
    const { engine, clock } = this.#ports;
    const stateDigest = engine.stateDigest(request.files);
    return newRecord(this.#index.nextGeneration, request, caller.actor, compiled, stateDigest, clock.wallMs());
  }

  async #flip(record: GenerationRecord, request: ApplyRequest, compiled: Compiled, prepared: PreparedProgram) {
    const { store, clock, bootId, enforcer, contexts } = this.#ports;
    const previous = this.#enforced;
    const before = this.#index;
    await store.writeGeneration({ ...record, files: request.files, circumstances: compiled.circumstances });
    const deadlineBootMs = bootMs(clock) + request.confirmWithinMs;
    const pending = { generation: record.number, bootId, deadlineBootMs };
    const index = { ...before, confirmed: previous.number, nextGeneration: record.number + 1, pending };
    await store.writeIndex(index);
    this.#index = index;
    this.#writeProblem = null;
    contexts.remember(record.number, compiled);
    let flipUs: number;
    try {
      flipUs = enforcer.activate(prepared, {
        mode: request.mode,
        fallbackAfterMs: request.confirmWithinMs + DATAPATH_MARGIN_MS,
      });
    } catch (error) {
      await this.#settle({ ...index, pending: null });
      throw error;
    }
    this.#enforced = record;
    const newestConnectionAtFlip = this.#ports.newestConnection();
    const cancelTimer = atBootTime(clock, deadlineBootMs, () => void this.#expire(deadlineBootMs));
    this.#pending = { generation: record, previous, deadlineBootMs, newestConnectionAtFlip, cancelTimer };
    this.#changed();
    return flipUs;
  }

  async #underPresentCircumstances(base: Compiled): Promise<Compiled> {
    if (base.dependencies.domainNames.length === 0) return base;
    const { domainAddresses } = await this.#ports.circumstances(base.dependencies);
    return compileAgain(this.#ports, base, { ...base.circumstances, domainAddresses });
  }

  async #replaceQuietly(stored: StoredGeneration, compiled: Compiled): Promise<void> {
    const { store, enforcer, contexts } = this.#ports;
    const number = this.#index.nextGeneration;
    const programDigest = compiled.program.digest;
    const prepared = await enforcer.prepare(compiled.program, number);
    const next: StoredGeneration = { ...stored, number, programDigest, circumstances: compiled.circumstances };
    const index = { ...this.#index, confirmed: number, nextGeneration: number + 1 };
    // An access that has ended must end on a full disk too: what could not be written is settled by the next start.
    const isWritten = await store.writeGeneration(next).then(
      () => true,
      () => false,
    );
    contexts.remember(number, compiled);
    enforcer.activate(prepared, { mode: stored.mode, fallbackAfterMs: null });
    this.#enforced = toRecord(next);
    await this.#settle(isWritten ? index : { ...index, confirmed: stored.number });
  }

  #expire(deadlineBootMs: number): Promise<void> {
    return this.#mutex.run(async () => {
      const pending = this.#pending;
      if (this.#closed || pending?.deadlineBootMs !== deadlineBootMs) return;
      try {
        await this.#leavePending(pending);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        this.#writeProblem = `Generation ${pending.generation.number} expired and could not be left: ${reason}`;
        this.#changed();
        this.#pending = {
          ...pending,
          cancelTimer: this.#ports.clock.schedule(TIMER_STEP_MS, () => void this.#expire(deadlineBootMs)),
        };
        return;
      }
      const { number } = pending.generation;
      this.#ports.recordAutomatic(
        "rollback.expired",
        `generation ${number} was not confirmed in time; back to ${this.#enforced.number}`,
      );
    });
  }

  /** A disk that took longer than the margin: the datapath has already fallen back, so the agent follows it. */
  async #confirmInDatapath(pending: PendingState): Promise<void> {
    try {
      this.#ports.enforcer.confirm();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      await this.#leavePending(pending);
      throw refuse.tooLate();
    }
  }

  async #leavePending(pending: PendingState): Promise<void> {
    // Whatever the disk says: the other slot still holds the generation before.
    this.#ports.enforcer.revert();
    this.#endPending();
    this.#enforced = pending.previous;
    await this.#settle({ ...this.#index, pending: null });
  }

  async #leaveConfirmed(accept: Accept): Promise<void> {
    const { store } = this.#ports;
    const { previous } = this.#index;
    if (previous === null) throw refuse.nothingEarlier(this.#enforced.number);
    const target = await store.readGeneration(previous).catch((error: unknown) => {
      throw error instanceof CorruptStateError ? refuse.damaged(previous, error) : error;
    });
    await accept();
    const before = this.#index;
    const index = { ...before, confirmed: previous, previous: null };
    await store.writeIndex(index);
    try {
      await makeActive(this.#ports, target);
    } catch (error) {
      await this.#settle(before);
      throw error;
    }
    this.#enforced = { ...toRecord(target), programDigest: this.#ports.enforcer.state().programDigest };
    await this.#settled(index);
  }

  #pendingOrThrow(): Pending {
    if (!this.#pending) throw new Error("the generation was left during its own apply");
    return this.#pending;
  }

  #endPending(): void {
    this.#pending?.cancelTimer();
    this.#pending = null;
  }

  /** Writes an index after the fact: the datapath already is what it says, so a full disk is a problem and no failure. */
  async #settle(index: StateIndex): Promise<void> {
    try {
      await this.#ports.store.writeIndex(index);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#index = index;
      this.#writeProblem = `${reason} What is enforced is right, but a restart will settle it again.`;
      this.#changed();
      return;
    }
    await this.#settled(index);
  }

  async #settled(index: StateIndex): Promise<void> {
    this.#index = index;
    this.#writeProblem = null;
    if (this.#trusted) await this.#ports.store.prune(new Set([index.confirmed, index.previous ?? 0]));
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
