/**
 * What the leader found out about domain names, for this host. In this order: the leader's answer while it is fresh, then
 * this host's own name servers and hosts file, then the last good answer of either.
 *
 * A host always asks by itself for names that mean something else from place to place (`.internal`, `.local`, …), and for
 * every name when its member record has the label `wardline.io/names` with the value `own`: for hosts whose name servers
 * give other answers than those of the leader. An administrator gives the label, the host cannot give it to itself.
 */
import { create } from "@bufbuild/protobuf";
import { type NameRecord, NameRecordSchema, WantedNamesSchema } from "@wardline/api/wardline/v1/cluster";
import type { Logger } from "pino";
import { bootMs, type Clock } from "../../agent/clock.ts";
import type { NameAnswer, NameLookup } from "../../names/nameResolver.ts";
import type { Keys } from "../keys.ts";
import { backOffMs, sentenceOf, waitFor } from "../leadership/waiting.ts";
import { PrefixMirror } from "../membership/prefixMirror.ts";
import type { LeadershipView, MembershipView } from "../ports.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import { encodeMessage, MessageReader } from "./storedMessages.ts";
import { canonicalAddresses, isDomainName, isPrivateName, MAX_NAMES_PER_MEMBER } from "./wantedNames.ts";

export interface ClusterNamesPorts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warn">;
}

export interface FollowedNames {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly memberName: string;
  readonly membership: MembershipView;
  readonly leadership: LeadershipView;
}

/** Label of a member record; `own` = this host asks for every name by itself. */
export const NAMES_LABEL = "wardline.io/names";
/** The answer is a look into memory and changes are pushed: only a leader that is gone has to be noticed. */
const LOOK_AGAIN_MS = 10_000;
const OWN_VIEW_MS = 1_000;
/** A new leader is found within this time; until then nobody follows the names. */
const LEADERLESS_MS = 30_000;
const BACK_OFF = { firstMs: 200, longestMs: 30_000 };

export class ClusterNames {
  readonly #ports: ClusterNamesPorts;
  readonly #reader = new MessageReader(NameRecordSchema);
  readonly #listeners = new Set<(names: readonly string[] | null) => void>();
  #followed: FollowedNames | null = null;
  #records: PrefixMirror | null = null;
  #ownView = { isOn: false, atMs: Number.NEGATIVE_INFINITY };
  #leaderSeenAtMs = Number.NEGATIVE_INFINITY;
  #wanted: readonly string[] = [];
  #wantedChanged: () => void = () => {};

  constructor(ports: ClusterNamesPorts) {
    this.#ports = ports;
  }

  /** Asks the cluster first, and `own` where the cluster has no fresh answer or another host's view would be wrong. */
  before(own: NameLookup): NameLookup {
    return async (name, signal) => this.answer(name) ?? (await own(name, signal));
  }

  /** The leader's answer; `null` when there is none that this host shall use. */
  answer(name: string): NameAnswer | null {
    if (!this.#isCounted(name) || !this.#isFresh()) return null;
    const record = this.record(name);
    if (record === null || record.stale) return null;
    return { addresses: record.addresses, timeToLiveMs: LOOK_AGAIN_MS, isWhole: true };
  }

  /** What stands in the store, fresh or not; addresses canonical. */
  record(name: string): Pick<NameRecord, "addresses" | "stale" | "problem" | "timeToLive"> | null {
    const item = this.#followed && this.#records?.items().get(this.#followed.keys.name(name));
    const record = item ? this.#reader.read(item) : null;
    if (record === null) return null;
    const { stale, problem, timeToLive, addresses } = record;
    return { stale, problem, addresses: [...canonicalAddresses(addresses)], ...(timeToLive ? { timeToLive } : {}) };
  }

  /** The leader has something else to say about these; `null` = about any. Returns the unsubscriber. */
  onChange(listener: (names: readonly string[] | null) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The names in the policies of this host: the leader is asked to look them up. */
  want(names: readonly string[]): void {
    if (names.join() === this.#wanted.join()) return;
    this.#wanted = [...names];
    this.#wantedChanged();
  }

  /** Until the signal: reads what the leader writes, and writes what this host wants. Never rejects. */
  async follow(followed: FollowedNames, signal: AbortSignal): Promise<void> {
    const { store, keys } = followed;
    const prefix = keys.names;
    const records = new PrefixMirror({ store, prefix, ...this.#ports }, (events) => {
      const names = events?.map(({ key }) => key.slice(prefix.length)) ?? null;
      for (const listener of this.#listeners) listener(names);
    });
    this.#followed = followed;
    this.#records = records;
    records.start();
    try {
      await this.#keepWanted(followed, signal);
    } finally {
      if (this.#records === records) [this.#followed, this.#records] = [null, null];
      await records.stop();
    }
  }

  #isCounted(name: string): boolean {
    return isDomainName(name) && !isPrivateName(name) && !this.#asksByItself();
  }

  /** Looked up once a second at most: a cluster may have thousands of members. */
  #asksByItself(): boolean {
    const nowMs = bootMs(this.#ports.clock);
    if (this.#ownView.atMs + OWN_VIEW_MS <= nowMs) {
      const { membership, memberName } = this.#followed ?? {};
      const self = membership?.members().find(({ record }) => record?.name === memberName);
      this.#ownView = { isOn: self?.record?.labels[NAMES_LABEL] === "own", atMs: nowMs };
    }
    return this.#ownView.isOn;
  }

  #isFresh(): boolean {
    const nowMs = bootMs(this.#ports.clock);
    if (this.#followed?.leadership.leader()) this.#leaderSeenAtMs = nowMs;
    return (this.#records?.isFollowing ?? false) && nowMs - this.#leaderSeenAtMs <= LEADERLESS_MS;
  }

  async #keepWanted(followed: FollowedNames, signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#ports;
    let written: string | null = null;
    for (let failures = 0; !signal.aborted; ) {
      const changed = new AbortController();
      this.#wantedChanged = () => changed.abort();
      const names = this.#wanted.filter((name) => this.#isCounted(name)).slice(0, MAX_NAMES_PER_MEMBER);
      let waitMs = LOOK_AGAIN_MS;
      try {
        if (names.join() !== written) await this.#write(followed, names, signal);
        written = names.join();
        failures = 0;
      } catch (error) {
        if (failures === 0 && !signal.aborted)
          log.warn({ problem: sentenceOf(error) }, "wanted names were not written");
        waitMs = backOffMs(BACK_OFF, failures++, random);
      }
      await waitFor(clock, waitMs, AbortSignal.any([signal, changed.signal]));
    }
  }

  async #write({ store, keys, memberName }: FollowedNames, names: readonly string[], signal: AbortSignal) {
    const key = keys.wantedNamesOf(memberName);
    const { item } = await store.get(key, { signal });
    if (names.length === 0 && item === null) return;
    const value = encodeMessage(
      WantedNamesSchema,
      create(WantedNamesSchema, { member: memberName, names: [...names] }),
    );
    if (item !== null && Buffer.from(item.value).equals(value)) return;
    const operation = names.length === 0 ? ({ kind: "delete", key } as const) : ({ kind: "put", key, value } as const);
    await store.transact({ compare: [], then: [operation] }, { signal });
  }
}
