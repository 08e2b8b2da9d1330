/**
 * Addresses of domain names, kept up to date: of those that the policies of this host speak of, and at the leader of a
 * cluster of those that any member speaks of.
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
  /** Whoever answered holds addresses by itself: those that it does not give any more leave at once. */
  readonly isWhole?: boolean;
}

/** Asks once. Rejects when nobody answers; an empty list = the name has no address. */
export type NameLookup = (name: string, signal: AbortSignal) => Promise<NameAnswer>;

export interface NameResolverPorts {
  readonly lookup: NameLookup;
  /** Milliseconds that only go forward. */
  readonly nowMs: () => number;
  /** Told of each list of names that is watched from then on. */
  readonly onWatch?: (names: readonly string[]) => void;
  /** 16 unless given. */
  readonly maxConcurrentLookups?: number;
}

/** What is known of one name. */
export interface KnownAnswer {
  /** Sorted. */
  readonly addresses: readonly string[];
  readonly timeToLiveMs: number;
  /** Nobody answered the last time: the addresses are the last good ones. */
  readonly isStale: boolean;
  readonly problem: string | null;
}

export const HOLD_MS = 600_000;
export const SHORTEST_REFRESH_MS = 5_000;
export const LONGEST_REFRESH_MS = 3_600_000;
const RETRY_MS = 15_000;
/** A name that nobody answers for is asked less and less often. */
const LONGEST_RETRY_MS = 300_000;
const LOOKUP_TIMEOUT_MS = 3_000;
/** A name that answers ever new addresses must not grow without bound; the oldest leave first. */
const MAX_ADDRESSES_PER_NAME = 64;
const MAX_CONCURRENT_LOOKUPS = 16;

interface KnownName {
  /** When each address was last in an answer. */
  readonly seenAtMs: Map<string, number>;
  /** Of the last answer, when whoever gave it holds them. */
  held: readonly string[];
  nextLookupAtMs: number;
  timeToLiveMs: number;
  /** In a row. */
  failures: number;
  /** `null` = never asked. */
  answeredAtMs: number | null;
  problem: string | null;
}

export class NameResolver {
  readonly #ports: NameResolverPorts;
  #names = new Map<string, KnownName>();
  #running: Promise<boolean> | null = null;

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
    for (const name of names) next.set(name, this.#names.get(name) ?? unknownName());
    this.#names = next;
    this.#ports.onWatch?.(names);
  }

  /** What was known of a name before this resolver was there; for names that it does not know better. */
  seed(name: string, addresses: readonly string[]): void {
    const known = this.#names.get(name);
    if (!known || known.seenAtMs.size > 0) return;
    for (const address of addresses) known.seenAtMs.set(address, this.#ports.nowMs());
  }

  /** There is a new answer to be had for these, or for any (`null`): the next update asks for them. */
  expire(names: readonly string[] | null): void {
    for (const name of names ?? this.#names.keys()) {
      const known = this.#names.get(name);
      if (known) known.nextLookupAtMs = 0;
    }
  }

  /**
   * Asks for every name that is due, also for those that become so meanwhile. Takes a few seconds at most; never rejects.
   * Tells whether any addresses have changed.
   */
  update(): Promise<boolean> {
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

  /** By name; those that were never asked for are missing. */
  answers(): ReadonlyMap<string, KnownAnswer> {
    const asked = [...this.#names].filter(([, { answeredAtMs, failures }]) => answeredAtMs !== null || failures > 0);
    return new Map(
      asked.map(([name, { seenAtMs, timeToLiveMs, failures, problem }]) => [
        name,
        { addresses: [...seenAtMs.keys()].sort(), timeToLiveMs, isStale: failures > 0, problem },
      ]),
    );
  }

  async #askAll(): Promise<boolean> {
    const { maxConcurrentLookups = MAX_CONCURRENT_LOOKUPS } = this.#ports;
    const asking = new Set<KnownName>();
    let due: (readonly [string, KnownName])[] = [];
    let hasChanged = false;
    const askNext = async (): Promise<void> => {
      for (;;) {
        if (due.length === 0) due = this.#due(asking);
        const next = due.pop();
        if (next === undefined) return;
        const [name, known] = next;
        if (asking.has(known)) continue;
        asking.add(known);
        if (await this.#ask(name, known)) hasChanged = true;
        asking.delete(known);
      }
    };
    await Promise.all(Array.from({ length: Math.min(maxConcurrentLookups, this.#names.size) }, askNext));
    return hasChanged;
  }

  /** Those that wait the longest last. */
  #due(asking: ReadonlySet<KnownName>): (readonly [string, KnownName])[] {
    const nowMs = this.#ports.nowMs();
    return [...this.#names]
      .filter(([, known]) => known.nextLookupAtMs <= nowMs && !asking.has(known))
      .sort(([, one], [, other]) => other.nextLookupAtMs - one.nextLookupAtMs);
  }

  /** Whether the addresses of the name have changed. */
  async #ask(name: string, known: KnownName): Promise<boolean> {
    const before = [...known.seenAtMs.keys()].sort().join();
    try {
      const answer = await this.#ports.lookup(name, AbortSignal.timeout(LOOKUP_TIMEOUT_MS));
      const nowMs = this.#ports.nowMs();
      for (const address of known.held) if (answer.isWhole) known.seenAtMs.delete(address);
      known.held = answer.isWhole ? answer.addresses : [];
      for (const address of answer.addresses) {
        known.seenAtMs.delete(address);
        known.seenAtMs.set(address, nowMs);
      }
      known.problem = answer.addresses.length === 0 ? "the name has no address" : null;
      known.failures = 0;
      known.answeredAtMs = nowMs;
      known.timeToLiveMs = Math.min(Math.max(answer.timeToLiveMs, SHORTEST_REFRESH_MS), LONGEST_REFRESH_MS);
      known.nextLookupAtMs = nowMs + known.timeToLiveMs;
      forget(known, nowMs);
    } catch (error) {
      // The last answer stays: a name server that is down must not cut what works.
      known.problem = `no answer (${error instanceof Error ? error.message : String(error)})`;
      const waitMs = Math.min(RETRY_MS * 2 ** Math.min(known.failures, 10), LONGEST_RETRY_MS);
      known.failures += 1;
      known.nextLookupAtMs = this.#ports.nowMs() + waitMs;
    }
    return [...known.seenAtMs.keys()].sort().join() !== before;
  }
}

function unknownName(): KnownName {
  return {
    seenAtMs: new Map(),
    held: [],
    nextLookupAtMs: 0,
    timeToLiveMs: SHORTEST_REFRESH_MS,
    failures: 0,
    answeredAtMs: null,
    problem: null,
  };
}

function forget({ seenAtMs }: KnownName, nowMs: number): void {
  for (const [address, atMs] of seenAtMs) {
    if (nowMs - atMs > HOLD_MS || seenAtMs.size > MAX_ADDRESSES_PER_NAME) seenAtMs.delete(address);
  }
}
