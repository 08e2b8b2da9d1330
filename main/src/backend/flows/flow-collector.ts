/**
 * Brings a host's flows into the store. One process collects for one host at a time (a lease in the store); everybody
 * reads from the store.
 */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Flow, FlowLosses } from "@wardline/api/wardline/v1/flow";
import { Failure } from "@wardline/domain/errors";
import { agentFailure } from "../agent/agent-failure.ts";
import { boundFlow } from "../agent/bounded-status.ts";
import type { AgentClient } from "../agent/dialer.ts";
import { BoundedQueue } from "../async/bounded-queue.ts";
import type { ChangeSignal } from "../async/signal.ts";
import { hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { Clock, Logger } from "../ports.ts";
import type { FlowsTable } from "../store/flows-table.ts";
import type { LeaseTable } from "../store/settings-table.ts";
import type { LossesTable } from "./losses.ts";

const LEASE_MS = 10_000;
const LEASE_RENEW_MS = 3_000;
const FLUSH_INTERVAL_MS = 150;
/** Held while the disk is slow; beyond that the oldest are dropped and counted. */
const QUEUE_CAPACITY = 20_000;
const HISTORY = 10_000;
const RETRY_MS = 1_000;
/** Another machine may not fill the store and the time of everybody: beyond this its own buffers do. */
const REMOTE_FLOWS_PER_SECOND = 10_000;

export interface FlowCollectorPorts {
  readonly host: ManagedHost;
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

export class FlowCollector {
  readonly #ports: FlowCollectorPorts;
  readonly #queue = new BoundedQueue<Flow>(QUEUE_CAPACITY);
  #agentLosses: FlowLosses | null = null;
  /** Until when what was read is within the allowed rate. */
  #paidUntilMs = 0;

  constructor(ports: FlowCollectorPorts) {
    this.#ports = ports;
  }

  /** Collects whenever the lease is to be had and the agent answers, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, leases, processId } = this.#ports;
    while (!signal.aborted) {
      if (!this.#renew()) {
        await clock.sleep(LEASE_RENEW_MS, signal);
        continue;
      }
      this.#ports.flows.forget();
      const held = new AbortController();
      const until = AbortSignal.any([signal, held.signal]);
      await Promise.race([this.#keepLease(held, until), this.#collect(until)]);
      held.abort();
      this.#flush();
    }
    if (!signal.aborted) return;
    try {
      leases.release(this.#leaseName, processId);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
    }
  }

  get #leaseName(): string {
    return `flows:${this.#ports.host.id}`;
  }

  #renew(): boolean {
    const { leases, processId, clock } = this.#ports;
    try {
      return leases.acquire(this.#leaseName, processId, clock.nowMs(), LEASE_MS);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return false;
    }
  }

  async #keepLease(held: AbortController, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#ports.clock.sleep(LEASE_RENEW_MS, signal);
      if (!signal.aborted && !this.#renew()) held.abort();
    }
  }

  async #collect(signal: AbortSignal): Promise<void> {
    const { host, clock, logger } = this.#ports;
    const flushing = this.#flushRegularly(signal);
    while (!signal.aborted) {
      const client = await host.connection.waitForClient(signal);
      if (!client) break;
      try {
        await this.#read(client, signal);
      } catch (error) {
        const failure = agentFailure(error, hostNameOf(host));
        if (!signal.aborted) logger.info({ host: host.id, code: failure.code }, "flow stream ended");
      }
      await clock.sleep(RETRY_MS, signal);
    }
    await flushing;
  }

  /** Ends at a gap in the numbers: the next stream begins with the agent's history, which fills it. */
  async #read(client: AgentClient, signal: AbortSignal): Promise<void> {
    let expected = 1n;
    for await (const message of client.watchFlows({ history: HISTORY }, { signal })) {
      if (message.sequence !== expected++) return;
      const hostName = hostNameOf(this.#ports.host);
      for (const flow of message.flows) {
        boundFlow(flow);
        // A host tells of itself only, whatever name it puts into its flows.
        flow.host = hostName;
      }
      this.#queue.push(message.flows);
      if (message.losses) this.#agentLosses = message.losses;
      if (!this.#ports.host.local) await this.#keepPace(message.flows.length, signal);
    }
  }

  async #keepPace(count: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    const nowMs = clock.nowMs();
    this.#paidUntilMs = Math.max(this.#paidUntilMs, nowMs - 1_000) + (count / REMOTE_FLOWS_PER_SECOND) * 1_000;
    if (this.#paidUntilMs > nowMs) await clock.sleep(this.#paidUntilMs - nowMs, signal);
  }

  async #flushRegularly(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#flush();
      await this.#ports.clock.sleep(FLUSH_INTERVAL_MS, signal);
    }
  }

  #flush(): void {
    const { flows, losses, host, logger, stored } = this.#ports;
    const startedAt = host.connection.state.status?.info?.startedAt;
    try {
      if (this.#agentLosses) losses.put(host.id, this.#agentLosses, BigInt(this.#queue.dropped));
      if (this.#queue.size === 0) return;
      const batch = this.#queue.take();
      try {
        const origin = { hostId: host.id, agentEpochMs: startedAt ? timestampMs(startedAt) : 0 };
        if (flows.insert(origin, batch) > 0) stored.notify();
      } catch (error) {
        // A full disk loses no more than the queue cannot hold.
        this.#queue.push(batch);
        throw error;
      }
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      logger.warn({ host: host.id, code: error.code, waiting: this.#queue.size }, "flows not stored");
    }
  }
}
