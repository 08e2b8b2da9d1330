/**
 * The two slots and the word that says which of them decides: every step of a generation's life in the kernel. Nothing
 * here fills tables; a slot that is being filled is labelled so that nobody can return to it.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { ActivateOptions, DatapathState, Emergency, PreparedProgram } from "../enforcer.ts";
import { type Control, EMPTY_SLOT, type SlotLabel, UNUSABLE_GENERATION } from "./control.ts";
import { type ControlWord, swapped } from "./layout.ts";

/** Epochs whose events may still be under way. */
const REMEMBERED_EPOCHS = 256;

export interface SlotsPorts {
  /** Boot clock. */
  readonly bootNs: () => bigint;
  /** Called after each flip: packets may still be walking the slot that was left. */
  readonly onLeft: () => void;
  /** Called before the content of a slot is given up. */
  readonly onVacate: (slot: 0 | 1) => void;
}

export class Slots {
  readonly #control: Control;
  readonly #ports: SlotsPorts;
  readonly #generations = new Map<number, number>();

  constructor(control: Control, ports: SlotsPorts) {
    this.#control = control;
    this.#ports = ports;
    for (const slot of [0, 1] as const) this.#rememberEpoch(control.readSlot(slot));
  }

  get active(): 0 | 1 {
    return this.#control.read().slot;
  }

  get inactive(): 0 | 1 {
    return this.active === 0 ? 1 : 0;
  }

  /** The slot that decides, the datapath's own fallback included. */
  get deciding(): 0 | 1 {
    const word = this.#control.read();
    return this.#expired(word) ? swapped(word).slot : word.slot;
  }

  /** 0 for an epoch that is too old or was never given out. */
  generationOf(epoch: number): number {
    return this.#generations.get(epoch) ?? 0;
  }

  state(attached: boolean): DatapathState {
    const word = this.#control.read();
    const active = this.#control.readSlot(word.slot);
    const other = this.#control.readSlot(word.slot === 0 ? 1 : 0);
    const previous = isReturnable(word, other) ? other : EMPTY_SLOT;
    return {
      attached,
      generation: active.generation,
      mode: word.enforce ? "enforce" : "observe",
      programDigest: active.digest,
      previousGeneration: previous.generation,
      previousProgramDigest: previous.digest,
      previousMode: word.otherEnforce ? "enforce" : "observe",
      deadlineBootMs: word.deadlineArmed ? Number(this.#control.deadlineNs() / 1_000_000n) : null,
      expired: this.#expired(word),
      emergency: word.emergency,
    };
  }

  /**
   * Makes the inactive slot free to be filled. Throws `Failure` CONFIRMATION_PENDING while it is what an armed deadline
   * would fall back to.
   */
  vacate(): 0 | 1 {
    if (this.#expired(this.#control.read())) this.revert();
    const word = this.#control.read();
    if (word.deadlineArmed)
      throw new Failure({
        code: ErrorCode.CONFIRMATION_PENDING,
        message: "The last change waits for its confirmation; the tables before it are needed to return to.",
        hint: "Confirm it or roll it back first.",
        retryable: true,
      });
    const slot = word.slot === 0 ? 1 : 0;
    this.#ports.onVacate(slot);
    this.#control.write({ ...word, otherEpoch: 0, otherEnforce: false, otherWorkloads: false });
    this.#control.writeSlot(slot, { ...EMPTY_SLOT, generation: UNUSABLE_GENERATION });
    return slot;
  }

  /** Says what was filled into the inactive slot. */
  labelFilled(slot: 0 | 1, label: Omit<SlotLabel, "epoch" | "enforce">): void {
    this.#control.writeSlot(slot, { ...label, epoch: 0, enforce: false });
  }

  /** One store. Throws `Failure` GENERATION_CONFLICT when something else is in the inactive slot. */
  flip(prepared: PreparedProgram, options: ActivateOptions): void {
    const before = this.#control.read();
    const slot = before.slot === 0 ? 1 : 0;
    const label = this.#control.readSlot(slot);
    if (label.epoch !== 0 || label.generation !== prepared.generation || label.digest !== prepared.program.digest)
      throw new Failure({
        code: ErrorCode.GENERATION_CONFLICT,
        message: `Generation ${prepared.generation} is no longer loaded. Nothing was changed.`,
        hint: "Apply again.",
        retryable: true,
      });
    const enforce = options.mode === "enforce";
    const epoch = this.#control.nextEpoch();
    const activated = { ...label, epoch, enforce };
    this.#rememberEpoch(activated);
    this.#control.writeSlot(slot, activated);
    if (options.fallbackAfterMs !== null)
      this.#control.writeDeadline(this.#ports.bootNs() + BigInt(Math.round(options.fallbackAfterMs)) * 1_000_000n);
    this.#control.write({
      slot,
      enforce,
      workloads: label.workloadSets > 0,
      deadlineArmed: options.fallbackAfterMs !== null,
      otherEnforce: before.enforce,
      otherWorkloads: before.workloads,
      epoch,
      otherEpoch: before.epoch,
      emergency: before.emergency,
    });
    this.#ports.onLeft();
  }

  /** Throws `Failure` DEADLINE_EXCEEDED when the datapath has fallen back already. */
  confirm(): void {
    const word = this.#control.read();
    if (!word.deadlineArmed) return;
    if (this.#expired(word))
      throw new Failure({
        code: ErrorCode.DEADLINE_EXCEEDED,
        message: "The time to confirm is over; the host has returned to the generation before.",
      });
    this.#control.write({ ...word, deadlineArmed: false });
  }

  /** Throws `Failure` NOTHING_PENDING when the other slot holds nothing to return to. */
  revert(): void {
    const word = this.#control.read();
    const other = this.#control.readSlot(word.slot === 0 ? 1 : 0);
    if (other.generation !== 0 && !isReturnable(word, other))
      throw new Failure({ code: ErrorCode.NOTHING_PENDING, message: "There is no earlier generation to return to." });
    this.#control.write(swapped(word));
    this.#ports.onLeft();
  }

  setEmergency(emergency: Emergency): void {
    this.#control.write({ ...this.#control.read(), emergency });
  }

  /** A new stamp for the same tables: every flow looks up its set and verdict again. */
  renewEpoch(slot: 0 | 1): void {
    const word = this.#control.read();
    const label = this.#control.readSlot(slot);
    if (label.epoch === 0) return;
    const epoch = this.#control.nextEpoch();
    this.#rememberEpoch({ ...label, epoch });
    this.#control.writeSlot(slot, { ...label, epoch });
    this.#control.write(word.slot === slot ? { ...word, epoch } : { ...word, otherEpoch: epoch });
  }

  #expired(word: ControlWord): boolean {
    return word.deadlineArmed && this.#ports.bootNs() > this.#control.deadlineNs();
  }

  #rememberEpoch({ epoch, generation }: SlotLabel): void {
    if (epoch === 0) return;
    this.#generations.set(epoch, generation);
    const oldest = this.#generations.keys().next().value;
    if (this.#generations.size > REMEMBERED_EPOCHS && oldest !== undefined) this.#generations.delete(oldest);
  }
}

/**
 * Whether the slot that does not decide can. Word and label are written one after the other: somebody who died in between
 * left a label without a stamp in the word, and packets would be decided as if nothing was loaded.
 */
function isReturnable(word: ControlWord, other: SlotLabel): boolean {
  return other.epoch !== 0 && word.otherEpoch !== 0;
}
