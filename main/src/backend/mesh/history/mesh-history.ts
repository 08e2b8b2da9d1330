/** The history of the meshes: who writes it, what is forgotten, and what is said where it cannot be written. */
import { Failure } from "@wardline/domain/errors";
import type { MeshGraph } from "@wardline/domain/mesh";
import type { Clock, Logger } from "../../ports.ts";
import type { LeaseTable } from "../../store/settings-table.ts";
import type { MeshPicture } from "../mesh-picture.ts";
import type { MeshHistoryLimits } from "./limits.ts";
import { MeshReader } from "./mesh-reader.ts";
import { MeshRecorder } from "./mesh-recorder.ts";
import { MeshTables } from "./mesh-tables.ts";

const LEASE = "mesh-history";
const LEASE_MS = 15_000;
/** Each renewal waits for the disk. */
const LEASE_RENEW_MS = 5_000;
const ROUND_MS = 1_000;
const RETENTION_EVERY_MS = 60_000;
const RETRY_MS = 10_000;
/** With a keyframe an hour this is more than a month at once. */
const MOST_ROUNDS_OF_FORGETTING = 1_000;

export interface MeshHistoryPorts {
  readonly stateDir: string;
  readonly picture: MeshPicture;
  readonly leases: LeaseTable;
  readonly processId: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: MeshHistoryLimits;
  /** Whether every host that can say something has said it. */
  readonly isSettled: () => boolean;
}

export class MeshHistory {
  readonly reader: MeshReader;
  readonly #ports: MeshHistoryPorts;
  #tables: MeshTables | null = null;
  #problem = "";
  #retainedAtMs = Number.NEGATIVE_INFINITY;
  /** Positive infinity = it has none. */
  #leasedAtMs = Number.POSITIVE_INFINITY;

  /** Nothing is opened before it is needed. */
  constructor(ports: MeshHistoryPorts) {
    this.#ports = ports;
    this.reader = new MeshReader(() => this.tables(), ports.clock, ports.limits);
  }

  /** Why nothing is recorded, a sentence; empty = it is, or another process does it. */
  get problem(): string {
    return this.#problem;
  }

  /** @throws Failure when the file cannot be opened */
  tables(): MeshTables {
    this.#tables ??= new MeshTables(this.#ports.stateDir, this.#ports.logger);
    return this.#tables;
  }

  close(): void {
    this.#tables?.close();
    this.#tables = null;
  }

  /** Records while this process has the lease, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, leases, processId, logger } = this.#ports;
    while (!signal.aborted) {
      let pauseMs = ROUND_MS;
      try {
        if (this.#hasLease()) await this.#record(signal);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        this.#say(`The history of the meshes is not recorded: ${error.message}`);
        logger.warn({ code: error.code, problem: error.message }, "mesh history not written");
        pauseMs = RETRY_MS;
      }
      await clock.sleep(pauseMs, signal);
    }
    leases.release(LEASE, processId);
  }

  async #record(signal: AbortSignal): Promise<void> {
    const { clock, picture, limits, logger } = this.#ports;
    await this.#settle(signal);
    if (signal.aborted) return;
    const graph = (): MeshGraph => picture.graph();
    const recorder = new MeshRecorder({ tables: this.tables(), clock, logger, limits, graph });
    const leave = picture.onDelta((delta) => recorder.take(delta));
    try {
      await recorder.begin(await this.#before());
      while (!signal.aborted && this.#hasLease()) {
        await recorder.write();
        await this.#retain(recorder);
        this.#say(
          recorder.leftOut === 0 ? "" : `${recorder.leftOut} changes of the meshes came too fast to be recorded.`,
        );
        await clock.sleep(ROUND_MS, signal);
      }
      if (signal.aborted) await recorder.write();
    } finally {
      leave();
    }
  }

  /** A picture of half of the hosts would look as if the others had gone. */
  async #settle(signal: AbortSignal): Promise<void> {
    const { clock, limits, isSettled, picture } = this.#ports;
    const untilMs = clock.nowMs() + limits.settleMs;
    while (!signal.aborted && !isSettled() && clock.nowMs() < untilMs) {
      const leftMs = Math.max(1, untilMs - clock.nowMs());
      await picture.changes.wait(picture.changes.version, Math.min(ROUND_MS, leftMs), signal);
    }
  }

  /** What was last recorded; what cannot be read any more is as if it had never been. */
  async #before(): Promise<MeshGraph | null> {
    try {
      return await this.reader.newest();
    } catch (error) {
      if (error instanceof Failure) throw error;
      this.#ports.logger.warn({ err: error }, "last picture of the meshes not readable");
      return null;
    }
  }

  async #retain(recorder: MeshRecorder): Promise<void> {
    const { clock, limits } = this.#ports;
    const nowMs = clock.nowMs();
    const every = Math.min(RETENTION_EVERY_MS, limits.sampleEveryMs);
    if (nowMs >= this.#retainedAtMs && nowMs - this.#retainedAtMs < every) return;
    this.#retainedAtMs = nowMs;
    const tables = this.tables();
    let isRenumbered = tables.forgetBefore(nowMs - limits.keptMs);
    for (let round = 0; round < MOST_ROUNDS_OF_FORGETTING && tables.usedBytes() > limits.maxBytes; round++) {
      const first = tables.keyframeAfter(-1);
      const second = first && tables.keyframeAfter(first.atMs);
      // What is left lies in one piece: it is cut by a picture of now.
      if (second) isRenumbered = tables.forgetBefore(second.atMs) || isRenumbered;
      else if (round === 0) await recorder.keyframe();
      else break;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    if (isRenumbered) recorder.renumber();
  }

  #hasLease(): boolean {
    const { leases, processId, clock } = this.#ports;
    const nowMs = clock.nowMs();
    if (nowMs >= this.#leasedAtMs && nowMs - this.#leasedAtMs < LEASE_RENEW_MS) return true;
    const hasLease = leases.acquire(LEASE, processId, nowMs, LEASE_MS);
    this.#leasedAtMs = hasLease ? nowMs : Number.POSITIVE_INFINITY;
    return hasLease;
  }

  #say(problem: string): void {
    if (this.#problem === problem) return;
    this.#problem = problem;
    this.#ports.picture.changes.notify();
  }
}
