/** What the process that writes does beside it: seals, merges, removes what is too old or too much, and checks files. */
import { ChangeSignal } from "../../async/signal.ts";
import type { Clock, Logger } from "../../ports.ts";
import type { RetentionLimits } from "../flow-history.ts";
import type { Catalog, Partition } from "./catalog.ts";
import { HistoryThread, ThreadFailure } from "./history-thread.ts";
import { parseStem } from "./layout.ts";
import { planRetention, planRollUps, type SizedPartition } from "./plans.ts";

const ROUND_MS = 60_000;
/** Merging one level makes work for the next. */
const MAX_MERGES = 1_000;

export interface UpkeepPorts {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly retention: () => RetentionLimits;
  /** The leaf that is written; `null` when another process writes: then nothing is done. */
  readonly activeLeaf: () => number | null;
  readonly rollIfDue: () => Promise<void>;
  /** Readers let go of the file. */
  readonly release: (path: string) => Promise<void>;
  readonly onDamage: (path: string, reason: string) => Promise<void>;
  /** Why the last round could not do all of it; `null` when it did. */
  readonly onRound: (problem: unknown) => void;
}

export interface Removal {
  readonly removedRecords: number;
  readonly removedBytes: number;
  readonly oldestMs: number | null;
}

export class Upkeep {
  readonly #ports: UpkeepPorts;
  readonly #thread = new HistoryThread(new URL("./maintenance-thread.ts", import.meta.url));
  readonly #wake = new ChangeSignal();
  readonly #checked = new Set<string>();
  #running: Promise<void> | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  #hasTidied = false;

  constructor(ports: UpkeepPorts) {
    this.#ports = ports;
  }

  /** Starts it, or has it look at once. */
  wake(signal: AbortSignal): void {
    this.#running ??= this.#run(signal);
    this.#wake.notify();
  }

  /** One round, now; waits for the one under way. */
  round(): Promise<void> {
    return this.#inTurn(() => this.#round());
  }

  /** What goes with these limits; with `apply` it does. */
  retain(limits: RetentionLimits, nowMs: number, apply: boolean): Promise<Removal> {
    return this.#inTurn(() => this.#retain(limits, nowMs, apply));
  }

  /** Runs while no file is sealed, merged or removed. */
  alone<Result>(body: () => Promise<Result>): Promise<Result> {
    return this.#inTurn(body);
  }

  /** Takes a host out of every file, while nothing is written and it is {@link alone}. */
  async forget(hostId: string): Promise<void> {
    const { catalog, release } = this.#ports;
    for (const { stem, path, resolution } of await catalog.list()) {
      await release(path);
      await this.#thread.call("forget", { path, resolution, hostId });
      catalog.forgetDescription(stem);
      await release(path);
    }
  }

  async close(): Promise<void> {
    await this.#thread.close();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const seen = this.#wake.version;
      await this.round().then(
        () => this.#ports.onRound(null),
        (error: unknown) => this.#ports.onRound(error),
      );
      await this.#wake.wait(seen, ROUND_MS, signal);
    }
  }

  #inTurn<Result>(body: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(body, body);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #round(): Promise<void> {
    const { activeLeaf, rollIfDue, retention, clock } = this.#ports;
    if (activeLeaf() === null) return;
    if (!this.#hasTidied) await this.#tidy();
    await rollIfDue();
    await this.#retain(retention(), clock.nowMs(), true);
    await this.#sealAll();
    await this.#mergeAll();
    await this.#retain(retention(), clock.nowMs(), true);
    await this.#checkOne();
  }

  /** What a crash left. */
  async #tidy(): Promise<void> {
    const { catalog } = this.#ports;
    const { undescribed, unfinished } = await catalog.leftovers();
    for (const name of unfinished) if (!name.startsWith("leaf-")) await catalog.removeUnfinished(name);
    for (const stem of undescribed) {
      const resolution = parseStem(stem)?.resolution ?? "record";
      await this.#guarded(() => this.#thread.call("describe", { path: catalog.pathOf(stem), resolution }));
    }
    this.#hasTidied = true;
  }

  async #sealAll(): Promise<void> {
    const { catalog, clock, activeLeaf } = this.#ports;
    for (const { description, path, stem, firstLeaf } of await catalog.list()) {
      const active = activeLeaf();
      if (description || active === null || firstLeaf >= active) continue;
      await this.#guarded(() => this.#thread.call("seal", { path, leaf: firstLeaf, nowMs: clock.nowMs() }));
      this.#checked.add(stem);
    }
  }

  async #mergeAll(): Promise<void> {
    const { catalog, clock, activeLeaf } = this.#ports;
    for (let merges = 0; merges < MAX_MERGES && activeLeaf() !== null; merges++) {
      const [plan] = planRollUps(await catalog.list(), clock.nowMs());
      if (!plan) return;
      const sources = plan.sources.map(({ path, description }) => ({ path, description }));
      const order = { sources, resolution: plan.resolution, path: catalog.pathOf(plan.stem) };
      if (!(await this.#guarded(() => this.#thread.call("rollUp", order)))) return;
      this.#checked.add(plan.stem);
    }
  }

  async #retain(limits: RetentionLimits, nowMs: number, apply: boolean): Promise<Removal> {
    const { catalog, release } = this.#ports;
    const partitions = await this.#sized();
    const going = planRetention(partitions, limits, nowMs);
    const staying = partitions.filter((partition) => !going.includes(partition));
    let removedBytes = 0;
    let removedRecords = 0;
    for (const { stem, path, sizeBytes, description } of going) {
      removedBytes += sizeBytes;
      removedRecords += description?.rows ?? 0;
      if (!apply) continue;
      await release(path);
      await catalog.remove(stem);
    }
    return { removedRecords, removedBytes, oldestMs: oldestOf(staying) };
  }

  async #sized(): Promise<readonly SizedPartition[]> {
    const { catalog } = this.#ports;
    const partitions = await catalog.list();
    return await Promise.all(
      partitions.map(async (partition) => ({ ...partition, sizeBytes: await catalog.sizeOf(partition.stem) })),
    );
  }

  /** Reads one file that nobody has looked at since this process began. */
  async #checkOne(): Promise<void> {
    const { catalog } = this.#ports;
    const next = (await catalog.list()).find(({ stem, description }) => description && !this.#checked.has(stem));
    if (!next) return;
    this.#checked.add(next.stem);
    await this.#guarded(() => this.#thread.call("check", { path: next.path, description: next.description }));
  }

  /** False when a file was damaged (it is out of the way then), or gone. */
  async #guarded(body: () => Promise<unknown>): Promise<boolean> {
    try {
      await body();
      return true;
    } catch (error) {
      if (!(error instanceof ThreadFailure)) throw error;
      const { kind, path, message } = error.problem;
      if (kind === "damaged") await this.#ports.onDamage(path, message);
      else if (kind !== "missing") throw error;
      return false;
    }
  }
}

function oldestOf(partitions: readonly Partition[]): number | null {
  const times = partitions.flatMap(({ description }) =>
    description && description.rows > 0 ? [description.minStartMs] : [],
  );
  return times.length === 0 ? null : Math.min(...times);
}
