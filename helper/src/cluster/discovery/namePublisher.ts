/**
 * Looks up the domain names that members want, once for all, at the leader. Every member then allows the same addresses,
 * and a name server sees one question instead of one from each host. Only changes are written.
 */
import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type NameRecord, NameRecordSchema, WantedNamesSchema } from "@wardline/api/wardline/v1/cluster";
import type { Logger } from "pino";
import { bootMs, type Clock } from "../../agent/clock.ts";
import { type KnownAnswer, type NameLookup, NameResolver } from "../../names/nameResolver.ts";
import type { Keys } from "../keys.ts";
import { waitFor } from "../leadership/waiting.ts";
import { PrefixMirror } from "../membership/prefixMirror.ts";
import type { HeldTerm, LeaderDuty, MembershipView } from "../ports.ts";
import type { ClusterStore, Operation } from "../store/clusterStore.ts";
import { encodeMessage, MessageReader } from "./storedMessages.ts";
import { chooseNames } from "./wantedNames.ts";
import { MAX_OPERATIONS, writeAsLeader } from "./writing.ts";

export interface NamePublisherPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly membership: MembershipView;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly lookup: NameLookup;
}

const LOOK_EVERY_MS = 1_000;
const CHOOSE_AGAIN_MS = 30_000;
const MAX_CONCURRENT_LOOKUPS = 64;

export class NamePublisher implements LeaderDuty {
  readonly name = "domain names";
  readonly #ports: NamePublisherPorts;

  constructor(ports: NamePublisherPorts) {
    this.#ports = ports;
  }

  async run(term: HeldTerm): Promise<void> {
    const publishing = new Publishing(this.#ports, term);
    try {
      await publishing.run();
    } catch (error) {
      if (!term.signal.aborted) throw error;
    } finally {
      await publishing.close();
    }
  }
}

/** The names of one term. */
class Publishing {
  readonly #ports: NamePublisherPorts;
  readonly #term: HeldTerm;
  readonly #wanted: PrefixMirror;
  readonly #resolver: NameResolver;
  readonly #wantedReader = new MessageReader(WantedNamesSchema);
  readonly #recordReader = new MessageReader(NameRecordSchema);
  /** What stands in the store, as this term has read or written it. */
  readonly #published = new Map<string, NameRecord>();
  #names: readonly string[] = [];
  #chooseAtMs = Number.NEGATIVE_INFINITY;
  #wake: () => void = () => {};

  constructor(ports: NamePublisherPorts, term: HeldTerm) {
    this.#ports = ports;
    this.#term = term;
    const { store, keys, clock, random, log, lookup } = ports;
    const mirrorPorts = { store, prefix: keys.wantedNames, clock, random, log };
    this.#wanted = new PrefixMirror(mirrorPorts, () => {
      this.#chooseAtMs = Number.NEGATIVE_INFINITY;
      this.#wake();
    });
    this.#resolver = new NameResolver({
      lookup,
      nowMs: () => bootMs(clock),
      maxConcurrentLookups: MAX_CONCURRENT_LOOKUPS,
    });
  }

  async run(): Promise<void> {
    const { store, keys } = this.#ports;
    const { signal } = this.#term;
    const { items } = await store.range(keys.names, { signal });
    for (const item of items) {
      const record = this.#recordReader.read(item);
      this.#published.set(item.key.slice(keys.names.length), record ?? create(NameRecordSchema));
    }
    this.#wanted.start();
    while (!signal.aborted) {
      const woken = this.#nextWake();
      if (this.#wanted.revision !== null) {
        this.#watch();
        void this.#resolver.update().then((hasChanged) => hasChanged && this.#wake());
        await this.#publish();
      }
      await woken;
    }
  }

  close(): Promise<void> {
    return this.#wanted.stop();
  }

  /** Resolves after a second, or soon after something changed. */
  #nextWake(): Promise<void> {
    const { signal } = this.#term;
    const waiting = new AbortController();
    this.#wake = () => waiting.abort();
    return waitFor(this.#ports.clock, LOOK_EVERY_MS, AbortSignal.any([signal, waiting.signal]));
  }

  /** After a change of what is wanted, and now and then for members that were removed. */
  #watch(): void {
    const { membership, keys, clock } = this.#ports;
    const nowMs = bootMs(clock);
    if (nowMs < this.#chooseAtMs) return;
    this.#chooseAtMs = nowMs + CHOOSE_AGAIN_MS;
    const members = new Set(membership.members().map(({ record }) => record?.name));
    const wanted = new Map<string, readonly string[]>();
    for (const item of this.#wanted.items().values()) {
      const member = item.key.slice(keys.wantedNames.length);
      const names = this.#wantedReader.read(item)?.names;
      if (names !== undefined && (members.size === 0 || members.has(member))) wanted.set(member, names);
    }
    const names = chooseNames(wanted);
    if (names.join() === this.#names.join()) return;
    this.#names = names;
    this.#resolver.watch(names);
    // The last leader may have seen addresses that have left the answers and still count for a while.
    for (const name of names) this.#resolver.seed(name, this.#published.get(name)?.addresses ?? []);
  }

  async #publish(): Promise<void> {
    const { store, keys, log } = this.#ports;
    const wanted = new Set(this.#names);
    const changed = [...this.#resolver.answers()].flatMap(([name, answer]) => {
      const record = this.#recordOf(name, answer);
      return isSameRecord(this.#published.get(name), record) ? [] : [record];
    });
    const unwanted = [...this.#published.keys()].filter((name) => !wanted.has(name));
    const operations = [
      ...changed.map((record): [string, NameRecord | null] => [record.name, record]),
      ...unwanted.map((name): [string, NameRecord | null] => [name, null]),
    ];
    for (let first = 0; first < operations.length; first += MAX_OPERATIONS) {
      const part = operations.slice(first, first + MAX_OPERATIONS);
      const writes = part.map(([name, record]): Operation => {
        const key = keys.name(name);
        return record ? { kind: "put", key, value: encodeMessage(NameRecordSchema, record) } : { kind: "delete", key };
      });
      await writeAsLeader(store, this.#term, [], writes);
      for (const [name, record] of part) {
        if (record) this.#published.set(name, record);
        else this.#published.delete(name);
      }
    }
    if (operations.length > 0) log.info({ changed: changed.length, ended: unwanted.length }, "domain names published");
  }

  #recordOf(name: string, { addresses, timeToLiveMs, isStale, problem }: KnownAnswer): NameRecord {
    return create(NameRecordSchema, {
      name,
      addresses: [...addresses],
      lookedUpAt: timestampFromMs(this.#ports.clock.wallMs()),
      timeToLive: durationFromMs(timeToLiveMs),
      stale: isStale,
      problem: problem ?? "",
    });
  }
}

/** Times count down and the words of a failure change from one attempt to the next: neither is worth a write. */
function isSameRecord(one: NameRecord | undefined, other: NameRecord): boolean {
  return (
    one !== undefined &&
    one.name === other.name &&
    one.stale === other.stale &&
    (one.problem === "") === (other.problem === "") &&
    one.addresses.join() === other.addresses.join()
  );
}
