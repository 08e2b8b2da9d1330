/** Registered services: who put which address where, for how long. The leader writes, everybody reads. */
import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ServiceHealth, type ServiceInstance, ServiceInstanceSchema } from "@wardline/api/wardline/v1/cluster";
import { isSameService, normalizeService, SERVICE_LIMITS, USUAL_NAMESPACE } from "@wardline/domain/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { canonicalAddress, isDnsLabel } from "@wardline/domain/policy";
import type { Clock } from "../../agent/clock.ts";
import { Mutex } from "../../generations/mutex.ts";
import type { Keys } from "../keys.ts";
import type { HeldTerm } from "../ports.ts";
import type { ClusterStore, KeyValue } from "../store/clusterStore.ts";
import { encodeMessage, MessageReader } from "./storedMessages.ts";
import { MAX_OPERATIONS, unchanged, writeAsLeader } from "./writing.ts";

export interface ServiceQuery {
  /** Empty = all. */
  readonly namespace: string;
  /** Empty = all. */
  readonly service: string;
}

export interface ServiceRegistryPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly clock: Clock;
}

/** A renewal before this part of the time to live is over writes nothing: every write reaches every member. */
const RENEWED_ENOUGH = 0.25;
const MAX_ATTEMPTS = 5;

export class ServiceRegistry {
  readonly #ports: ServiceRegistryPorts;
  readonly #reader = new MessageReader(ServiceInstanceSchema);
  /** One change at a time, so that nobody counts while another one adds. */
  readonly #mutex = new Mutex();
  #atMost: { readonly term: bigint; readonly count: number } | null = null;

  constructor(ports: ServiceRegistryPorts) {
    this.#ports = ports;
  }

