/** Paths of cgroups by their id, which on cgroup2 is the inode number of the directory. */
import { opendir, stat } from "node:fs/promises";
import { join } from "node:path";

/** More directories than this are not walked: the flow then has no path, which is what "unknown" means. */
const MAX_DIRECTORIES = 20_000;
const RESCAN_MS = 1_000;

export class CgroupPaths {
  readonly #mountPoint: string;
  readonly #nowMs: () => number;
  #pathById = new Map<bigint, string>();
  #scannedAtMs = Number.NEGATIVE_INFINITY;
  #scanning: Promise<void> | null = null;

  constructor(mountPoint: string, nowMs: () => number) {
    this.#mountPoint = mountPoint;
    this.#nowMs = nowMs;
  }

  /** Path below the mount, `/` for the root; `undefined` when unknown. */
  get(id: bigint): string | undefined {
    return this.#pathById.get(id);
  }

  /** Looks at the hierarchy again when one of `ids` is unknown, at most once a second. */
  async learn(ids: Iterable<bigint>): Promise<void> {
    let isUnknown = false;
    for (const id of ids) isUnknown ||= id !== 0n && !this.#pathById.has(id);
    if (!isUnknown) return;
    if (!this.#scanning && this.#nowMs() - this.#scannedAtMs < RESCAN_MS) return;
    this.#scanning ??= this.#scan().finally(() => {
      this.#scannedAtMs = this.#nowMs();
      this.#scanning = null;
    });
    await this.#scanning;
  }

  async #scan(): Promise<void> {
    const found = new Map<bigint, string>();
    const queue = ["/"];
    for (let path = queue.shift(); path !== undefined && found.size < MAX_DIRECTORIES; path = queue.shift()) {
      const directory = join(this.#mountPoint, path);
      try {
        found.set((await stat(directory, { bigint: true })).ino, path);
        for await (const entry of await opendir(directory)) {
          if (entry.isDirectory()) queue.push(join(path, entry.name));
        }
      } catch {
        // A cgroup that went away during the walk.
      }
    }
    // Ids of cgroups that are gone stay known: their last flows arrive after them. The kernel does not reuse ids soon.
    for (const [id, path] of this.#pathById) {
      if (found.size >= MAX_DIRECTORIES * 2) break;
      if (!found.has(id)) found.set(id, path);
    }
    this.#pathById = found;
  }
}
