/** A generation that waits for its confirmation: from the flip to the end of the wait, whichever way it ends. */
import { Failure } from "@wardline/domain/errors";
import { bootMs } from "../agent/clock.ts";
import type { PreparedProgram } from "../enforce/enforcer.ts";
import { atBootTime, TIMER_STEP_MS } from "./bootTimer.ts";
import type { ApplyRequest, ControllerPorts, Pending } from "./controllerTypes.ts";
import { DATAPATH_MARGIN_MS } from "./limits.ts";
import type { Mutex } from "./mutex.ts";
import { datapathMode, type GenerationRecord, type StateIndex } from "./records.ts";
import * as refuse from "./refusals.ts";
import type { Standing } from "./standing.ts";
import type { GenerationDraft } from "./stateStore.ts";
import type { Compiled } from "./switching.ts";

export interface PendingState extends Pending {
  /** Only a younger connection proves that the host can still be reached. */
  readonly newestConnectionAtFlip: number;
  readonly cancelTimer: () => void;
}

/** Its methods run inside the queue of changes. */
export class PendingChange {
  readonly #ports: ControllerPorts;
  readonly #standing: Standing;
  readonly #mutex: Mutex;
  #current: PendingState | null = null;
  #closed = false;

  constructor(ports: ControllerPorts, standing: Standing, mutex: Mutex) {
    this.#ports = ports;
    this.#standing = standing;
    this.#mutex = mutex;
  }

  get current(): PendingState | null {
    return this.#current;
  }

  /** The timer does nothing any more; the datapath has its own. */
  close(): void {
    this.#closed = true;
    this.#current?.cancelTimer();
  }

  /** Record, flip, timer. `draft`: the generation, on its way to the disk. Throws `Failure`; then what was enforced still is. */
  async begin(
    record: GenerationRecord,
    request: ApplyRequest,
    compiled: Compiled,
    prepared: PreparedProgram,
    draft: GenerationDraft,
  ) {
    const { clock, bootId, enforcer, contexts, checkpoint } = this.#ports;
    const { ledger, enforced: previous } = this.#standing;
    const { circumstances } = compiled;
    // A restart leaves it whatever time it had; the time itself begins with the flip, however long the disk takes.
    const pending = { generation: record.number, bootId, deadlineBootMs: bootMs(clock) + request.confirmWithinMs };
    const nextGeneration = record.number + 1;
    const index: StateIndex = { ...ledger.index, confirmed: previous.number, nextGeneration, pending };
    await ledger.write(index, draft);
    checkpoint?.("recorded");
    contexts.remember(record.number, compiled, previous.number);
    const deadlineBootMs = bootMs(clock) + request.confirmWithinMs;
    let flipUs: number;
    try {
      flipUs = enforcer.activate(prepared, {
        mode: datapathMode({ mode: request.mode, circumstances }),
        fallbackAfterMs: request.confirmWithinMs + DATAPATH_MARGIN_MS,
      });
    } catch (error) {
      await ledger.settle({ ...index, pending: null });
      throw error;
    }
    checkpoint?.("flipped");
    this.#standing.enforced = record;
    const newestConnectionAtFlip = this.#ports.newestConnection();
    const cancelTimer = atBootTime(clock, deadlineBootMs, () => void this.#expire(deadlineBootMs));
    const state: PendingState = { generation: record, previous, deadlineBootMs, newestConnectionAtFlip, cancelTimer };
    this.#current = state;
    this.#standing.changed();
    return { pending: state, flipUs };
  }

  /** Throws `Failure` DISK_FULL, or NOTHING_PENDING when the datapath was faster than the disk. */
  async keep(pending: PendingState): Promise<void> {
    const { ledger } = this.#standing;
    const { generation, previous } = pending;
    const before = ledger.index;
    const index = { ...before, confirmed: generation.number, previous: previous.number, pending: null };
    // On disk first: a crash before the next line leaves a confirmed generation, which a restart confirms again.
    await ledger.write(index);
    this.#ports.checkpoint?.("confirm-recorded");
    await this.#confirmInDatapath(pending, before);
    this.#ports.checkpoint?.("confirmed");
    this.#end();
    this.#standing.repaired();
    await ledger.settled(index);
  }

  /** `before`: the index to return to. */
  async leave(pending: PendingState, before: StateIndex = this.#standing.ledger.index): Promise<void> {
    // Whatever the disk says: the other slot still holds the generation before.
    this.#ports.enforcer.revert();
    this.#end();
    this.#standing.enforced = pending.previous;
    await this.#standing.ledger.settle({ ...before, pending: null });
  }

  /** A disk that took longer than the margin: the datapath has already fallen back, so the agent follows it. */
  async #confirmInDatapath(pending: PendingState, before: StateIndex): Promise<void> {
    try {
      this.#ports.enforcer.confirm();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      await this.leave(pending, before);
      throw refuse.tooLate();
    }
  }

  #expire(deadlineBootMs: number): Promise<void> {
    return this.#mutex.run(async () => {
      const pending = this.#current;
      if (this.#closed || pending?.deadlineBootMs !== deadlineBootMs) return;
      const { number } = pending.generation;
      try {
        await this.leave(pending);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        const again = () => void this.#expire(deadlineBootMs);
        this.#current = { ...pending, cancelTimer: this.#ports.clock.schedule(TIMER_STEP_MS, again) };
        this.#standing.ledger.complain(`Generation ${number} expired and could not be left: ${reason}`);
        return;
      }
      const back = `generation ${number} was not confirmed in time; back to ${this.#standing.enforced.number}`;
      this.#ports.recordAutomatic("rollback.expired", back);
    });
  }

  #end(): void {
    this.#current?.cancelTimer();
    this.#current = null;
  }
}
