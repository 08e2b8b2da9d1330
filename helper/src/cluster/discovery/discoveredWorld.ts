/**
 * Endpoints that nobody wrote into a document: members with their addresses, and registered services. What is known last
 * stays while the store is away, and over a restart of the agent: it is kept with the generation.
 */
import {
  type DiscoveredEndpoint,
  describeRefused,
  discoveredKey,
  mergeDiscovered,
  type RefusedAddress,
} from "@wardline/domain/cluster";
import type { Inventory } from "@wardline/domain/policy";
import { bootMs, type Clock } from "../../agent/clock.ts";
import type { MembershipView } from "../ports.ts";
import { MemberEndpoints } from "./memberEndpoints.ts";
import { isSameEndpoint, ServiceEndpoints } from "./serviceEndpoints.ts";
import type { ServiceView } from "./serviceView.ts";

export interface DiscoveredWorldPorts {
  readonly clock: Clock;
  /** Hosts and workloads of the policies that this host enforces. */
  readonly inventory: () => Inventory;
}

export interface FollowedWorld {
  readonly membership: MembershipView;
  readonly services: ServiceView;
}

/** What comes together is looked at once, and thousands of heartbeats a minute are looked at four times a second. */
const COALESCE_MS = 10;
const SPACING_MS = 250;
/** Above so many members, whose heartbeats never stop: still within a second, at 2 % of a processor for ten thousand. */
const MANY_MEMBERS = 2_000;
const MANY_SPACING_MS = 700;
/** Members that are gone stop to count, and restless ones are heard again, without anything happening. */
const LOOK_AGAIN_MS = 60_000;
const MAX_PROBLEMS = 50;

export class DiscoveredWorld {
  readonly #ports: DiscoveredWorldPorts;
  readonly #listeners = new Set<() => void>();
  readonly #members = new MemberEndpoints();
  #services = new ServiceEndpoints();
  #followed: FollowedWorld | null = null;
  #current: readonly DiscoveredEndpoint[] = [];
  #refusedByInventory: { readonly inventory: Inventory; readonly refused: readonly RefusedAddress[] } | null = null;
  #cancel: (() => void) | null = null;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(ports: DiscoveredWorldPorts) {
    this.#ports = ports;
  }

  /** What is known, sorted by key; the last good while the store is away. The same object until something changes. */
  current(): readonly DiscoveredEndpoint[] {
    return this.#current;
  }

  /** Called after each change of {@link current}. Returns the unsubscriber. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sentences about addresses that count for somebody else. */
  get problems(): readonly string[] {
    const inventory = this.#ports.inventory();
    if (this.#refusedByInventory?.inventory !== inventory) {
      this.#refusedByInventory = { inventory, refused: mergeDiscovered(inventory, this.#current).refused };
    }
    const all = [...this.#members.refused, ...this.#refusedByInventory.refused];
    const told = all.slice(0, MAX_PROBLEMS).map(describeRefused);
    const restless = this.#members.restless
      .slice(0, MAX_PROBLEMS)
      .map((member) => `${member} changes its addresses all the time: for a minute those from before count.`);
    const more = all.length > told.length ? [`${all.length - told.length} more addresses are refused.`] : [];
    return [...told, ...more, ...restless];
  }

  /** What the tables were made with that this host enforces: it counts until the cluster is heard. Call before `follow`. */
  seed(discovered: readonly DiscoveredEndpoint[]): void {
    this.#members.seed(discovered.filter(({ kind }) => kind === "member"));
    this.#become(discovered);
  }

  /** This host is in no cluster any more and shall forget what it learned there. */
  forget(): void {
    this.#members.forget();
    this.#become([]);
  }

  /** Until the returned function is called; then what is known stays. */
  follow(followed: FollowedWorld): () => void {
    this.#followed = followed;
    const { membership, services } = followed;
    this.#services = new ServiceEndpoints();
    const unsubscribers = [
      membership.onChange(() => this.#lookSoon()),
      services.onChange((keys) => {
        this.#services.update(services.services(), keys);
        this.#lookSoon();
      }),
    ];
    this.#services.update(services.services(), null);
    this.#lookSoon();
    return () => {
      for (const unsubscribe of unsubscribers) unsubscribe();
      if (this.#followed !== followed) return;
      this.#followed = null;
      this.#cancel?.();
      this.#cancel = null;
    };
  }

  #isSoon = false;

  #lookSoon(): void {
    if (this.#isSoon) return;
    const sinceMs = bootMs(this.#ports.clock) - this.#lookedAtMs;
    this.#isSoon = true;
    const isMany = (this.#followed?.membership.members().length ?? 0) > MANY_MEMBERS;
    this.#schedule(Math.max(COALESCE_MS, (isMany ? MANY_SPACING_MS : SPACING_MS) - sinceMs));
  }

  #schedule(delayMs: number): void {
    this.#cancel?.();
    this.#cancel = this.#ports.clock.schedule(delayMs, () => {
      this.#isSoon = false;
      this.#look();
      if (this.#followed !== null && !this.#isSoon) this.#schedule(LOOK_AGAIN_MS);
    });
  }

  #look(): void {
    if (this.#followed === null) return;
    const { membership, services } = this.#followed;
    this.#lookedAtMs = bootMs(this.#ports.clock);
    const members = membership.members();
    // What was not heard yet is as it was: an agent that starts must not forget the cluster for a second.
    const nextMembers = members.length > 0 ? this.#members.update(members, this.#lookedAtMs) : null;
    const nextServices = services.isKnown ? this.#services.take() : null;
    if (nextMembers === null && nextServices === null) return;
    const present = (kind: DiscoveredEndpoint["kind"]) => this.#current.filter((endpoint) => endpoint.kind === kind);
    // In the order of their keys: `Host/…` before `Service/…`.
    this.#become([...(nextMembers ?? present("member")), ...(nextServices ?? present("service"))]);
  }

  /** Entries that say the same stay the same objects, and so does the whole when nothing changed. */
  #become(next: readonly DiscoveredEndpoint[]): void {
    const before = new Map(this.#current.map((endpoint) => [discoveredKey(endpoint), endpoint]));
    const adopted = next.map((endpoint) => {
      const old = before.get(discoveredKey(endpoint));
      return old !== undefined && isSameEndpoint(old, endpoint) ? old : endpoint;
    });
    const isEqual = adopted.length === this.#current.length && adopted.every((one, at) => one === this.#current[at]);
    if (isEqual) return;
    // As it came where nothing was adopted: the tables know what they were made with by identity.
    this.#current = adopted.every((one, at) => one === next[at]) ? next : adopted;
    this.#refusedByInventory = null;
    for (const listener of this.#listeners) listener();
  }
}
