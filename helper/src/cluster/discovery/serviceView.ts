/** The registered services as this node knows them, kept up to date, and kept while the store is away. */
import { type ServiceInstance, ServiceInstanceSchema } from "@wardline/api/wardline/v1/cluster";
import { bootMs, type Clock } from "../../agent/clock.ts";
import { type MirrorPorts, PrefixMirror } from "../membership/prefixMirror.ts";
import type { KeyValue } from "../store/clusterStore.ts";
import { MessageReader } from "./storedMessages.ts";

export interface KnownService {
  readonly key: string;
  readonly modRevision: bigint;
  readonly instance: ServiceInstance;
  /** On this node's boot clock: when this node saw it renewed. No other clock is asked when it runs out. */
  readonly renewedBootMs: number;
}

/** The keys that changed; `null` = anything may have changed. */
export type ServiceListener = (keys: readonly string[] | null) => void;

export class ServiceView {
  readonly #mirror: PrefixMirror;
  readonly #clock: Clock;
  readonly #reader = new MessageReader(ServiceInstanceSchema);
  readonly #listeners = new Set<ServiceListener>();
  #known = new Map<string, KnownService>();

  constructor(ports: MirrorPorts) {
    this.#clock = ports.clock;
    this.#mirror = new PrefixMirror(ports, (events) => {
      const keys = events?.map(({ key }) => key) ?? null;
      if (keys === null) this.#readAll();
      else for (const key of keys) this.#readOne(key);
      for (const listener of this.#listeners) listener(keys);
    });
  }

  /** False until they were read for the first time. */
  get isKnown(): boolean {
    return this.#mirror.revision !== null || this.#mirror.readAtMs !== null;
  }

  /** Follows the store now; what is known may be old otherwise. */
  get isFollowing(): boolean {
    return this.#mirror.isFollowing;
  }

  get problem(): string | null {
    return this.#mirror.problem;
  }

  /** By key. */
  services(): ReadonlyMap<string, KnownService> {
    return this.#known;
  }

  onChange(listener: ServiceListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#mirror.start();
  }

  stop(): Promise<void> {
    return this.#mirror.stop();
  }

  #readAll(): void {
    const before = this.#known;
    this.#known = new Map();
    for (const item of this.#mirror.items().values()) {
      const known = this.#read(item, before.get(item.key));
      if (known) this.#known.set(item.key, known);
    }
  }

  #readOne(key: string): void {
    const item = this.#mirror.items().get(key);
    const known = item === undefined ? null : this.#read(item, this.#known.get(key));
    if (known) this.#known.set(key, known);
    else this.#known.delete(key);
  }

  #read(item: KeyValue, before: KnownService | undefined): KnownService | null {
    const { key, modRevision } = item;
    if (before?.modRevision === modRevision) return before;
    const instance = this.#reader.read(item);
    if (instance === null) return null;
    // Somebody who writes its health does not renew it.
    const isRenewed = before === undefined || renewalOf(before.instance) !== renewalOf(instance);
    return { key, modRevision, instance, renewedBootMs: isRenewed ? bootMs(this.#clock) : before.renewedBootMs };
  }
}

function renewalOf({ renewedAt }: ServiceInstance): string {
  return renewedAt === undefined ? "" : `${renewedAt.seconds}.${renewedAt.nanos}`;
}
