/** Settings, runs and knowledge of a host that decides for itself: one file, whole or as it was before. */
import { existsSync } from "node:fs";
import { readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  encodeKeptRun,
  parseHealingSettings,
  parseKeptRun,
  parseKnowledge,
  type SavedHealing,
  USUAL_HEALING_SETTINGS,
} from "@wardline/domain/mesh/healing";
import { replaceFile, toWriteFailure } from "../../files/atomicFile.ts";
import { makeDirectory } from "../../files/directory.ts";
import { Mutex } from "../../generations/mutex.ts";

const MAX_BYTES = 16 * 1024 * 1024;
const MAX_RUN_BYTES = 32 * 1024;
const MAX_RUNS = 400;
const NOTHING: SavedHealing = { settings: USUAL_HEALING_SETTINGS, runs: [], knowledge: [] };

export interface OpenedHealingFile {
  readonly file: HealingFile;
  readonly saved: SavedHealing;
}

export class HealingFile {
  readonly #path: string;
  readonly #writing = new Mutex();
  readonly #encoded = new WeakMap<object, string>();
  #written = "";
  /** A sentence; empty = all is well. */
  readonly problem: string;

  private constructor(path: string, problem: string) {
    this.#path = path;
    this.problem = problem;
  }

  /** A damaged file is moved aside. Throws what the file system says. */
  static async open(stateDir: string): Promise<OpenedHealingFile> {
    const directory = join(stateDir, "mesh");
    if (!existsSync(directory)) makeDirectory(directory, 0o700);
    const path = join(directory, "healing.json");
    if (!existsSync(path)) return { file: new HealingFile(path, ""), saved: NOTHING };
    const saved = (await stat(path)).size > MAX_BYTES ? null : decode(await readFile(path, "utf8"));
    if (saved) return { file: new HealingFile(path, ""), saved };
    await rename(path, `${path}.damaged`);
    const problem = `What was kept of healing is damaged and was moved to ${path}.damaged; healing only suggests until somebody sets its mode again.`;
    return { file: new HealingFile(path, problem), saved: NOTHING };
  }

  /** Atomic. Throws `Failure` DISK_FULL, INTERNAL. */
  async write({ settings, runs, knowledge }: SavedHealing): Promise<void> {
    const kept = runs.map((run) => {
      const text = this.#encoded.get(run) ?? encodeKeptRun(run, MAX_RUN_BYTES);
      this.#encoded.set(run, text);
      return text;
    });
    const rest = JSON.stringify({ version: 1, settings, knowledge }).slice(0, -1);
    const text = `${rest},"runs":[${kept.join(",\n")}]}\n`;
    await this.#writing.run(async () => {
      if (text === this.#written) return;
      try {
        await replaceFile(this.#path, text);
        this.#written = text;
      } catch (error) {
        throw toWriteFailure(error, "what is kept of healing");
      }
    });
  }
}

/** `null` = it is damaged: settings decide on what is done by itself, so nothing of such a file is believed. */
function decode(text: string): SavedHealing | null {
  try {
    const { version, settings, knowledge, runs } = JSON.parse(text) as Record<string, unknown>;
    const read = parseHealingSettings(settings);
    if (version !== 1 || read === null || !Array.isArray(runs) || runs.length > MAX_RUNS) return null;
    const kept = runs.map(parseKeptRun);
    const whole = kept.filter((run) => run !== null);
    return whole.length === kept.length ? { settings: read, runs: whole, knowledge: parseKnowledge(knowledge) } : null;
  } catch {
    return null;
  }
}
