/**
 * Keeps what is enforced true while nobody applies anything: ends policies at their time, follows the addresses of domain
 * names. Looks once a second at the wall clock, so that a jump or a suspended machine costs a second and no more.
 */
import type { Clock } from "../agent/clock.ts";
import type { Circumstances, Dependencies } from "../agent/policyEngine.ts";
import type { NameResolver } from "../names/nameResolver.ts";
import type { GenerationContexts } from "./contexts.ts";
import type { GenerationController } from "./controller.ts";

export interface RefresherPorts {
  readonly controller: Pick<GenerationController, "enforced" | "pending" | "refresh" | "catchUp">;
  readonly contexts: GenerationContexts;
  readonly resolver: NameResolver;
  readonly clock: Clock;
  readonly onProblem: (problem: string) => void;
}

const STEP_MS = 1_000;
/** After a refresh that failed (a slot that cannot be filled), so that the log is not flooded. */
const RETRY_MS = 30_000;

export class Refresher {
  readonly #ports: RefresherPorts;
  #cancel: () => void = () => {};
  #closed = false;
  #blockedUntilMs = 0;

  constructor(ports: RefresherPorts) {
    this.#ports = ports;
    this.#schedule(STEP_MS);
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #schedule(delayMs: number): void {
    if (!this.#closed) this.#cancel = this.#ports.clock.schedule(delayMs, () => void this.#step());
  }

  async #step(): Promise<void> {
    try {
      await this.#ports.controller.catchUp();
      const why = await this.#reason();
      if (why !== null && !this.#closed) await this.#ports.controller.refresh(why);
    } catch (error) {
      this.#ports.onProblem(error instanceof Error ? error.message : String(error));
      this.#blockedUntilMs = this.#ports.clock.wallMs() + RETRY_MS;
    }
    this.#schedule(STEP_MS);
  }

  /** Why the tables may be out of date; `null` = they are not. */
  async #reason(): Promise<string | null> {
    const { controller, contexts, resolver, clock } = this.#ports;
    const nowMs = clock.wallMs();
    const isBlocked = nowMs < this.#blockedUntilMs && this.#blockedUntilMs - nowMs <= RETRY_MS;
    const context = contexts.get(controller.enforced.number);
    if (!context || controller.pending || isBlocked) return null;
    const { dependencies, circumstances } = context;
    if (isOneOver(dependencies, circumstances, nowMs)) return "a policy has expired";
    resolver.watch(dependencies.domainNames);
    if (dependencies.domainNames.length === 0) return null;
    await resolver.update();
    return sameAddresses(resolver.addresses(), circumstances.domainAddresses)
      ? null
      : "addresses of domain names have changed";
  }
}

/** Whether a policy has expired since the tables were made, or is alive again because the clock was set back. */
function isOneOver({ expiriesUnixMs }: Dependencies, { atUnixMs }: Circumstances, nowMs: number): boolean {
  return expiriesUnixMs.some((expiry) => expiry <= nowMs !== expiry <= atUnixMs);
}

function sameAddresses(one: Circumstances["domainAddresses"], other: Circumstances["domainAddresses"]): boolean {
  return JSON.stringify([...one].sort()) === JSON.stringify([...other].sort());
}
