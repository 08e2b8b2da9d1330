/**
 * Puts the table back when another program removed or changed it, from what this process knows: the programs that it
 * loaded or was told of, and what the table said when it was last seen whole.
 */
import type { HostProgram } from "@wardline/domain/policy";
import { emitEmptyNftablesSlot, emitNftablesSlot } from "@wardline/domain/policy/emit";
import type { OwnTable } from "./ownTable.ts";
import { type Decider, type FilledSlot, SLOT_NAMES, type SlotLabel, type SlotName, slotPrefix } from "./tableLayout.ts";
import type { TableView } from "./tableView.ts";

type Known = Pick<TableView, "decider" | "labels">;

export class TableKeeper {
  readonly #programs = new Map<string, HostProgram>();
  #seen: Known | null = null;
  #repairs = 0;

  /** How often the table was put back. */
  get repairs(): number {
    return this.#repairs;
  }

  learn(program: HostProgram, generation: number): void {
    this.#programs.set(nameOf(generation, program.digest), program);
  }

  /** To be told whenever the table was found whole, and after each change of ours. */
  note(view: TableView | null): void {
    if (view?.attached !== true) return;
    this.#seen = view;
    const labelled = SLOT_NAMES.flatMap((slot) => view.labels[slot] ?? []);
    const needed = new Set(labelled.map(({ generation, digest }) => nameOf(generation, digest)));
    for (const name of this.#programs.keys()) if (!needed.has(name)) this.#programs.delete(name);
  }

  forget(): void {
    this.#seen = null;
    this.#programs.clear();
  }

  /** Changes nothing while the table is whole, is somebody else's, or its programs are not known. */
  keep(table: OwnTable, bootMs: number): void {
    const owner = table.owner();
    if (owner !== "agent" && owner !== "nobody") return;
    const view = table.look();
    this.note(view);
    if (view?.attached === true) return;
    if (!table.restoreHooks(view)) {
      const script = this.#rebuilding(table, bootMs);
      if (script === null) return;
      table.nft.applyNow(script);
    }
    this.#repairs += 1;
  }

  #rebuilding(table: OwnTable, bootMs: number): string | null {
    if (this.#seen === null) return null;
    const { decider, labels } = this.#seen;
    const { candidate } = decider;
    const leftMs = candidate === null ? 0 : Math.floor(candidate.untilBootMs - bootMs);
    const isWaiting = candidate !== null && leftMs > 0;
    const next: Decider = isWaiting ? decider : { ...decider, candidate: null };
    const slots = SLOT_NAMES.flatMap((slot) => this.#slot(slot, labels[slot]) ?? []);
    const needed = [next.slot, ...(next.candidate === null ? [] : [next.candidate.slot])];
    if (!needed.every((name) => slots.some(({ slot }) => slot === name))) return null;
    return table.scripts.create(slots, next, isWaiting ? leftMs : null);
  }

  /** `null` for a slot that holds nothing to return to, or a program that this process does not know. */
  #slot(slot: SlotName, label: SlotLabel | null): FilledSlot | null {
    if (label?.state !== "activated") return null;
    if (label.generation === 0) return { slot, label, pieces: emitEmptyNftablesSlot(slotPrefix(slot)).pieces };
    const program = this.#programs.get(nameOf(label.generation, label.digest));
    return program === undefined ? null : { slot, label, pieces: emitNftablesSlot(program, slotPrefix(slot)).pieces };
  }
}

function nameOf(generation: number, digest: string): string {
  return `${generation} ${digest}`;
}
