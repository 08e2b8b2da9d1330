/**
 * One lease of this process, kept alive. It counts as held only until the last successful renewal was SENT, plus what was
 * granted, minus a margin, on the boot clock: whatever stops this process or its machine, it never believes in a lease that
 * the store may have ended. A lease that is over stays over; the session gets another one by itself.
 */
import type { Logger } from "pino";
import { bootMs, type Clock } from "../../agent/clock.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import { backOffMs, sentenceOf, waitFor } from "./waiting.ts";

export interface SessionPorts {
  readonly store: Pick<ClusterStore, "grantLease" | "renewLease" | "revokeLease">;
  readonly clock: Clock;
  /** 2,000 to 60,000. */
  readonly leaseMs: number;
  /** 0 to below 1. */
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warn">;
}

/** A lease that was held at the moment of asking. */
export interface HeldLease {
  readonly id: bigint;
  readonly timeToLiveMs: number;
  /** Aborted when it is over, or might be. */
  readonly signal: AbortSignal;
}

/** Of the granted time: for clocks that do not run equally fast, and for a timer that fires late. */
const MARGIN = 0.1;
const RENEWALS_PER_LEASE = 3;
const ATTEMPTS_PER_LEASE = 4;
const STOP_TIMEOUT_MS = 2_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;

interface OwnLease extends HeldLease {
  readonly controller: AbortController;
  heldUntilMs: number;
  renewAtMs: number;
}

export class Session {
  readonly #ports: SessionPorts;
  readonly #listeners = new Set<() => void>();
  #stopping = new AbortController();
  #running: Promise<void> | null = null;
  #lease: OwnLease | null = null;
  /** Leases given up while the store did not answer: they would hold keys until they run out. */
  #abandoned: bigint[] = [];
  #latencyMs: number | null = null;
  #renewedAtMs: number | null = null;
  #problem: string | null = null;

  constructor(ports: SessionPorts) {
    this.#ports = ports;
  }

  get leaseMs(): number {
    return this.#ports.leaseMs;
  }

  /** Round trip of the last renewal that succeeded. */
  get latencyMs(): number | null {
    return this.#latencyMs;
  }

  /** Wall time at which the store last answered. */
  get renewedAtMs(): number | null {
    return this.#renewedAtMs;
  }

