/**
 * Turns flow events into records, one window of the wall clock after the other, and hands each window to the journal. It
 * takes events in the order in which the hub publishes them and readings of living flows in between, so that what a
 * record says is what the datapath said, counted once.
 */
import { setImmediate } from "node:timers/promises";
import type { Logger } from "pino";
import { bootNsToWallMs, type Clock } from "../../agent/clock.ts";
import type { Enforcer, EventLosses } from "../../enforce/enforcer.ts";
import type { GenerationContext } from "../../generations/contexts.ts";
import type { KeptFlow } from "../flowMessage.ts";
import { FlowBaselines } from "./flowBaselines.ts";
import { FlowRollup, type Moment } from "./flowRollup.ts";
import type { RecordGroup } from "./journalQueue.ts";
import { ProgressFile } from "./progressFile.ts";
import { RecordEncoder } from "./recordEncoder.ts";
import type { RecordJournal } from "./recordJournal.ts";
import { WindowClock } from "./windowClock.ts";
import type { WindowTable } from "./windowTable.ts";

export const WINDOW_MS = 10_000;
export const MAX_KEYS = 20_000;
/** Events are drained every 80 ms: those of the window's end are waited for. */
const GRACE_MS = 250;
/** The other readings have only what was heard of since the one before. */
const WHOLE_READING_EVERY = 6;
/** More than the datapath's table holds: some are gone from it, which only whole readings show. */
const WHOLE_READING_ABOVE_FLOWS = 65_536;
/** What passes through a socket is told to the flow table with a delay: readings overlap. */
const READING_OVERLAP_NS = 3_000_000_000n;

/** Where events come from, in their order. */
export interface FlowFeed {
  onPublish(listener: (flows: readonly KeptFlow[]) => void): () => void;
  /** Runs the task after everything that was received before. */
  inOrder(task: () => void): Promise<void>;
  cgroupPathOf(id: bigint): string;
}

export interface RollerPorts {
  readonly enforcer: Pick<Enforcer, "flowProgress" | "losses" | "state">;
  readonly journal: RecordJournal;
  /** Beside the journal; see progressFile.ts. */
  readonly progressPath: string;
  readonly clock: Clock;
  readonly bootId: string;
  readonly contextOf: (generation: number) => GenerationContext | undefined;
  readonly userNameOf: (userId: number) => string;
  readonly observedNameOf: (address: string) => string;
  readonly log: Pick<Logger, "error">;
  /** Whole seconds. */
  readonly windowMs?: number;
  readonly maxKeys?: number;
}

/** Counted since the agent started. */
export interface RollerFigures {
  readonly events: number;
  /** Records in which flows were folded. */
  readonly foldedRecords: number;
  /** Flows whose progress is followed now. */
  readonly followedFlows: number;
}

export class RecordRoller {
  readonly #ports: RollerPorts;
  readonly #windows: WindowClock;
  readonly #baselines: FlowBaselines;
  readonly #rollup: FlowRollup;
  readonly #progress: ProgressFile;
  readonly #encoder = new RecordEncoder();
  readonly #figures = { events: 0, foldedRecords: 0 };
  #losses: EventLosses;
  #feed: FlowFeed | null = null;
  #stopListening: () => void = () => {};
  #cancelTimer: () => void = () => {};
  #cutting: Promise<void> = Promise.resolve();
  #readings = 0;
  #readSinceNs = 0n;
  #isClosed = false;

  private constructor(ports: RollerPorts, progress: ProgressFile, baselines: FlowBaselines, losses: EventLosses) {
    const { windowMs = WINDOW_MS, maxKeys = MAX_KEYS, clock, journal, contextOf } = ports;
    this.#ports = ports;
    this.#progress = progress;
    this.#baselines = baselines;
    this.#losses = losses;
    this.#windows = new WindowClock(windowMs, () => clock.wallMs(), journal.lastWindowEndMs);
    this.#rollup = new FlowRollup({ windows: this.#windows, baselines, contextOf, maxKeys });
  }

  static async open(ports: RollerPorts): Promise<RecordRoller> {
    const { journal, progressPath, bootId, enforcer } = ports;
    const { file, restored } = await ProgressFile.open(progressPath, bootId, journal.state().lastSequence);
    const baselines = new FlowBaselines(restored?.rows.values() ?? null);
    return new RecordRoller(ports, file, baselines, restored?.losses ?? enforcer.losses());
  }

