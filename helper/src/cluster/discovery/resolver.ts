/** Labels, a host, a service or a domain name to addresses: what people and programs ask the cluster. */
import { create, equals } from "@bufbuild/protobuf";
import { type Duration, durationFromMs } from "@bufbuild/protobuf/wkt";
import type { EndpointQuery } from "@wardline/api/wardline/agent/v1/cluster";
import {
  type ResolvedEndpoint,
  ResolvedEndpointSchema,
  ServiceHealth,
  type ServiceInstance,
} from "@wardline/api/wardline/v1/cluster";
import { type DiscoveredEndpoint, mergeDiscovered, USUAL_NAMESPACE } from "@wardline/domain/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type Endpoint, effectiveAddresses, type Inventory, isDnsLabel, labelProblem } from "@wardline/domain/policy";
import type { Clock } from "../../agent/clock.ts";
import type { NameLookup } from "../../names/nameResolver.ts";
import type { Keys } from "../keys.ts";
import { waitFor } from "../leadership/waiting.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import type { ClusterNames } from "./clusterNames.ts";
import type { DiscoveredWorld } from "./discoveredWorld.ts";
import type { ServiceView } from "./serviceView.ts";
import { canonicalAddresses, isDomainName } from "./wantedNames.ts";

export interface Resolution {
  readonly endpoints: readonly ResolvedEndpoint[];
  /** The store is away, or nobody answers for the name: this is what was known last. */
  readonly stale: boolean;
}

export interface ResolverPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly services: ServiceView;
  readonly world: DiscoveredWorld;
  readonly names: ClusterNames;
  readonly inventory: () => Inventory;
  readonly onInventoryChange: (listener: () => void) => () => void;
  readonly lookup: NameLookup;
}

type Question =
  | { readonly kind: "labels"; readonly labels: ReadonlyMap<string, string> }
  | { readonly kind: "host"; readonly name: string }
  | { readonly kind: "service"; readonly namespace: string; readonly name: string }
  | { readonly kind: "domain"; readonly name: string };

interface Merged {
  readonly declared: Inventory;
  readonly discovered: readonly DiscoveredEndpoint[];
  readonly inventory: Inventory;
  /** Keys of what somebody wrote down. */
  readonly documents: ReadonlySet<string>;
}

/** How the keys of services begin. */
const SERVICE_KEY = "Service/";
const STORE_ANSWERS_WITHIN_MS = 2_000;
const LOOKUP_WITHIN_MS = 5_000;
const COALESCE_MS = 20;
/** Names without a record are asked again, and whether the store is away is looked at. */
const LOOK_AGAIN_MS = 5_000;
const MAX_LABELS = 64;

export class Resolver {
  readonly #ports: ResolverPorts;
  #merged: Merged | null = null;

  constructor(ports: ResolverPorts) {
    this.#ports = ports;
  }

  /**
   * By key; empty when nothing matches. Throws `Failure` INVALID_ARGUMENT for a query that asks for nothing, for several
   * things, or for what cannot be a name; DEADLINE_EXCEEDED when nobody answers for a domain name that was never known.
   */
  async resolve(query: EndpointQuery): Promise<Resolution> {
    const question = readQuestion(query);
    if (question.kind === "domain") return this.#resolveDomain(question.name);
    const endpoints = this.#find(question);
    return { endpoints, stale: !(await this.#isInTouch()) };
  }

  /** The matching endpoints at once and after each change of them; equal answers are not repeated. Throws as `resolve`. */
  async *watch(query: EndpointQuery, signal: AbortSignal): AsyncGenerator<Resolution> {
    readQuestion(query);
    const { clock, world, services, names, onInventoryChange } = this.#ports;
    let wake = () => {};
    const changed = () => wake();
    const unsubscribers = [world, services, names].map((source) => source.onChange(changed));
    unsubscribers.push(onInventoryChange(changed));
    let last: Resolution | null = null;
    try {
      while (!signal.aborted) {
        const waiting = new AbortController();
        wake = () => waiting.abort();
        const next = await this.resolve(query).catch((error: unknown) => {
          // A name server that is down for a while must not end the watch of somebody who has an answer.
          if (last === null || !(error instanceof Failure)) throw error;
          return { ...last, stale: true };
        });
        if (last === null || !isSame(last, next)) yield next;
        last = next;
        await waitFor(clock, LOOK_AGAIN_MS, AbortSignal.any([signal, waiting.signal]));
        await waitFor(clock, COALESCE_MS, signal);
      }
    } finally {
      for (const unsubscribe of unsubscribers) unsubscribe();
    }
  }

  async #isInTouch(): Promise<boolean> {
    const { store, keys, services } = this.#ports;
    if (!services.isFollowing) return false;
    try {
      await store.get(keys.leader, { timeoutMs: STORE_ANSWERS_WITHIN_MS });
      return true;
    } catch {
      return false;
    }
  }

  #find(question: Exclude<Question, { kind: "domain" }>): readonly ResolvedEndpoint[] {
    const { services, keys } = this.#ports;
    const { inventory, documents } = this.#merge();
    return inventory.endpoints
      .filter((endpoint) => isAskedFor(question, endpoint))
      .map((endpoint) => {
        const addresses = canonicalAddresses(effectiveAddresses(inventory, endpoint));
        const known = services.services().get(`${keys.services}${endpoint.key.slice(SERVICE_KEY.length)}`);
        const instance = endpoint.key.startsWith(SERVICE_KEY) ? known?.instance : undefined;
        return toResolved(endpoint, addresses, instance, documents.has(endpoint.key));
      })
      .sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  /** Many may watch, and what they watch is the same. */
  #merge(): Merged {
    const [declared, discovered] = [this.#ports.inventory(), this.#ports.world.current()];
    if (this.#merged?.declared !== declared || this.#merged.discovered !== discovered) {
      const { inventory } = mergeDiscovered(declared, discovered);
      this.#merged = { declared, discovered, inventory, documents: new Set(declared.endpoints.map(({ key }) => key)) };
    }
    return this.#merged;
  }

  async #resolveDomain(name: string): Promise<Resolution> {
    const { names, lookup } = this.#ports;
    const fresh = names.answer(name);
    const record = names.record(name);
    if (fresh !== null) return domainAnswer(name, fresh.addresses, record?.timeToLive, false);
    try {
      const { addresses, timeToLiveMs } = await lookup(name, AbortSignal.timeout(LOOKUP_WITHIN_MS));
      return domainAnswer(name, addresses, durationFromMs(timeToLiveMs), false);
    } catch (error) {
      if (record !== null && record.addresses.length > 0) {
        return domainAnswer(name, record.addresses, record.timeToLive, true);
      }
      throw new Failure(
        {
          code: ErrorCode.DEADLINE_EXCEEDED,
          message: `No name server answered for ${name}, and its addresses were never known.`,
          retryable: true,
        },
        { cause: error },
      );
    }
  }
}

