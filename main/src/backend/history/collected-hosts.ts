/** What is known of the hosts whose records are collected: for the status of the history. */
import { ChangeSignal } from "../async/signal.ts";
import type { HostFacts } from "./record-collector.ts";

const RATE_WINDOW_MS = 10_000;

export class CollectedHosts {
  /** Notifies after records were stored: what follows the history looks again. */
  readonly stored = new ChangeSignal();
  readonly #facts = new Map<string, () => HostFacts>();
  readonly #arrivals: { readonly atMs: number; readonly records: number }[] = [];

  /** Returns how to leave. */
  add(hostId: string, facts: () => HostFacts): () => void {
    this.#facts.set(hostId, facts);
    return () => {
      if (this.#facts.get(hostId) === facts) this.#facts.delete(hostId);
    };
  }

  /** One for each host that is collected by this process, by name. */
  hosts(): readonly HostFacts[] {
    return [...this.#facts.values()].map((facts) => facts()).sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  noteStored(records: number, nowMs: number): void {
    this.#arrivals.push({ atMs: nowMs, records });
    this.#forget(nowMs);
    this.stored.notify();
  }

  /** Over the last ten seconds. */
  recordsPerSecond(nowMs: number): number {
    this.#forget(nowMs);
    return this.#arrivals.reduce((sum, { records }) => sum + records, 0) / (RATE_WINDOW_MS / 1000);
  }

  #forget(nowMs: number): void {
    const old = this.#arrivals.findIndex(({ atMs }) => atMs > nowMs - RATE_WINDOW_MS);
    this.#arrivals.splice(0, old === -1 ? this.#arrivals.length : old);
  }
}
