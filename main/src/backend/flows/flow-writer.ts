/**
 * Writes the flows of all hosts into the store, in one transaction for all of them: each costs a wait for the disk, and a
 * hundred hosts would make hundreds a second. One process writes at a time (a lease in the store); everybody reads.
 */
import type { Flow, FlowLosses } from "@wardline/api/wardline/v1/flow";
import { Failure } from "@wardline/domain/errors";
import type { BoundedQueue } from "../async/bounded-queue.ts";
import { ChangeSignal } from "../async/signal.ts";
import type { Clock, Logger } from "../ports.ts";
import type { FlowOrigin } from "../store/flow-row.ts";
import type { FlowsTable } from "../store/flows-table.ts";
import type { LeaseTable } from "../store/settings-table.ts";
import type { Store } from "../store/store.ts";
import type { LossesTable } from "./losses.ts";

const LEASE_NAME = "flows";
const LEASE_MS = 10_000;
const LEASE_RENEW_MS = 3_000;
const FLUSH_INTERVAL_MS = 150;
/** Losses without flows are written no later than this. */
const LONGEST_QUIET_MS = 1_000;

/** What one host has for the store. */
export interface FlowSource {
  readonly hostId: string;
  readonly queue: BoundedQueue<Flow>;
  origin(): FlowOrigin;
  /** As its agent last told; `null` before. */
  losses(): FlowLosses | null;
}

export interface FlowWriterPorts {
  readonly store: Store;
  readonly flows: FlowsTable;
  readonly leases: LeaseTable;
  readonly losses: LossesTable;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Unique among the processes that use the store. */
  readonly processId: string;
  /** Told after each batch that reached the store. */
  readonly stored: ChangeSignal;
}

export class FlowWriter {
  /** Notifies when {@link isWriting} changes. */
  readonly changes = new ChangeSignal();
  readonly #ports: FlowWriterPorts;
  readonly #sources = new Set<FlowSource>();
  readonly #arrived = new ChangeSignal();
  #isWriting = false;

  constructor(ports: FlowWriterPorts) {
    this.#ports = ports;
  }

  /** Whether this process is the one that writes. */
  get isWriting(): boolean {
    return this.#isWriting;
  }

  /** Returns how to leave; what is queued then is written first. */
  add(source: FlowSource): () => void {
    this.#sources.add(source);
    return () => {
      this.#flush();
      this.#sources.delete(source);
    };
  }

  /** Something was queued. */
  notify(): void {
    this.#arrived.notify();
  }

  /** Writes whenever the lease is to be had, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#keepLease(signal), this.#flushRegularly(signal)]);
    this.#flush();
    const { leases, processId } = this.#ports;
    try {
      leases.release(LEASE_NAME, processId);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
    }
  }

  async #keepLease(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const isHeld = this.#renew();
      // Another process may have changed what was remembered of the tables.
      if (isHeld && !this.#isWriting) this.#ports.flows.forget();
      if (isHeld !== this.#isWriting) {
        this.#isWriting = isHeld;
        this.changes.notify();
      }
      await this.#ports.clock.sleep(LEASE_RENEW_MS, signal);
    }
  }

  #renew(): boolean {
    const { leases, processId, clock } = this.#ports;
    try {
      return leases.acquire(LEASE_NAME, processId, clock.nowMs(), LEASE_MS);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return false;
    }
  }

  async #flushRegularly(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const seen = this.#arrived.version;
      this.#flush();
      await this.#ports.clock.sleep(FLUSH_INTERVAL_MS, signal);
      await this.#arrived.wait(seen, LONGEST_QUIET_MS, signal);
    }
  }

  #flush(): void {
    const { logger } = this.#ports;
    const taken = [...this.#sources].map((source) => ({ source, batch: source.queue.take() }));
    const isQuiet = taken.every(({ source, batch }) => batch.length === 0 && source.losses() === null);
    if (isQuiet) return;
    try {
      this.#write(taken);
    } catch (error) {
      // A full disk loses no more than the queues cannot hold.
      for (const { source, batch } of taken) source.queue.push(batch);
      if (!(error instanceof Failure)) throw error;
      const waiting = taken.reduce((sum, { source }) => sum + source.queue.size, 0);
      logger.warn({ code: error.code, waiting }, "flows not stored");
    }
  }

  #write(taken: readonly { readonly source: FlowSource; readonly batch: readonly Flow[] }[]): void {
    const { store, flows, losses, stored } = this.#ports;
    const write = () => {
      let newest = 0;
      for (const { source, batch } of taken) {
        const lost = source.losses();
        if (lost) losses.put(source.hostId, lost, BigInt(source.queue.dropped));
        if (batch.length > 0) newest = Math.max(newest, flows.insert(source.origin(), batch));
      }
      return newest;
    };
    const isSomething = taken.some(({ batch }) => batch.length > 0);
    // Losses are written only when they have changed: mostly there is nothing to do, and no transaction to wait for.
    const newest = isSomething ? store.transaction(write) : write();
    if (newest > 0) stored.notify();
  }
}
