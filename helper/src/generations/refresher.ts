/**
 * Keeps what is enforced true while nobody applies anything: ends policies at their time, follows the addresses of domain
 * names and what the cluster discovers. It looks when it is woken and once a second at the wall clock, so that a jump or a
 * suspended machine costs a second and no more. Asking for names goes on beside it: nothing else waits for DNS.
 */
import { bootMs, type Clock } from "../agent/clock.ts";
import type { Circumstances, Dependencies } from "../agent/policyEngine.ts";
import type { NameResolver } from "../names/nameResolver.ts";
import type { GenerationContexts } from "./contexts.ts";
import type { GenerationController } from "./controller.ts";

/** What the cluster knows of members and services. */
export interface DiscoveredView {
  /** The same object until something changes. */
  current(): Circumstances["discovered"];
  onChange(listener: () => void): () => void;
}

/** What the cluster says about domain names. */
export interface ClusterNamesView {
  /** `null` = anything may have changed. */
  onChange(listener: (names: readonly string[] | null) => void): () => void;
}

export interface RefresherPorts {
  readonly controller: Pick<GenerationController, "enforced" | "pending" | "refresh" | "catchUp" | "onChange">;
  readonly contexts: GenerationContexts;
  readonly resolver: NameResolver;
  readonly discovered?: DiscoveredView;
  readonly names?: ClusterNamesView;
  readonly clock: Clock;
  readonly onProblem: (problem: string) => void;
}

const STEP_MS = 1_000;
/** Changes that come together are one refresh; those that come one after the other are at most so many a second. */
const COALESCE_MS = 20;
const SPACING_MS = 250;
/** After a refresh that failed (a slot that cannot be filled), so that the log is not flooded. */
const RETRY_MS = 30_000;

export class Refresher {
  readonly #ports: RefresherPorts;
  readonly #unsubscribe: readonly (() => void)[];
  #cancel: () => void = () => {};
  #closed = false;
  #isRunning = false;
  #isWoken = false;
  #blockedUntilMs = 0;
  #refreshedAtMs = Number.NEGATIVE_INFINITY;

  constructor(ports: RefresherPorts) {
    this.#ports = ports;
    const wake = () => this.wake();
    // After a confirmation or a rollback there is room again for what waited.
    const askAgain = (names: readonly string[] | null) => {
      ports.resolver.expire(names);
      this.wake();
    };
    const none = () => {};
    this.#unsubscribe = [
      ports.controller.onChange(wake),
      ports.discovered?.onChange(wake) ?? none,
      ports.names?.onChange(askAgain) ?? none,
    ];
    this.#schedule(STEP_MS);
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  /** Looks in a moment and not only at the next second. */
  wake(): void {
    if (this.#isWoken || this.#closed) return;
    this.#isWoken = true;
    if (!this.#isRunning) this.#scheduleWoken();
  }

  #scheduleWoken(): void {
    const sinceMs = bootMs(this.#ports.clock) - this.#refreshedAtMs;
    this.#schedule(Math.max(COALESCE_MS, SPACING_MS - sinceMs));
  }

  #schedule(delayMs: number): void {
    this.#cancel();
    if (!this.#closed) this.#cancel = this.#ports.clock.schedule(delayMs, () => void this.#step());
  }

  async #step(): Promise<void> {
    const { controller, clock } = this.#ports;
    this.#isRunning = true;
    this.#isWoken = false;
    try {
      await controller.catchUp();
      const why = this.#reason();
      if (why !== null && !this.#closed) {
        await controller.refresh(why);
        this.#refreshedAtMs = bootMs(clock);
      }
    } catch (error) {
      this.#ports.onProblem(error instanceof Error ? error.message : String(error));
      this.#blockedUntilMs = clock.wallMs() + RETRY_MS;
    }
    this.#isRunning = false;
    if (this.#isWoken) this.#scheduleWoken();
    else this.#schedule(STEP_MS);
  }

  /** Why the tables may be out of date; `null` = they are not. */
  #reason(): string | null {
    const { controller, contexts, resolver, discovered, clock } = this.#ports;
    const nowMs = clock.wallMs();
    const isBlocked = nowMs < this.#blockedUntilMs && this.#blockedUntilMs - nowMs <= RETRY_MS;
    const upkeep = contexts.upkeep(controller.enforced.number);
    if (!upkeep || controller.pending || isBlocked) return null;
    const { dependencies, circumstances } = upkeep;
    if (isOneOver(dependencies, circumstances, nowMs)) return "a policy has expired";
    if (discovered !== undefined && !sameDiscovered(discovered.current(), circumstances.discovered)) {
      return "what the cluster knows of hosts and services has changed";
    }
    resolver.watch(dependencies.domainNames);
    if (dependencies.domainNames.length === 0) return null;
    void this.#followNames();
    return sameAddresses(resolver.addresses(), circumstances.domainAddresses)
      ? null
      : "addresses of domain names have changed";
  }

  async #followNames(): Promise<void> {
    const { resolver } = this.#ports;
    if (await resolver.update()) this.wake();
  }
}

/** Whether a policy has expired since the tables were made, or is alive again because the clock was set back. */
function isOneOver({ expiriesUnixMs }: Dependencies, { atUnixMs }: Circumstances, nowMs: number): boolean {
  return expiriesUnixMs.some((expiry) => expiry <= nowMs !== expiry <= atUnixMs);
}

function sameAddresses(one: Circumstances["domainAddresses"], other: Circumstances["domainAddresses"]): boolean {
  return one === other || JSON.stringify([...one].sort()) === JSON.stringify([...other].sort());
}

/** A refresh that leaves the tables as they are makes them one object, so that they are compared once. */
function sameDiscovered(one: Circumstances["discovered"], other: Circumstances["discovered"]): boolean {
  const textOf = (discovered: Circumstances["discovered"]) =>
    JSON.stringify(discovered.map(({ labels, ...rest }) => ({ ...rest, labels: [...labels].sort() })));
  return one === other || (one.length === other.length && textOf(one) === textOf(other));
}
