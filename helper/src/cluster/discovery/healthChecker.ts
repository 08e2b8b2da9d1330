/**
 * Checks the registered services that ask for it, once for all, at the leader. What is known of an instance lies in the
 * store: the next leader goes on from there, and only changes are written.
 */
import { clone } from "@bufbuild/protobuf";
import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  HealthCheckKind,
  ServiceHealth,
  type ServiceInstance,
  ServiceInstanceSchema,
} from "@wardline/api/wardline/v1/cluster";
import { isSameService, SERVICE_LIMITS } from "@wardline/domain/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Logger } from "pino";
import { bootMs, type Clock } from "../../agent/clock.ts";
import { sentenceOf } from "../leadership/waiting.ts";
import type { HeldTerm, LeaderDuty } from "../ports.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import type { ServiceView } from "./serviceView.ts";
import { encodeMessage, MessageReader } from "./storedMessages.ts";
import { checkTcp, type TcpCheck } from "./tcpCheck.ts";
import { unchanged, writeAsLeader } from "./writing.ts";

export interface HealthCheckerPorts {
  readonly store: ClusterStore;
  readonly services: ServiceView;
  readonly clock: Clock;
  /** 0 to below 1. */
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly check?: TcpCheck;
}

/** Sockets that the leader has open for checks at any time. */
const MAX_CONCURRENT = 64;
const LONGEST_CHECK_MS = 3_000;
const FIRST_CHECK_WITHIN_MS = 200;
/** Part of the interval by which a check may be early or late, so that not all come at once. */
const JITTER = 0.1;
const FAILURES_TO_FAIL = 2;
/** A service that changed so often in so long has to hold before it counts as passing again. */
const FLAPPING = { changes: 4, withinMs: 60_000, successesToPass: 5 };
const MAX_WRITE_ATTEMPTS = 3;

/** One instance that is checked, for as long as it stays in the same place. */
interface Checked {
  readonly key: string;
  instance: ServiceInstance;
  failures: number;
  successes: number;
  /** Boot times of the last changes of its health. */
  changedAtMs: readonly number[];
  cancel: () => void;
}

export class HealthChecker implements LeaderDuty {
  readonly name = "health checks";
  readonly #ports: HealthCheckerPorts;

  constructor(ports: HealthCheckerPorts) {
    this.#ports = ports;
  }

  async run(term: HeldTerm): Promise<void> {
    const round = new Round(this.#ports, term);
    await round.run();
  }
}

/** The checks of one term. */
class Round {
  readonly #ports: HealthCheckerPorts;
  readonly #term: HeldTerm;
  readonly #reader = new MessageReader(ServiceInstanceSchema);
  readonly #checked = new Map<string, Checked>();
  readonly #waiting: Checked[] = [];
  readonly #running = new Set<Promise<void>>();
  #fail: (error: unknown) => void = () => {};

  constructor(ports: HealthCheckerPorts, term: HeldTerm) {
    this.#ports = ports;
    this.#term = term;
  }

  async run(): Promise<void> {
    const { services } = this.#ports;
    const { signal } = this.#term;
    const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
    this.#fail = reject;
    // Once the term is over nobody waits for it any more.
    ended.catch(() => {});
    const end = () => resolve();
    signal.addEventListener("abort", end, { once: true });
    const unsubscribe = services.onChange((keys) => this.#follow(keys));
    try {
      this.#follow(null);
      if (!signal.aborted) await ended;
    } finally {
      unsubscribe();
      signal.removeEventListener("abort", end);
      for (const checked of this.#checked.values()) checked.cancel();
      this.#checked.clear();
      this.#waiting.length = 0;
      await Promise.all(this.#running);
    }
  }

  /** Takes up what has to be checked and leaves what need not be any more. */
  #follow(keys: readonly string[] | null): void {
    const known = this.#ports.services.services();
    for (const key of keys ?? new Set([...known.keys(), ...this.#checked.keys()])) {
      const instance = known.get(key)?.instance;
      const checked = this.#checked.get(key);
      const isWanted = instance !== undefined && instance.check === HealthCheckKind.TCP;
      if (checked && isWanted && isSameService(checked.instance, instance)) checked.instance = instance;
      else {
        checked?.cancel();
        this.#checked.delete(key);
        if (isWanted) this.#take(key, instance);
      }
    }
  }

  #take(key: string, instance: ServiceInstance): void {
    const checked: Checked = { key, instance, failures: 0, successes: 0, changedAtMs: [], cancel: () => {} };
    this.#checked.set(key, checked);
    const isNew = instance.health === ServiceHealth.UNKNOWN || instance.health === ServiceHealth.UNSPECIFIED;
    const withinMs = isNew ? FIRST_CHECK_WITHIN_MS : intervalOf(instance);
    this.#schedule(checked, withinMs * this.#ports.random());
  }

  #schedule(checked: Checked, delayMs: number): void {
    checked.cancel = this.#ports.clock.schedule(delayMs, () => {
      this.#waiting.push(checked);
      this.#startWaiting();
    });
  }

