/**
 * Commit-confirm: the one place that changes which generation decides.
 *
 * Order of an apply: check and compile; fill and self-test the inactive slot while the disk takes the generation; write the
 * pending record; flip with the datapath's own deadline; start the timer. A crash between any two steps ends in the confirmed generation, because a
 * start that finds a pending record leaves that generation first (see recovery.ts).
 */
import type { HostProgram, SourceFile } from "@wardline/domain/policy";
import { bootMs } from "../agent/clock.ts";
import type { QuarantineRecord } from "../agent/policyEngine.ts";
import type { Emergency, PreparedProgram } from "../enforce/enforcer.ts";
import type { Accept, ApplyOutcome, ApplyRequest, Caller, ControllerPorts, Pending } from "./controllerTypes.ts";
import { Mutex } from "./mutex.ts";
import { PendingChange, type PendingState } from "./pendingChange.ts";
import { changeQuarantines, type QuarantineRequest, sameQuarantines } from "./quarantines.ts";
import {
  type EmergencyRecord,
  GENERATION_ZERO,
  type GenerationRecord,
  type StoredGeneration,
  toRecord,
} from "./records.ts";
import * as refuse from "./refusals.ts";
import { Standing } from "./standing.ts";
import type { GenerationDraft } from "./stateStore.ts";
import {
  type Compiled,
  canName,
  compileAgain,
  cutOff,
  elapsedUs,
  makeActive,
  newRecord,
  readAndCompile,
  readStored,
  readStoredPolicies,
  withoutNames,
} from "./switching.ts";

export class GenerationController {
  readonly #ports: ControllerPorts;
  readonly #mutex = new Mutex();
  readonly #standing: Standing;
  readonly #pending: PendingChange;
  #closed = false;
  #lastLeft: number | null = null;

  constructor(ports: ControllerPorts) {
    this.#ports = ports;
    this.#standing = new Standing(ports);
    this.#pending = new PendingChange(ports, this.#standing, this.#mutex);
  }

  /** Adopts, rolls back or loads; see recovery.ts. Call once, before serving. */
  start(): Promise<void> {
    return this.#standing.start();
  }

  get enforced(): GenerationRecord {
    return this.#standing.enforced;
  }

  get pending(): Pending | null {
    return this.#pending.current;
  }

  /** The generation that was last left by a call of `rollback`; `null` = none since the start. */
  get lastLeft(): number | null {
    return this.#lastLeft;
  }

  get quarantines(): readonly QuarantineRecord[] {
    return this.#standing.quarantines;
  }

  /** By whose word the brake is pulled; what is true of the datapath is in its own state. */
  get emergency(): EmergencyRecord | null {
    return this.#standing.ledger.index.emergency;
  }

  get problems(): readonly string[] {
    return this.#standing.problems;
  }

  /** Called after each change of what is enforced, pending or wrong. Returns the disposer. */
  onChange(listener: () => void): () => void {
    return this.#standing.onChange(listener);
  }

  /** Desired state behind the enforced generation. Throws `Failure` INTERNAL when its record is damaged. */
  async enforcedFiles(): Promise<readonly SourceFile[]> {
    return (await this.#standing.ledger.readGeneration(this.enforced.number)).files;
  }

  /** Throws `Failure`; then what is enforced did not change. */
  apply(request: ApplyRequest, caller: Caller, accept: Accept): Promise<ApplyOutcome> {
    return this.#mutex.run(async () => {
      const start = performance.now();
      const { enforcer, clock } = this.#ports;
      const { current } = this.#pending;
      if (current) throw refuse.confirmationPending(current.generation.number);
      const baseGeneration = this.#standing.presentNumber(request.baseGeneration);
      refuse.checkApply({ ...request, baseGeneration }, this.enforced.number, enforcer.name);
      const base = readAndCompile(this.#ports, request.files, withoutNames(clock.wallMs()));
      // Who planned this knows neither names nor discovered addresses nor quarantines: they differ from host to host.
      const { expectedProgramDigest } = request;
      if (expectedProgramDigest !== null && base.program.digest !== expectedProgramDigest) throw refuse.otherProgram();
      const compiled = await this.#standing.underPresentCircumstances(base, request.mode);
      await accept();
      if (!enforcer.state().attached) await enforcer.open();
      const record = this.#recordOf(request, caller, compiled);
      const { circumstances } = compiled;
      // The disk takes it while the slot is filled: only the index that names it makes it count.
      const draft = await this.#standing.ledger.draftGeneration({ ...record, files: request.files, circumstances });
      const prepared = await this.#prepare(compiled.program, record.number, draft);
      this.#ports.checkpoint?.("prepared");
      const { pending, flipUs } = await this.#pending.begin(record, request, compiled, prepared, draft);
      const { readUs, compileUs } = compiled;
      const timings = { readUs, compileUs, ...prepared.timings, flipUs: Math.round(flipUs), totalUs: elapsedUs(start) };
      this.#ports.onApplied?.(timings);
      return { pending, timings };
    });
  }

