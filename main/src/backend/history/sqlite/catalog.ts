/** The files of the history as they lie in its directory: the directory is the truth, also for other processes. */
import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { HistoryResolution } from "../flow-history.ts";
import { type Description, FORMAT, type HostGap, type HostPosition, parseStem } from "./layout.ts";

export interface Partition {
  readonly stem: string;
  readonly path: string;
  readonly resolution: HistoryResolution;
  readonly firstLeaf: number;
  readonly lastLeaf: number;
  /** `null` for leaves that are not sealed: the newest, which is written, and those that wait for it. */
  readonly description: Description | null;
}

/** Damaged files that are kept for whoever wants to look at them. */
const MAX_DAMAGED = 4;

export class Catalog {
  readonly directory: string;
  readonly #descriptions = new Map<string, { readonly mtimeMs: number; readonly description: Description | null }>();
  /** Damaged, and not ours to move. */
  readonly #avoided = new Set<string>();

  constructor(directory: string) {
    this.directory = directory;
  }

  get damagedDirectory(): string {
    return join(this.directory, "damaged");
  }

  pathOf(stem: string): string {
    return join(this.directory, `${stem}.db`);
  }

  async create(): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
  }

  /** In the order of leaves. None while there is no directory. */
  async list(): Promise<readonly Partition[]> {
    const stems = (await this.#names()).filter((name) => name.endsWith(".db")).map((name) => name.slice(0, -3));
    const partitions: Partition[] = [];
    for (const stem of stems) {
      const parsed = parseStem(stem);
      if (!parsed || this.#avoided.has(stem)) continue;
      const description = await this.#description(stem);
      // A roll-up without a description is not finished yet.
      if (!description && parsed.resolution !== "record") continue;
      partitions.push({ stem, path: this.pathOf(stem), ...parsed, description });
    }
    return partitions.sort((a, b) => a.firstLeaf - b.firstLeaf || a.lastLeaf - b.lastLeaf);
  }

  /** Roll-ups that a crash left without their description, and files that were never finished. */
  async leftovers(): Promise<{ readonly undescribed: readonly string[]; readonly unfinished: readonly string[] }> {
    const names = await this.#names();
    const undescribed = names
      .filter((name) => name.endsWith(".db") && !names.includes(name.replace(/\.db$/, ".json")))
      .map((name) => name.slice(0, -3))
      .filter((stem) => (parseStem(stem)?.resolution ?? "record") !== "record");
    return { undescribed, unfinished: names.filter((name) => name.endsWith(".new")) };
  }

  async removeUnfinished(name: string): Promise<void> {
    await rm(join(this.directory, name), { force: true });
    await rm(join(this.directory, `${name}-journal`), { force: true });
  }

  /** With what SQLite has beside it. */
  async sizeOf(stem: string): Promise<number> {
    const sizes = await Promise.all(partsOf(this.pathOf(stem)).map(async (path) => sizeOrZero(path)));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** Of everything in the directory, also what is being made. */
  async sizeBytes(): Promise<number> {
    const sizes = await Promise.all((await this.#names()).map((name) => sizeOrZero(join(this.directory, name))));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  async remove(stem: string): Promise<void> {
    this.#descriptions.delete(stem);
    // The description last: without it, what is left of a roll-up is not taken for a whole one.
    for (const path of partsOf(this.pathOf(stem))) await rm(path, { force: true });
  }

  /** Leaves it where it is: another process writes, and moves it. */
  avoid(stem: string): void {
    this.#avoided.add(stem);
  }

  /** Out of the way, where a person may look at it. The oldest of too many go. */
  async moveAside(stem: string): Promise<void> {
    const target = this.damagedDirectory;
    await mkdir(target, { recursive: true, mode: 0o700 });
    this.#descriptions.delete(stem);
    const stamp = Date.now();
    for (const path of partsOf(this.pathOf(stem))) {
      const name = `${stem}.${stamp}${path.slice(this.pathOf(stem).length - 3)}`;
      await rename(path, join(target, name)).catch(() => rm(path, { force: true }));
    }
    const kept = await this.damaged();
    for (const old of kept.slice(0, -MAX_DAMAGED)) {
      for (const path of partsOf(join(target, `${old}.db`))) await rm(path, { force: true });
    }
  }

  /** What was moved aside, oldest first: name and time. */
  async damaged(): Promise<readonly string[]> {
    const names = await readdir(this.damagedDirectory).catch(() => []);
    const stems = names.filter((name) => name.endsWith(".db")).map((name) => name.slice(0, -3));
    return stems.sort((a, b) => Number(a.split(".")[1]) - Number(b.split(".")[1]));
  }

  /** Numbers of leaves are not used again. */
  async newestDamagedLeaf(): Promise<number> {
    const leaves = (await this.damaged()).map((name) => parseStem(name.split(".")[0] ?? "")?.lastLeaf ?? 0);
    return Math.max(0, ...leaves);
  }

  forgetDescription(stem: string): void {
    this.#descriptions.delete(stem);
  }

  async #names(): Promise<readonly string[]> {
    try {
      return await readdir(this.directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  async #description(stem: string): Promise<Description | null> {
    const path = join(this.directory, `${stem}.json`);
    const mtimeMs = await stat(path).then(
      (found) => found.mtimeMs,
      () => 0,
    );
    if (mtimeMs === 0) return null;
    const known = this.#descriptions.get(stem);
    if (known?.mtimeMs === mtimeMs) return known.description;
    const description = await readFile(path, "utf8").then(parseDescription, () => null);
    this.#descriptions.set(stem, { mtimeMs, description });
    return description;
  }
}

function parseDescription(text: string): Description | null {
  try {
    const description = JSON.parse(text) as Description;
    return description.format === FORMAT && Array.isArray(description.ingested) ? description : null;
  } catch {
    return null;
  }
}

/** The database first, its description last. */
function partsOf(path: string): readonly string[] {
  const stem = path.slice(0, -3);
  return [path, `${path}-wal`, `${path}-shm`, `${path}-journal`, `${stem}.json`];
}

async function sizeOrZero(path: string): Promise<number> {
  return await stat(path).then(
    (found) => (found.isFile() ? found.size : 0),
    () => 0,
  );
}

/** How far the journals were read when the newest sealed file was, and what was missing. */
export function newestBookkeeping(partitions: readonly Partition[]): {
  readonly positions: readonly HostPosition[];
  readonly gaps: readonly HostGap[];
} {
  let newest: Description | null = null;
  for (const { description } of partitions) {
    if (description && (!newest || description.lastLeaf >= newest.lastLeaf)) newest = description;
  }
  return { positions: newest?.positions ?? [], gaps: newest?.gaps ?? [] };
}
