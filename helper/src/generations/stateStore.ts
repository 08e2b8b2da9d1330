/**
 * The state directory: `index.json` and `generations/<n>/state.json`, each replaced as a whole and on disk before the
 * call returns. Only generations that the index names are kept.
 */
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { allDone, isErrno, replaceFile, syncDirectory, toWriteFailure } from "../files/atomicFile.ts";
import { CorruptStateError, decodeGeneration, decodeIndex, encodeGeneration, encodeIndex } from "./recordCodec.ts";
import { GENERATION_ZERO, type StateIndex, type StoredGeneration } from "./records.ts";

export type IndexRead =
  | { readonly kind: "fresh" }
  | { readonly kind: "read"; readonly index: StateIndex }
  | { readonly kind: "corrupt"; readonly reason: string };

/** A generation on its way to the disk, which takes its time beside whatever else is done. */
export interface GenerationDraft {
  /** On disk when it returns. Throws `Failure` (DISK_FULL, INTERNAL); then nothing of it is left. Call it once. */
  keep(): Promise<void>;
  /** Nothing of it is left when it returns, as far as the disk allows. Must not be called after {@link keep}. */
  discard(): Promise<void>;
}

/** JSON of the largest state that the API accepts (16 MiB), with room for escapes. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

async function readBounded(path: string): Promise<string> {
  if ((await stat(path)).size > MAX_FILE_BYTES) throw new CorruptStateError("it is larger than any valid state");
  return readFile(path, "utf8");
}

export class StateStore {
  readonly #indexPath: string;
  readonly #generationsDir: string;

  constructor(stateDir: string) {
    this.#indexPath = join(stateDir, "index.json");
    this.#generationsDir = join(stateDir, "generations");
  }

  async prepareDirectory(): Promise<void> {
    await mkdir(this.#generationsDir, { recursive: true, mode: 0o700 });
  }

  async readIndex(): Promise<IndexRead> {
    try {
      return { kind: "read", index: decodeIndex(await readBounded(this.#indexPath)) };
    } catch (error) {
      if (isErrno(error, "ENOENT")) return { kind: "fresh" };
      const reason = error instanceof Error ? error.message : String(error);
      return { kind: "corrupt", reason: `${this.#indexPath}: ${reason}` };
    }
  }

  /**
   * `named`: the generation that only this index names, on disk before the index is. Throws `Failure` (DISK_FULL,
   * INTERNAL); then the former index still counts.
   */
  async writeIndex(index: StateIndex, named: GenerationDraft | null = null): Promise<void> {
    try {
      await replaceFile(this.#indexPath, encodeIndex(index), named?.keep());
    } catch (error) {
      throw toWriteFailure(error, "the record of the enforced generation");
    }
  }

  /** Throws `Failure` (DISK_FULL, INTERNAL). */
  async writeGeneration(stored: StoredGeneration): Promise<void> {
    const draft = await this.draftGeneration(stored);
    await draft.keep();
  }

  /** Returns when it is written, and while it is made to stay. Throws `Failure` (DISK_FULL, INTERNAL). */
  async draftGeneration(stored: StoredGeneration): Promise<GenerationDraft> {
    const directory = join(this.#generationsDir, String(stored.number));
    const path = join(directory, "state.json");
    const temporaryPath = `${path}.new`;
    // What cannot be removed counts for nothing, and must not hide why it was to be removed.
    const remove = () => rm(directory, { recursive: true, force: true }).catch(() => undefined);
    const removed = async (error: unknown): Promise<never> => {
      await remove();
      throw toWriteFailure(error, `generation ${stored.number}`);
    };
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const handle = await open(temporaryPath, "w", 0o600);
      await handle.writeFile(encodeGeneration(stored)).catch(async (error) => {
        await handle.close();
        throw error;
      });
      const synced = allDone([handle.sync().finally(() => handle.close()), syncDirectory(this.#generationsDir)]);
      // Whoever keeps it hears of what went wrong, and perhaps nobody does.
      const over = synced.catch(() => undefined);
      return {
        keep: async () => {
          try {
            await synced;
            await rename(temporaryPath, path);
            await syncDirectory(directory);
          } catch (error) {
            await removed(error);
          }
        },
        discard: async () => {
          await over;
          await remove();
        },
      };
    } catch (error) {
      return removed(error);
    }
  }

  /** Throws {@link CorruptStateError} when the generation is missing or was changed. */
  async readGeneration(generation: number): Promise<StoredGeneration> {
    if (generation === 0) return GENERATION_ZERO;
    const path = join(this.#generationsDir, String(generation), "state.json");
    try {
      const stored = decodeGeneration(await readBounded(path));
      if (stored.number !== generation) throw new CorruptStateError(`it holds generation ${stored.number}`);
      return stored;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new CorruptStateError(`${path}: ${reason}`);
    }
  }

  /** Removes every generation that is not in `keep`. A failure costs only space and is retried with the next call. */
  async prune(keep: ReadonlySet<number>): Promise<void> {
    const names = await readdir(this.#generationsDir).catch((): string[] => []);
    const unwanted = names.filter((name) => !keep.has(Number(name)));
    const remove = (name: string) => rm(join(this.#generationsDir, name), { recursive: true, force: true });
    await Promise.allSettled(unwanted.map(remove));
  }
}