  /**
   * Keeps the pending generation. Naming one that is confirmed already succeeds again: the answer to the first time may
   * have been lost. Throws `Failure` NOTHING_PENDING, GENERATION_CONFLICT, PERMISSION_DENIED, DISK_FULL.
   */
  confirm(generation: number, programDigest: string, caller: Caller, accept: Accept): Promise<GenerationRecord> {
    return this.#mutex.run(async () => {
      const pending = this.#pending.current;
      if (!pending) {
        if (refuse.isConfirmedAlready(this.enforced, generation, programDigest)) return this.enforced;
        throw refuse.nothingPending();
      }
      refuse.checkConfirm(pending.generation, generation, programDigest);
      if (caller.connectionOrder <= pending.newestConnectionAtFlip) throw refuse.oldConnection();
      if (bootMs(this.#ports.clock) >= pending.deadlineBootMs) throw refuse.tooLate();
      await accept();
      await this.#pending.keep(pending);
      return this.enforced;
    });
  }

  /** Leaves the named generation for the one before: the pending one, or the confirmed one. Throws `Failure`. */
  rollback(generation: number, accept: Accept): Promise<GenerationRecord> {
    return this.#mutex.run(async () => {
      if (this.#standing.presentNumber(generation) !== this.enforced.number) {
        throw refuse.otherGeneration(this.enforced.number, generation);
      }
      const before = this.#lastLeft;
      // Known before its effect is: who watches what is enforced asks why it changed.
      this.#lastLeft = generation;
      try {
        await this.#leave(accept);
      } catch (error) {
        this.#lastLeft = before;
        throw error;
      }
      return this.enforced;
    });
  }

  /**
   * Pulls the emergency brake or lets go of it: in the datapath at once, beside whatever else is under way, and only then
   * in the records, so that no disk and no queue stands between. Throws `Failure` when the datapath cannot.
   */
  async setEmergency(emergency: Emergency, caller: Caller, reason: string, accept: Accept): Promise<void> {
    const { enforcer, clock } = this.#ports;
    // One that is to be lifted is in the kernel also when a release broke off, after which nothing is open.
    const isWanted = emergency !== "none" || this.#standing.ledger.index.emergency !== null;
    if (isWanted && !enforcer.state().attached) await enforcer.open();
    // A backend that cannot close says so each time.
    if (enforcer.state().emergency !== emergency) enforcer.setEmergency(emergency);
    this.#standing.changed();
    await this.#mutex.run(async () => {
      await accept({ evenWhenUnrecorded: true });
      const { ledger } = this.#standing;
      if ((ledger.index.emergency?.state ?? "none") === emergency) return;
      const by = { sinceMs: clock.wallMs(), actor: caller.actor, reason };
      await ledger.settle({ ...ledger.index, emergency: emergency === "none" ? null : { state: emergency, ...by } });
    });
  }

  /**
   * Cuts a subject off, or lifts that: the enforced policies under one more or one less quarantine, as a generation of
   * its own that is confirmed from the start. Cutting off does not wait for a confirmation: it leaves the pending
   * generation first. Nothing happens when it is so already. Throws `Failure`.
   */
  setQuarantine(request: QuarantineRequest, caller: Caller, accept: Accept): Promise<void> {
    return this.#mutex.run(async () => {
      const { enforcer, hostName, clock } = this.#ports;
      const pending = this.#pending.current;
      const stored = await this.#standing.ledger.readGeneration((pending?.previous ?? this.enforced).number);
      const before = readStored(this.#ports, stored);
      const by = { actor: caller.actor, nowMs: clock.wallMs() };
      const next = changeQuarantines(this.quarantines, request, before.world, hostName, by);
      if (sameQuarantines(next, this.quarantines)) return;
      if (request.lifted && pending) throw refuse.liftWhilePending(pending.generation.number);
      if (enforcer.name === "observe") throw refuse.cannotCutOff();
      const compiled = compileAgain(this.#ports, before, cutOff(stored.circumstances, next, stored.mode));
      await accept({ evenWhenUnrecorded: !request.lifted });
      if (!enforcer.state().attached) await enforcer.open();
      if (pending) await this.#leaveForQuarantine(pending);
      await this.#standing.replaceQuietly(stored, compiled, { recordFirst: true });
    });
  }

  /**
   * Puts the enforced policies in force as they are now: without those that have expired, with the present addresses of
   * domain names, members and services. That is a generation of its own, confirmed from the start, because nobody decided anything new; a
   * rollback still returns to the generation before the last apply. Nothing happens while a confirmation is pending (both
   * slots are taken) or when the tables stay the same. Throws `Failure`; then what was enforced still is.
   */
  refresh(why: string): Promise<void> {
    return this.#mutex.run(async () => {
      const { number: current, mode } = this.enforced;
      const { ledger } = this.#standing;
      if (this.#closed || this.#pending.current || current === 0 || !ledger.trusted) return;
      const stored = await ledger.readGeneration(current);
      const policies = readStoredPolicies(this.#ports, stored);
      const compiled = await this.#standing.underPresentCircumstances(policies, mode, { atOnce: true });
      if (compiled.program.digest === this.#ports.enforcer.state().programDigest) {
        this.#ports.contexts.remember(current, compiled);
        return;
      }
      await this.#standing.replaceQuietly(stored, compiled, { isRefresh: true });
      const { number } = this.enforced;
      this.#ports.recordAutomatic("refresh", `${why}: generation ${number} takes over from ${current}`);
    });
  }

  /** Writes what a full disk did not take when it changed. */
  catchUp(): Promise<void> {
    return this.#mutex.run(async () => {
      if (!this.#closed && !this.#pending.current) await this.#standing.ledger.catchUp();
    });
  }

  /** Ends enforcement on purpose: detaches and removes everything, quarantines and the brake included. Throws `Failure`. */
  release(accept: Accept): Promise<void> {
    return this.#mutex.run(async () => {
      const { current } = this.#pending;
      if (current) throw refuse.confirmationPending(current.generation.number);
      await accept();
      const { ledger } = this.#standing;
      const before = ledger.index;
      const index = { ...before, confirmed: 0, previous: null, pending: null, emergency: null };
      await ledger.write(index);
      try {
        await this.#ports.enforcer.release();
      } catch (error) {
        // What may still be enforced must not be forgotten by the next start.
        await ledger.settle(before);
        throw error;
      }
      this.#standing.enforced = GENERATION_ZERO;
      this.#standing.quarantines = [];
      await ledger.settled(index);
    });
  }

  /** Ends this process's part; what is enforced stays, a pending generation is left by the datapath or the next start. */
  close(): Promise<void> {
    this.#closed = true;
    this.#pending.close();
    this.#standing.forgetListeners();
    return this.#mutex.run(async () => undefined);
  }

  async #prepare(program: HostProgram, generation: number, draft: GenerationDraft): Promise<PreparedProgram> {
    try {
      return await this.#ports.enforcer.prepare(program, generation);
    } catch (error) {
      await draft.discard();
      throw error;
    }
  }

  #recordOf(request: ApplyRequest, caller: Caller, compiled: Compiled): GenerationRecord {
    const { engine, clock } = this.#ports;
    const stateDigest = engine.stateDigest(request.files);
    const number = this.#standing.ledger.index.nextGeneration;
    return newRecord(number, request, caller.actor, compiled, stateDigest, clock.wallMs());
  }

  async #leave(accept: Accept): Promise<void> {
    const pending = this.#pending.current;
    if (!pending) return this.#leaveConfirmed(accept);
    // The agent would do this by itself a little later: a full disk must not stand in the way.
    await accept({ evenWhenUnrecorded: true });
    await this.#pending.leave(pending);
  }

  async #leaveForQuarantine(pending: PendingState): Promise<void> {
    await this.#pending.leave(pending);
    const { number } = pending.generation;
    const back = `generation ${number} was left for a quarantine; back to ${this.enforced.number}`;
    this.#ports.recordAutomatic("rollback.quarantine", back);
  }

  async #leaveConfirmed(accept: Accept): Promise<void> {
    const { ledger, quarantines } = this.#standing;
    const before = ledger.index;
    const { previous } = before;
    if (previous === null) throw refuse.nothingEarlier(this.enforced.number);
    const target = await ledger.readGeneration(previous);
    if (!sameQuarantines(target.circumstances.quarantines, quarantines)) {
      return this.#leaveUnderQuarantine(target, accept);
    }
    await accept();
    const index = { ...before, confirmed: previous, previous: null };
    await ledger.write(index);
    try {
      await makeActive(this.#ports, target);
    } catch (error) {
      await ledger.settle(before);
      throw error;
    }
    this.#standing.enforced = { ...toRecord(target), programDigest: this.#ports.enforcer.state().programDigest };
    // A slot that was filled before this process began is flipped to without being compiled.
    canName(this.#ports, target);
    await ledger.settled(index);
  }

  /** The earlier policies as a new generation: nobody who was cut off since comes back with them. */
  async #leaveUnderQuarantine(target: StoredGeneration, accept: Accept): Promise<void> {
    const circumstances = cutOff(target.circumstances, this.quarantines, target.mode);
    const compiled = compileAgain(this.#ports, readStored(this.#ports, target), circumstances);
    await accept();
    await this.#standing.replaceQuietly(target, compiled, { recordFirst: true, previous: null });
  }
}