  /** Why there is no lease, or why its last renewal failed; `null` = nothing is wrong. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Judged by the boot clock now, not by when a timer fired. */
  current(): HeldLease | null {
    const lease = this.#lease;
    if (lease === null) return null;
    if (bootMs(this.#ports.clock) < lease.heldUntilMs) return lease;
    this.#end(lease, "it was not renewed in time", true);
    return null;
  }

  /** Called after a lease was granted and after it ended. Returns the unsubscriber. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Once; a second call changes nothing. */
  start(): void {
    if (this.#running === null && !this.#stopping.signal.aborted) this.#running = this.#run();
  }

  /** Ends the lease in the store as well, when that answers within two seconds. Never rejects. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const lease = this.#lease;
    if (lease) this.#end(lease, "the session stops", true);
    await this.#running;
    await this.#revokeAbandoned();
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#ports;
    const { signal } = this.#stopping;
    const backOff = { firstMs: FIRST_RETRY_MS, longestMs: LONGEST_RETRY_MS };
    for (let failures = 0; !signal.aborted; ) {
      const lease = await this.#acquire();
      if (lease) {
        failures = 0;
        await this.#keep(lease);
      }
      if (!signal.aborted) await waitFor(clock, backOffMs(backOff, failures++, random), signal);
    }
  }

  /** One attempt. */
  async #acquire(): Promise<OwnLease | null> {
    const { store, clock, leaseMs, log } = this.#ports;
    const sentAtMs = exactMs(clock);
    const options = { signal: this.#stopping.signal, timeoutMs: Math.max(1_000, leaseMs / 2) };
    try {
      const { id, timeToLiveMs } = await store.grantLease(leaseMs, options);
      const controller = new AbortController();
      const times = timesOf(sentAtMs, timeToLiveMs);
      const lease: OwnLease = { id, timeToLiveMs, controller, signal: controller.signal, ...times };
      this.#lease = lease;
      // The answer may have come too late, or after the stop: it is then the same as a lease that is over.
      if (this.#stopping.signal.aborted) this.#end(lease, "the session stops", true);
      if (this.current() === null) return null;
      this.#heard(sentAtMs);
      this.#changed();
      void this.#revokeAbandoned();
      return lease;
    } catch (error) {
      if (this.#stopping.signal.aborted) return null;
      if (this.#problem === null) log.warn({ problem: sentenceOf(error) }, "no lease from the store");
      this.#problem = `No lease from the store: ${sentenceOf(error)}`;
      return null;
    }
  }

  /** The only place that renews; returns when the lease is over. */
  async #keep(lease: OwnLease): Promise<void> {
    const { clock, random } = this.#ports;
    const backOff = { firstMs: FIRST_RETRY_MS, longestMs: lease.timeToLiveMs / 12 };
    for (let failures = 0; ; ) {
      await waitFor(clock, Math.min(lease.renewAtMs, lease.heldUntilMs) - bootMs(clock), lease.signal);
      if (this.current() !== lease) return;
      if (bootMs(clock) < lease.renewAtMs) continue;
      if (await this.#renew(lease)) failures = 0;
      else lease.renewAtMs = bootMs(clock) + backOffMs(backOff, failures++, random);
    }
  }

  async #renew(lease: OwnLease): Promise<boolean> {
    const { store, clock } = this.#ports;
    const sentAtMs = exactMs(clock);
    const timeoutMs = Math.ceil(Math.min(lease.heldUntilMs - sentAtMs, lease.timeToLiveMs / ATTEMPTS_PER_LEASE));
    try {
      const renewed = await store.renewLease(lease.id, { signal: lease.signal, timeoutMs });
      if (this.current() !== lease) return false;
      if (renewed === null) {
        this.#end(lease, "the store has ended it", false);
        return false;
      }
      Object.assign(lease, timesOf(sentAtMs, renewed.timeToLiveMs));
      this.#heard(sentAtMs);
      return true;
    } catch (error) {
      if (this.current() === lease) this.#problem = `The lease could not be renewed: ${sentenceOf(error)}`;
      return false;
    }
  }

  #heard(sentAtMs: number): void {
    this.#latencyMs = exactMs(this.#ports.clock) - sentAtMs;
    this.#renewedAtMs = this.#ports.clock.wallMs();
    this.#problem = null;
  }

  #end(lease: OwnLease, why: string, mayLast: boolean): void {
    if (this.#lease !== lease) return;
    this.#lease = null;
    if (mayLast) this.#abandoned = [...this.#abandoned.slice(-3), lease.id];
    if (!this.#stopping.signal.aborted) {
      this.#problem = `The lease is over: ${why}`;
      this.#ports.log.warn({ why }, "the lease is over");
    }
    lease.controller.abort();
    this.#changed();
  }

  async #revokeAbandoned(): Promise<void> {
    const leases = this.#abandoned;
    this.#abandoned = [];
    for (const id of leases) {
      // What cannot be revoked runs out by itself.
      await this.#ports.store.revokeLease(id, { timeoutMs: STOP_TIMEOUT_MS }).catch(() => {});
    }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** With its fraction: a renewal takes less than a millisecond on a good day. */
function exactMs(clock: Clock): number {
  return Number(clock.bootNs()) / 1e6;
}

function timesOf(sentAtMs: number, timeToLiveMs: number): { heldUntilMs: number; renewAtMs: number } {
  return {
    heldUntilMs: sentAtMs + timeToLiveMs * (1 - MARGIN),
    renewAtMs: sentAtMs + timeToLiveMs / RENEWALS_PER_LEASE,
  };
}
