/** The index of generations in memory and on disk, and what of it could not be written yet. */
import { NotPutBackError } from "../files/atomicFile.ts";
import { CorruptStateError } from "./recordFields.ts";
import { EMPTY_INDEX, type StateIndex, type StoredGeneration } from "./records.ts";
import * as refuse from "./refusals.ts";
import type { GenerationDraft, StateStore } from "./stateStore.ts";

export class Ledger {
  readonly #store: StateStore;
  readonly #onChange: () => void;
  #index: StateIndex = EMPTY_INDEX;
  #trusted = true;
  /** The index on disk is ours, whatever was there at the start. */
  #isReplaced = false;
  #isBehind = false;
  #unwritten: StoredGeneration | null = null;
  #problem: string | null = null;

  constructor(store: StateStore, onChange: () => void) {
    this.#store = store;
    this.#onChange = onChange;
  }

  get index(): StateIndex {
    return this.#index;
  }

  /** A sentence; `null` when everything is on disk. */
  get problem(): string | null {
    return this.#problem;
  }

  /** False when records were lost: what is on disk is then kept as evidence. */
  get trusted(): boolean {
    return this.#trusted;
  }

  /**
   * True while the disk holds records that could not be used, and nobody has put policies in force since. Then nothing is
   * written over them: a restart must find that something else was enforced, and not that nothing was.
   */
  get keepsEvidence(): boolean {
    return !this.#trusted && !this.#isReplaced;
  }

  adopt(index: StateIndex, trusted: boolean): void {
    this.#index = index;
    this.#trusted = trusted;
  }

  /** Says what went wrong outside of it, until the next write succeeds. */
  complain(problem: string): void {
    this.#problem = problem;
    this.#onChange();
  }

  /** Throws `Failure` INTERNAL when the record is damaged. */
  async readGeneration(number: number): Promise<StoredGeneration> {
    if (this.#unwritten?.number === number) return this.#unwritten;
    return this.#store.readGeneration(number).catch((error: unknown) => {
      throw error instanceof CorruptStateError ? refuse.damaged(number, error) : error;
    });
  }

  /**
   * Begins to write a generation that counts with the next index. That index names the enforced generation too: what a full
   * disk did not take of it is written first. Throws `Failure`; then nothing was written of the new one.
   */
  async draftGeneration(stored: StoredGeneration): Promise<GenerationDraft> {
    if (this.#unwritten !== null) await this.#store.writeGeneration(this.#unwritten);
    this.#unwritten = null;
    return this.#store.draftGeneration(stored);
  }

  /** Writes a generation that counts whether or not the disk takes it. False when it did not. */
  async tryWriteGeneration(stored: StoredGeneration): Promise<boolean> {
    try {
      await this.#store.writeGeneration(stored);
      this.#unwritten = null;
      return true;
    } catch {
      this.#unwritten = stored;
      return false;
    }
  }

  /**
   * Writes an index before its effect, and the generation that only this index names before it. Throws `Failure`; then the
   * former one still counts: a disk that shows the new one all the same is written to again until it does not.
   */
  async write(index: StateIndex, named: GenerationDraft | null = null): Promise<void> {
    try {
      await this.#store.writeIndex(index, named);
    } catch (error) {
      if (isNotPutBack(error)) {
        this.#isBehind = true;
        this.complain(`${error.message} A restart would follow it; it is written again as it was.`);
      }
      throw error;
    }
    this.#index = index;
    this.#isReplaced = true;
    this.#isBehind = false;
    this.#problem = null;
  }

  /** Writes an index after the fact: the datapath already is what it says, so a full disk is a problem and no failure. */
  async settle(index: StateIndex): Promise<void> {
    this.#index = index;
    if (this.keepsEvidence) return this.#settleBeside(index);
    try {
      if (this.#unwritten !== null) await this.#store.writeGeneration(this.#unwritten);
      this.#unwritten = null;
      await this.#store.writeIndex(index);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#isBehind = true;
      this.complain(`${reason} What is enforced is right, but a restart will settle it again.`);
      return;
    }
    await this.settled(index);
  }

  /** Of records that could not be used only the emergency is brought up to date, where the index can be read at all. */
  async #settleBeside({ emergency }: StateIndex): Promise<void> {
    const read = await this.#store.readIndex();
    const isWritten = read.kind === "read" && (await this.#tryWriteIndex({ ...read.index, emergency }));
    const rest = isWritten ? "Besides the emergency, what" : "What";
    this.complain(`${rest} was changed since the start is not recorded until policies are applied again.`);
  }

  async #tryWriteIndex(index: StateIndex): Promise<boolean> {
    try {
      await this.#store.writeIndex(index);
      return true;
    } catch {
      return false;
    }
  }

  /** After an index was written whose effect is there now. */
  async settled(index: StateIndex): Promise<void> {
    this.#index = index;
    this.#isBehind = false;
    this.#problem = null;
    const { confirmed, previous, pending } = index;
    if (this.#trusted) await this.#store.prune(new Set([confirmed, previous ?? 0, pending?.generation ?? 0]));
    this.#onChange();
  }

  /** Writes what a full disk did not take. Nothing happens when there is nothing of that kind. */
  async catchUp(): Promise<void> {
    if (this.#isBehind && this.#trusted) await this.settle(this.#index);
  }
}

function isNotPutBack(error: unknown): error is Error {
  return error instanceof Error && error.cause instanceof NotPutBackError;
}
