/**
 * Members as endpoints: the labels of their admission, and the addresses that they say they have and nobody had before
 * them. A member that is not heard from is held on to for a while. Asked four times a second in a cluster of thousands, so
 * what did not change is not looked at.
 */
import { type Member, type MemberPresence, type MemberRecord, MemberState } from "@wardline/api/wardline/v1/cluster";
import {
  type AddressClaim,
  type DiscoveredEndpoint,
  type RefusedAddress,
  settleClaims,
  unusableAddressReason,
} from "@wardline/domain/cluster";
import { labelProblem } from "@wardline/domain/policy";
import { canonicalAddresses } from "./wantedNames.ts";

/** A host that cannot reach the store goes on to be who it is; one that is gone for good must not be for ever. */
export const GONE_HOLD_MS = 3_600_000;
/** Label of a member record; `documents` = what the member says about its addresses does not count. */
export const ADDRESSES_LABEL = "wardline.io/addresses";
const MAX_ADDRESSES = 64;
/**
 * Every change of addresses makes every host compile: a member that changes them more often than this has to stay as it is
 * for a while. Nobody else has to wait for that.
 */
const RESTLESS = { changes: 6, withinMs: 60_000 };

/** One member as it was heard last. */
interface Heard {
  readonly record: MemberRecord;
  readonly presence: MemberPresence | undefined;
  readonly claim: AddressClaim;
  readonly labels: ReadonlyMap<string, string>;
  readonly changedAtMs: readonly number[];
  readonly isRestless: boolean;
  heardAtMs: number;
}

export class MemberEndpoints {
  #heard = new Map<string, Heard>();
  /** Addresses by member, from before this process. */
  readonly #seeds = new Map<string, readonly string[]>();
  /** Member by address. */
  #holders: ReadonlyMap<string, string> = new Map();
  /** By address, then by member. */
  refused: readonly RefusedAddress[] = [];

  /** What counted when this process ended the last time. */
  seed(members: readonly DiscoveredEndpoint[]): void {
    for (const { name, addresses } of members) this.#seeds.set(name, addresses);
    this.#holders = new Map(members.flatMap(({ name, addresses }) => addresses.map((address) => [address, name])));
  }

  /** Members that change their addresses all the time. */
  get restless(): readonly string[] {
    return [...this.#heard].filter(([, { isRestless }]) => isRestless).map(([member]) => member);
  }

  /** By name; `null` = as the last time. */
  update(members: readonly Member[], nowMs: number): readonly DiscoveredEndpoint[] | null {
    const next = new Map<string, Heard>();
    let isSame = true;
    for (const member of members) {
      if (member.record === undefined) continue;
      const { name } = member.record;
      const before = this.#heard.get(name);
      const heard = this.#hear(member, member.record, before, nowMs);
      next.set(name, heard);
      if (heard !== before && (before === undefined || !isSameHeard(before, heard))) isSame = false;
    }
    isSame = isSame && next.size === this.#heard.size;
    this.#heard = next;
    return isSame ? null : this.#settle();
  }

  #hear({ presence, state }: Member, record: MemberRecord, before: Heard | undefined, nowMs: number): Heard {
    const isLive = presence !== undefined && state !== MemberState.GONE && state !== MemberState.JOINING;
    if (before?.record === record && before.presence === presence && before.claim.isLive === isLive) {
      if (isLive) before.heardAtMs = nowMs;
      const isOver = !isLive && nowMs - before.heardAtMs > GONE_HOLD_MS && before.claim.addresses.length > 0;
      if (isOver) return { ...before, claim: { ...before.claim, addresses: [] } };
      if (!before.isRestless) return before;
    }
    const known = before?.claim.addresses ?? this.#seeds.get(record.name) ?? [];
    const isHeard = record.labels[ADDRESSES_LABEL] !== "documents";
    const said = !isHeard ? [] : isLive ? usable(presence.addresses) : known;
    const isMoved = before !== undefined && said.join() !== known.join();
    const recent = (before?.changedAtMs ?? []).filter((atMs) => nowMs - atMs < RESTLESS.withinMs);
    const isRestless = isMoved && recent.length >= RESTLESS.changes;
    return {
      record,
      presence,
      claim: {
        member: record.name,
        addresses: isRestless ? known : said,
        isLive,
        admittedAtMs: Number(record.admittedAt?.seconds ?? 0n) * 1000,
      },
      labels: before?.record === record ? before.labels : adoptEqual(before?.labels, usableLabels(record.labels)),
      changedAtMs: isMoved && !isRestless ? [...recent, nowMs] : recent,
      isRestless,
      heardAtMs: isLive ? nowMs : (before?.heardAtMs ?? nowMs),
    };
  }

  #settle(): readonly DiscoveredEndpoint[] {
    const claims = [...this.#heard.values()].map(({ claim }) => claim);
    const { holders, refused } = settleClaims(claims, this.#holders);
    this.#holders = holders;
    this.refused = refused;
    const held = new Map<string, string[]>();
    for (const [address, member] of holders) {
      const list = held.get(member);
      if (list) list.push(address);
      else held.set(member, [address]);
    }
    const endpoints = [...this.#heard].flatMap(([name, { labels }]): DiscoveredEndpoint[] => {
      const addresses = (held.get(name) ?? []).sort();
      if (labels.size === 0 && addresses.length === 0) return [];
      return [{ kind: "member", namespace: "default", name, instance: "", labels, addresses }];
    });
    return endpoints.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  /** This host is in no cluster any more. */
  forget(): void {
    this.#heard = new Map();
    this.#seeds.clear();
    this.#holders = new Map();
    this.refused = [];
  }
}

function adoptEqual(before: Heard["labels"] | undefined, next: Heard["labels"]): Heard["labels"] {
  return before !== undefined && JSON.stringify([...before]) === JSON.stringify([...next]) ? before : next;
}

function isSameHeard(one: Heard, other: Heard): boolean {
  return (
    one.labels === other.labels &&
    one.claim.isLive === other.claim.isLive &&
    one.claim.admittedAtMs === other.claim.admittedAtMs &&
    one.claim.addresses.join() === other.claim.addresses.join()
  );
}

/** Labels that a policy can name, by key. */
export function usableLabels(labels: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(labels)
      .filter(([key, value]) => labelProblem(key, value) === null)
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  );
}

function usable(addresses: readonly string[]): readonly string[] {
  const found = canonicalAddresses(addresses.slice(0, MAX_ADDRESSES * 4));
  return found.filter((address) => unusableAddressReason(address) === null).slice(0, MAX_ADDRESSES);
}