/** Throws `Failure` INVALID_ARGUMENT. */
function readQuestion({ labels, host, service, domainName }: EndpointQuery): Question {
  const entries = Object.entries(labels);
  const given = [entries.length > 0, host !== "", service !== "", domainName !== ""].filter(Boolean).length;
  if (given !== 1) throw invalid("A query names labels, a host, a service or a domain name: exactly one of them.");
  if (host !== "") return { kind: "host", name: host };
  if (entries.length > 0) return { kind: "labels", labels: readLabels(entries) };
  if (service !== "") {
    const parts = service.split("/");
    const [namespace = "", name = ""] = parts.length === 1 ? [USUAL_NAMESPACE, service] : parts;
    if (parts.length <= 2 && isDnsLabel(namespace) && isDnsLabel(name)) return { kind: "service", namespace, name };
    throw invalid("A service is written as its name, or as namespace/name.");
  }
  const name = domainName.toLowerCase().replace(/\.$/, "");
  if (!isDomainName(name)) throw invalid("That is not a domain name: it needs at least two labels, as in example.org.");
  return { kind: "domain", name };
}

function readLabels(entries: readonly (readonly [string, string])[]): ReadonlyMap<string, string> {
  if (entries.length > MAX_LABELS) throw invalid(`A query names at most ${MAX_LABELS} labels.`);
  for (const [key, value] of entries) {
    const problem = labelProblem(key, value);
    if (problem !== null) throw invalid(problem);
  }
  return new Map(entries);
}

function isAskedFor(question: Exclude<Question, { kind: "domain" }>, endpoint: Endpoint): boolean {
  switch (question.kind) {
    case "labels":
      return [...question.labels].every(([key, value]) => endpoint.labels.get(key) === value);
    case "host":
      return endpoint.key === `Host/${question.name}`;
    case "service":
      return endpoint.key.startsWith(`${SERVICE_KEY}${question.namespace}/${question.name}/`);
  }
}

function toResolved(
  { key, kind, labels }: Endpoint,
  addresses: readonly string[],
  instance: ServiceInstance | undefined,
  isDocument: boolean,
): ResolvedEndpoint {
  return create(ResolvedEndpointSchema, {
    // The kind in lower case, as in the keys of documents.
    key: key.replace(/^[A-Z][a-z]+/, (word) => word.toLowerCase()),
    addresses: [...addresses],
    labels: Object.fromEntries([...labels].sort()),
    port: instance?.port ?? 0,
    source: instance ? "service" : isDocument || kind === "workload" ? "inventory" : "member",
    health: instance?.health ?? ServiceHealth.UNSPECIFIED,
    ...(instance?.timeToLive === undefined ? {} : { timeToLive: instance.timeToLive }),
  });
}

function domainAnswer(
  name: string,
  addresses: readonly string[],
  timeToLive: Duration | undefined,
  stale: boolean,
): Resolution {
  if (addresses.length === 0) return { endpoints: [], stale };
  const endpoint = create(ResolvedEndpointSchema, {
    key: name,
    addresses: [...addresses].sort(),
    source: "dns",
    ...(timeToLive === undefined ? {} : { timeToLive }),
  });
  return { endpoints: [endpoint], stale };
}

/** The time to live of a name counts down all the time and is no change. */
function isSame(one: Resolution, other: Resolution): boolean {
  const plain = (endpoint: ResolvedEndpoint) => {
    const { timeToLive: _, ...rest } = endpoint;
    return endpoint.source === "dns" ? create(ResolvedEndpointSchema, rest) : endpoint;
  };
  return (
    one.stale === other.stale &&
    one.endpoints.length === other.endpoints.length &&
    one.endpoints.every((endpoint, at) => {
      const there = other.endpoints[at];
      return there !== undefined && equals(ResolvedEndpointSchema, plain(endpoint), plain(there));
    })
  );
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}