  get figures(): RollerFigures {
    return { ...this.#figures, followedFlows: this.#baselines.size };
  }

  /** Begins. Call once. */
  start(feed: FlowFeed): void {
    this.#feed = feed;
    this.#stopListening = feed.onPublish((flows) => this.#take(flows));
    this.#schedule();
  }

  /** Writes the open window. The feed has to be at its end, and the enforcer still open. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelTimer();
    await this.#cutting;
    await this.#cut(true);
    this.#stopListening();
    await this.#progress.close();
  }

  #schedule(): void {
    if (this.#isClosed) return;
    // The wall clock may jump while this waits: it is asked again after a window at the latest.
    const delayMs = Math.min(this.#windows.dueInMs(GRACE_MS), this.#windows.windowMs);
    this.#cancelTimer = this.#ports.clock.schedule(Math.max(1, delayMs), () => {
      if (this.#windows.dueInMs(GRACE_MS) > 0) this.#schedule();
      else this.#cutting = this.#cut(false).finally(() => this.#schedule());
    });
  }

  #take(flows: readonly KeptFlow[]): void {
    this.#figures.events += flows.length;
    this.#guarded(() => this.#rollup.add(flows, this.#now()));
  }

  /** Reads what goes on, and writes what has ended. Never rejects. */
  async #cut(isLast: boolean): Promise<void> {
    try {
      await this.#readProgress();
      let group: (() => Promise<RecordGroup | null>) | null = null;
      await this.#feed?.inOrder(() => {
        group = this.#seal(isLast);
      });
      const sealed = (await (group as (() => Promise<RecordGroup | null>) | null)?.()) ?? null;
      if (sealed === null) await this.#ports.journal.tick();
      else await this.#ports.journal.append(sealed);
    } catch (error) {
      this.#ports.log.error({ err: error }, "a window of flow records could not be put together");
    }
  }

  async #readProgress(): Promise<void> {
    const { enforcer, clock } = this.#ports;
    const feed = this.#feed;
    if (feed === null) return;
    const isWhole = this.#readings % WHOLE_READING_EVERY === 0 || this.#baselines.size > WHOLE_READING_ABOVE_FLOWS;
    const beganNs = clock.bootNs();
    if (isWhole) await feed.inOrder(() => this.#baselines.beginPass());
    for await (const readings of enforcer.flowProgress(isWhole ? 0n : this.#readSinceNs)) {
      const now = this.#now();
      await feed.inOrder(() =>
        this.#guarded(() => this.#rollup.addProgress(readings, (id) => feed.cgroupPathOf(id), now)),
      );
    }
    // A reading that ended early because the enforcer was closed says nothing about what it did not have.
    if (isWhole && enforcer.state().attached) await feed.inOrder(() => this.#baselines.endPass());
    this.#readings += 1;
    this.#readSinceNs = beganNs > READING_OVERLAP_NS ? beganNs - READING_OVERLAP_NS : 0n;
  }

  /** What was counted is taken at once; it is encoded while the next window is being counted. */
  #seal(isLast: boolean): () => Promise<RecordGroup | null> {
    const { enforcer, clock } = this.#ports;
    const index = isLast ? this.#windows.sealOpen() : this.#windows.seal(GRACE_MS);
    const tables = this.#rollup.take(index);
    const losses = enforcer.losses();
    const lost = lossesSince(this.#losses, losses);
    this.#baselines.forgetEnded(Number(clock.bootNs()) / 1000);
    if (tables.length === 0 && lost === null) return async () => null;
    this.#losses = losses;
    const changes = this.#baselines.takeChanges();
    const sealedMs = clock.wallMs();
    return async () => ({
      pieces: await this.#encode(tables),
      records: tables.reduce((sum, { size }) => sum + size, 0),
      events: tables.reduce((sum, { events }) => sum + events, 0),
      sealedMs,
      windowEndMs: this.#windows.endMs(index),
      lost: lost ?? { ringFull: 0n, rateLimited: 0n, notFollowed: 0n },
      prepare: (lastSequence) => this.#progress.append(lastSequence, changes, losses),
    });
  }

  async #encode(tables: readonly WindowTable[]): Promise<Uint8Array[]> {
    const { userNameOf, observedNameOf } = this.#ports;
    const { windowMs } = this.#windows;
    const pieces: Uint8Array[] = [];
    for (const table of tables) this.#figures.foldedRecords += table.foldedSize;
    for (const piece of this.#encoder.encode(tables, { windowMs, userNameOf, observedNameOf })) {
      pieces.push(piece);
      await setImmediate();
    }
    return pieces.length > 0 ? pieces : [new Uint8Array()];
  }

  #now(): Moment {
    const { clock } = this.#ports;
    const bootNs = clock.bootNs();
    return { bootNs: Number(bootNs), wallMs: bootNsToWallMs(clock, bootNs) };
  }

  /** A mistake here must not end the flow of events for everybody. */
  #guarded(task: () => void): void {
    try {
      task();
    } catch (error) {
      this.#ports.log.error({ err: error }, "flow events could not be counted");
    }
  }
}

/** `null` = nothing. Counters that are lower than before began anew. */
function lossesSince(before: EventLosses, now: EventLosses): EventLosses | null {
  const since = (earlier: bigint, later: bigint) => (later < earlier ? later : later - earlier);
  const lost = {
    ringFull: since(before.ringFull, now.ringFull),
    rateLimited: since(before.rateLimited, now.rateLimited),
    notFollowed: since(before.notFollowed, now.notFollowed),
  };
  return lost.ringFull + lost.rateLimited + lost.notFollowed > 0n ? lost : null;
}
