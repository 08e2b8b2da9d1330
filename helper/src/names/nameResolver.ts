/**
 * Addresses of the domain names that policies of this host speak of, kept up to date.
 *
 * A program on the host asks DNS by itself and may get another answer than the agent got a moment ago: that is why an
 * address stays for {@link HOLD_MS} after it was last seen, and why names with many changing addresses are better written
 * as address blocks (docs/policy-reference.md).
 */
import type { Circumstances } from "../agent/policyEngine.ts";

export interface NameAnswer {
  /** Canonical text. */
  readonly addresses: readonly string[];
  /** How long the answer may be used; the shortest of its records. */
  readonly timeToLiveMs: number;
}

/** Asks once. Rejects when nobody answers; an empty list = the name has no address. */
export type NameLookup = (name: string, signal: AbortSignal) => Promise<NameAnswer>;

export interface NameResolverPorts {
  readonly lookup: NameLookup;
  /** Milliseconds that only go forward. */
  readonly nowMs: () => number;
}

export const HOLD_MS = 600_000;
const SHORTEST_REFRESH_MS = 5_000;
const LONGEST_REFRESH_MS = 3_600_000;
const RETRY_MS = 15_000;
const LOOKUP_TIMEOUT_MS = 3_000;
/** A name that answers ever new addresses must not grow without bound; the oldest leave first. */
const MAX_ADDRESSES_PER_NAME = 64;
const MAX_CONCURRENT_LOOKUPS = 16;

interface KnownName {
  /** When each address was last in an answer. */
  readonly seenAtMs: Map<string, number>;
  nextLookupAtMs: number;
  problem: string | null;
}

export class NameResolver {
  readonly #ports: NameResolverPorts;
  #names = new Map<string, KnownName>();
  #running: Promise<void> | null = null;

  constructor(ports: NameResolverPorts) {
    this.#ports = ports;
  }

  /** Sentences about names without an answer. */
  get problems(): readonly string[] {
    return [...this.#names].flatMap(([name, { problem }]) => (problem === null ? [] : [`${name}: ${problem}`]));
  }

  /** Forgets every other name. */
  watch(names: readonly string[]): void {
    const next = new Map<string, KnownName>();
    for (const name of names) {
      next.set(name, this.#names.get(name) ?? { seenAtMs: new Map(), nextLookupAtMs: 0, problem: null });
    }
    this.#names = next;
  }

  /** Asks for every name that is due. Takes a few seconds at most; never rejects. One round at a time. */
  update(): Promise<void> {
    this.#running ??= this.#askAll().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** What is known, addresses sorted. A name without an answer so far is missing. */
  addresses(): Circumstances["domainAddresses"] {
    const known = [...this.#names].filter(([, { seenAtMs }]) => seenAtMs.size > 0);
    return new Map(known.map(([name, { seenAtMs }]) => [name, [...seenAtMs.keys()].sort()]));
  }

  async #askAll(): Promise<void> {
    const nowMs = this.#ports.nowMs();
    const due = [...this.#names].filter(([, known]) => known.nextLookupAtMs <= nowMs);
    for (let first = 0; first < due.length; first += MAX_CONCURRENT_LOOKUPS) {
      const group = due.slice(first, first + MAX_CONCURRENT_LOOKUPS);
      await Promise.all(group.map(([name, known]) => this.#ask(name, known)));
    }
  }

  async #ask(name: string, known: KnownName): Promise<void> {
    try {
      const answer = await this.#ports.lookup(name, AbortSignal.timeout(LOOKUP_TIMEOUT_MS));
      const nowMs = this.#ports.nowMs();
      for (const address of answer.addresses) {
        known.seenAtMs.delete(address);
        known.seenAtMs.set(address, nowMs);
      }
      known.problem = answer.addresses.length === 0 ? "the name has no address" : null;
      const waitMs = Math.min(Math.max(answer.timeToLiveMs, SHORTEST_REFRESH_MS), LONGEST_REFRESH_MS);
      known.nextLookupAtMs = nowMs + waitMs;
      forget(known, nowMs);
    } catch (error) {
      // The last answer stays: a name server that is down must not cut what works.
      known.problem = `no answer (${error instanceof Error ? error.message : String(error)})`;
      known.nextLookupAtMs = this.#ports.nowMs() + RETRY_MS;
    }
  }
}

function forget({ seenAtMs }: KnownName, nowMs: number): void {
  for (const [address, atMs] of seenAtMs) {
    if (nowMs - atMs > HOLD_MS || seenAtMs.size > MAX_ADDRESSES_PER_NAME) seenAtMs.delete(address);
  }
}