  #startWaiting(): void {
    while (this.#running.size < MAX_CONCURRENT) {
      const checked = this.#waiting.shift();
      if (checked === undefined) return;
      if (!this.#isCurrent(checked)) continue;
      const running: Promise<void> = this.#check(checked)
        .catch((error: unknown) => this.#fail(error))
        .finally(() => {
          this.#running.delete(running);
          this.#startWaiting();
        });
      this.#running.add(running);
    }
  }

  #isCurrent(checked: Checked): boolean {
    return this.#checked.get(checked.key) === checked && !this.#term.signal.aborted;
  }

  async #check(checked: Checked): Promise<void> {
    const { check = checkTcp, random } = this.#ports;
    const intervalMs = intervalOf(checked.instance);
    const problem = await check(checked.instance, Math.min(LONGEST_CHECK_MS, intervalMs), this.#term.signal);
    if (!this.#isCurrent(checked)) return;
    const health = this.#judge(checked, problem);
    if (health !== null) await this.#write(checked, health, problem ?? "");
    if (this.#isCurrent(checked)) this.#schedule(checked, intervalMs * (1 - JITTER + 2 * JITTER * random()));
  }

  /** The health that has to be written; `null` = it is as it was. */
  #judge(checked: Checked, problem: string | null): ServiceHealth | null {
    const { health } = checked.instance;
    if (problem !== null) {
      checked.successes = 0;
      checked.failures += 1;
      return checked.failures >= FAILURES_TO_FAIL && health !== ServiceHealth.FAILING ? ServiceHealth.FAILING : null;
    }
    checked.failures = 0;
    checked.successes += 1;
    const sinceMs = bootMs(this.#ports.clock) - FLAPPING.withinMs;
    const changes = checked.changedAtMs.filter((atMs) => atMs > sinceMs).length;
    const needed = changes >= FLAPPING.changes ? FLAPPING.successesToPass : 1;
    return checked.successes >= needed && health !== ServiceHealth.PASSING ? ServiceHealth.PASSING : null;
  }

  /** What the store does not take now is written after a later check. Throws `Failure` NOT_LEADER. */
  async #write(checked: Checked, health: ServiceHealth, detail: string): Promise<void> {
    const { clock, log } = this.#ports;
    try {
      for (let attempt = 1; attempt <= MAX_WRITE_ATTEMPTS; attempt++) {
        const written = await this.#tryWrite(checked, health, detail);
        if (written === "again") continue;
        if (written === "written") {
          checked.changedAtMs = [...checked.changedAtMs.slice(-FLAPPING.changes), bootMs(clock)];
          log.info({ service: checked.key, health: ServiceHealth[health], detail }, "the health of a service changed");
        }
        return;
      }
    } catch (error) {
      if (error instanceof Failure && error.code === ErrorCode.NOT_LEADER) throw error;
      if (!this.#term.signal.aborted)
        log.warn({ problem: sentenceOf(error) }, "the health of a service was not written");
    }
  }

  async #tryWrite(checked: Checked, health: ServiceHealth, detail: string): Promise<"written" | "again" | "gone"> {
    const { store, clock } = this.#ports;
    const { item } = await store.get(checked.key, { signal: this.#term.signal });
    const present = item === null ? null : this.#reader.read(item);
    if (item === null || present === null || !isSameService(present, checked.instance)) return "gone";
    if (present.health === health) {
      checked.instance = present;
      return "gone";
    }
    const next = clone(ServiceInstanceSchema, present);
    next.health = health;
    next.healthDetail = detail;
    next.healthSince = timestampFromMs(clock.wallMs());
    const value = encodeMessage(ServiceInstanceSchema, next);
    const compare = [unchanged(checked.key, item.modRevision)];
    const operation = { kind: "put", key: checked.key, value } as const;
    if (!(await writeAsLeader(store, this.#term, compare, [operation]))) return "again";
    checked.instance = next;
    return "written";
  }
}

function intervalOf({ checkInterval }: ServiceInstance): number {
  const { usualCheckIntervalMs, shortestCheckIntervalMs, longestCheckIntervalMs } = SERVICE_LIMITS;
  const wantedMs = checkInterval === undefined ? usualCheckIntervalMs : durationMs(checkInterval);
  return Math.min(Math.max(wantedMs, shortestCheckIntervalMs), longestCheckIntervalMs);
}
