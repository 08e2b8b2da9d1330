/** The table of this agent: whether it is there, whether it is ours and whole, and making it so. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { emitEmptyNftablesSlot, emitNftablesSample } from "@wardline/domain/policy/emit";
import { NftablesReader } from "../../linux/netfilter/nftablesReader.ts";
import type { DatapathState } from "../enforcer.ts";
import { notOurs } from "./nftablesWords.ts";
import type { NftCommand } from "./nftCommand.ts";
import { EMPTY_LABEL, type FilledSlot, slotPrefix, TableScripts } from "./tableLayout.ts";
import { ownerOfTable, type TableOwner, type TableView, viewTable } from "./tableView.ts";

export class OwnTable {
  readonly nft: NftCommand;
  readonly scripts: TableScripts;
  readonly #name: string;
  readonly #networkNamespace: string | null;
  #reader: NftablesReader | null = null;

  constructor(name: string, nft: NftCommand, networkNamespace: string | null) {
    this.#name = name;
    this.nft = nft;
    this.scripts = new TableScripts(name);
    this.#networkNamespace = networkNamespace;
  }

  get isOpen(): boolean {
    return this.#reader !== null;
  }

  get reader(): NftablesReader {
    if (this.#reader === null) throw new Error("the enforcer is not open");
    return this.#reader;
  }

  open(): void {
    this.#reader ??= new NftablesReader(this.#name, this.#networkNamespace);
  }

  /** Reads much, on a socket of its own, while others go on asking. */
  async readSlowly<T>(read: (reader: NftablesReader) => Promise<T>): Promise<T> {
    const reader = new NftablesReader(this.#name, this.#networkNamespace);
    try {
      return await read(reader);
    } finally {
      reader.close();
    }
  }

  close(): void {
    this.#reader?.close();
    this.#reader = null;
  }

  owner(): TableOwner {
    return ownerOfTable(this.reader);
  }

  /** As {@link view}, and `null` also for a table that is not ours. */
  look(): TableView | null {
    return this.owner() === "agent" ? viewTable(this.reader) : null;
  }

  /** `null` when there is no such table, or nothing in it. Throws `Failure` when it is not ours. */
  view(): TableView | null {
    const owner = this.owner();
    if (owner === "stranger" || owner === "other-layout") throw notOurs(this.#name, owner);
    return owner === "nobody" ? null : viewTable(this.reader);
  }

  /** Throws `Failure` when the table does not decide about packets. */
  attached(): TableView {
    const view = this.view();
    if (view?.attached === true) return view;
    throw new Failure({
      code: ErrorCode.KERNEL_REFUSED,
      message: `The table "inet ${this.#name}" is gone or was changed by another program. Nothing was changed.`,
      hint: "Apply the policies again; if this repeats, look for a firewall service that flushes the whole ruleset.",
      retryable: true,
    });
  }

  /** Makes the table when there is none, and its hooks when somebody removed them. Changes nothing otherwise. */
  restore(): TableView {
    const view = this.view();
    if (view?.attached === true) return view;
    if (!this.restoreHooks(view)) this.#create();
    return this.attached();
  }

  /** Puts what one hook still says in force at all of them. False when none says anything, or the slots are gone. */
  restoreHooks(view: TableView | null): boolean {
    if (view === null || !this.#isLoaded(view)) return false;
    this.nft.applyNow(this.scripts.decide(view.decider));
    return true;
  }

  /** Asks first whether kernel and nft know everything that a program may need: a later apply must not be the first to. */
  #create(): void {
    const decider = { slot: "a", candidate: null, emergency: "none" } as const;
    const empty: FilledSlot = { slot: "a", pieces: emitEmptyNftablesSlot(slotPrefix("a")).pieces, label: EMPTY_LABEL };
    const sample: FilledSlot = { slot: "b", pieces: emitNftablesSample(slotPrefix("b")).pieces, label: EMPTY_LABEL };
    this.nft.checkNow(this.scripts.create([sample, empty], { ...decider, slot: "b" }));
    this.nft.applyNow(this.scripts.create([empty], decider));
  }

  #isLoaded({ decider, labels }: TableView): boolean {
    const slots = [decider.slot, ...(decider.candidate === null ? [] : [decider.candidate.slot])];
    return slots.every((slot) => labels[slot] !== null && this.reader.rules(`${slotPrefix(slot)}input`).length > 0);
  }
}

/** Of a host whose table is gone. */
export const NOTHING_LOADED: DatapathState = {
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