  /**
   * Puts an instance in, or renews it: what is known of its health stays as long as it is in the same place. Throws `Failure`
   * INVALID_ARGUMENT, TOO_LARGE, NOT_LEADER, STORE_UNAVAILABLE.
   *
   * @param registeredBy `alice (uid 1000) on a`
   */
  register(term: HeldTerm, wanted: ServiceInstance, registeredBy: string): Promise<ServiceInstance> {
    const service = normalizeService(wanted);
    service.registeredBy = registeredBy;
    return this.#mutex.run(async () => {
      const key = this.#ports.keys.service(service.namespace, service.service, service.instance);
      for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
        const { item } = await this.#ports.store.get(key, { signal: term.signal });
        const written = await this.#put(term, key, service, item);
        if (written !== null) return written;
      }
      throw busy(service.service);
    });
  }

  /**
   * How many were removed. `namespace` empty = `default`, `instance` empty = every one of the service. Throws `Failure`
   * INVALID_ARGUMENT, NOT_LEADER, STORE_UNAVAILABLE.
   */
  deregister(term: HeldTerm, named: ServiceQuery & { readonly instance: string }): Promise<number> {
    const namespace = named.namespace || USUAL_NAMESPACE;
    checkNames(namespace, named.service);
    return this.#mutex.run(async () => {
      const keys =
        named.instance === ""
          ? await this.#keysOf(`${namespace}/${named.service}/`, MAX_OPERATIONS)
          : [this.#ports.keys.service(namespace, named.service, instanceName(named.instance))];
      let removed = 0;
      for (const key of keys) {
        const { item } = await this.#ports.store.get(key, { signal: term.signal });
        if (item === null) continue;
        await writeAsLeader(this.#ports.store, term, [], [{ kind: "delete", key }]);
        removed += 1;
      }
      return removed;
    });
  }

  /** By namespace, service and instance. Throws `Failure` INVALID_ARGUMENT, STORE_UNAVAILABLE. */
  async list({ namespace, service }: ServiceQuery): Promise<readonly ServiceInstance[]> {
    if (namespace !== "" && !isDnsLabel(namespace)) throw invalidName("namespace");
    if (service !== "" && !isDnsLabel(service)) throw invalidName("service");
    const path = namespace === "" ? "" : service === "" ? `${namespace}/` : `${namespace}/${service}/`;
    const { items } = await this.#ports.store.range(`${this.#ports.keys.services}${path}`);
    const found = items.flatMap((item) => this.#reader.read(item) ?? []);
    const wanted = service === "" ? found : found.filter((instance) => instance.service === service);
    return wanted.sort(
      (one, other) =>
        compareTexts(one.namespace, other.namespace) ||
        compareTexts(one.service, other.service) ||
        compareTexts(one.instance, other.instance),
    );
  }

  /** `null` when somebody else wrote it meanwhile. */
  async #put(term: HeldTerm, key: string, service: ServiceInstance, item: KeyValue | null) {
    const { store, clock } = this.#ports;
    const known = item === null ? null : this.#reader.read(item);
    if (item === null) await this.#makeRoom(term, service);
    if (known !== null && isSameService(known, service)) {
      if (isRenewedEnough(known, clock.wallMs())) return known;
      service.health = known.health;
      service.healthDetail = known.healthDetail;
      if (known.healthSince) service.healthSince = known.healthSince;
      service.registeredBy = known.registeredBy;
    } else {
      service.health = ServiceHealth.UNKNOWN;
      service.healthDetail = "";
      service.healthSince = timestampFromMs(clock.wallMs());
    }
    service.renewedAt = timestampFromMs(clock.wallMs());
    const value = encodeMessage(ServiceInstanceSchema, service);
    const compare = [unchanged(key, item?.modRevision ?? 0n)];
    return (await writeAsLeader(store, term, compare, [{ kind: "put", key, value }])) ? service : null;
  }

  async #makeRoom({ signal, number }: HeldTerm, { namespace, service }: ServiceInstance): Promise<void> {
    const { instances, instancesPerService } = SERVICE_LIMITS;
    const ofService = await this.#keysOf(`${namespace}/${service}/`, instancesPerService, signal);
    if (ofService.length >= instancesPerService) {
      throw tooMany(`The service ${namespace}/${service} has ${ofService.length} instances, which is the limit.`);
    }
    // Counted once in a term: nobody else adds any, and what was removed since is found when the limit seems reached.
    if (this.#atMost?.term !== number || this.#atMost.count >= instances) {
      this.#atMost = { term: number, count: (await this.#keysOf("", instances, signal)).length };
    }
    if (this.#atMost.count >= instances) throw tooMany(`${instances} instances are registered, which is the limit.`);
    this.#atMost = { term: number, count: this.#atMost.count + 1 };
  }

  async #keysOf(path: string, limit: number, signal?: AbortSignal): Promise<readonly string[]> {
    const options = { keysOnly: true, limit, ...(signal === undefined ? {} : { signal }) };
    const { items } = await this.#ports.store.range(`${this.#ports.keys.services}${path}`, options);
    return items.map(({ key }) => key);
  }
}

function compareTexts(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function isRenewedEnough({ timeToLive, renewedAt }: ServiceInstance, nowMs: number): boolean {
  if (timeToLive === undefined) return true;
  if (renewedAt === undefined) return false;
  const sinceMs = nowMs - (Number(renewedAt.seconds) * 1000 + renewedAt.nanos / 1e6);
  return sinceMs >= 0 && sinceMs < durationMs(timeToLive) * RENEWED_ENOUGH;
}

function instanceName(text: string): string {
  const name = canonicalAddress(text) ?? text;
  if (name === text && !isDnsLabel(text) && canonicalAddress(text) === null) throw invalidName("instance");
  return name;
}

function checkNames(namespace: string, service: string): void {
  if (!isDnsLabel(namespace)) throw invalidName("namespace");
  if (!isDnsLabel(service)) throw invalidName("service");
}

function invalidName(what: string): Failure {
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `The ${what} is missing or is not a DNS label.`,
    hint: "A DNS label has lower-case letters, digits and hyphens, at most 63.",
  });
}

function tooMany(message: string): Failure {
  return new Failure({ code: ErrorCode.TOO_LARGE, message, hint: "Deregister what is not needed any more." });
}

function busy(service: string): Failure {
  return new Failure({
    code: ErrorCode.STORE_UNAVAILABLE,
    message: `${service} changed each time that it was to be written.`,
    hint: "Try again.",
    retryable: true,
  });
}
