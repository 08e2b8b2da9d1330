/**
 * Changes the authority's root in time, by itself: a next root is trusted long before it signs, and the old one until the last
 * certificate that it signed is over. A duty of the leader.
 */
import { RootState } from "@wardline/api/wardline/v1/identity";
import type { Logger } from "pino";
import type { Clock } from "../agent/clock.ts";
import { waitFor } from "../cluster/leadership/waiting.ts";
import type { HeldTerm, LeaderDuty } from "../cluster/ports.ts";
import type { Authority } from "./authority.ts";
import type { AuthorityStore } from "./authorityStore.ts";
import { RENEW_AFTER_EXPIRY_MS } from "./memberGate.ts";
import type { IdentityAudit } from "./ports.ts";

const DAY_MS = 86_400_000;
const LOOK_EVERY_MS = 3_600_000;
/** Of a root's life, the part that is left when the next one is made. */
const PREPARE_BELOW = 0.2;
/**
 * How long the next root is trusted before it signs. A host that was off for as long as it may be off has heard of it before
 * it went, or has to join again anyway.
 */
export const TRUSTED_BEFORE_SIGNING_MS = RENEW_AFTER_EXPIRY_MS + DAY_MS;

export type RootStep = "prepare" | "sign" | "retire" | null;

/** What is due now; `null` = nothing. */
export function dueRootStep(authority: Authority, nowMs: number): RootStep {
  const { roots } = authority;
  const next = roots.find(({ state }) => state === RootState.NEXT);
  if (next) return nowMs - next.sinceMs >= TRUSTED_BEFORE_SIGNING_MS ? "sign" : null;
  const signing = roots.find(({ state }) => state === RootState.SIGNING)?.certificate;
  if (!signing) return null;
  const lifeMs = signing.expiresAtMs - signing.startsAtMs;
  if (signing.expiresAtMs - nowMs < PREPARE_BELOW * lifeMs) return "prepare";
  return authority.withoutRetired(nowMs) === authority ? null : "retire";
}

export interface AuthorityUpkeepPorts {
  readonly authorities: AuthorityStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly audit: IdentityAudit;
}

const DONE: Readonly<Record<Exclude<RootStep, null>, string>> = {
  prepare: "a next root is trusted from now on",
  sign: "the next root signs from now on",
  retire: "a root whose last certificate is over is trusted no more",
};

export class AuthorityUpkeep implements LeaderDuty {
  readonly name = "authority";
  readonly #ports: AuthorityUpkeepPorts;

  constructor(ports: AuthorityUpkeepPorts) {
    this.#ports = ports;
  }

  async run({ signal, fence }: HeldTerm): Promise<void> {
    while (!signal.aborted) {
      await this.#look(fence);
      await waitFor(this.#ports.clock, LOOK_EVERY_MS, signal);
    }
  }

  async #look(fence: HeldTerm["fence"]): Promise<void> {
    const { authorities, clock, log, audit } = this.#ports;
    let done: RootStep = null;
    await authorities.update(
      (authority) => {
        const nowMs = clock.wallMs();
        done = dueRootStep(authority, nowMs);
        if (done === "prepare") return authority.withNextRoot(nowMs);
        if (done === "sign") return authority.withNextRootSigning(nowMs);
        return done === "retire" ? authority.withoutRetired(nowMs) : authority;
      },
      () => fence,
    );
    if (done === null) return;
    log.info({ step: done }, DONE[done]);
    audit({ action: "authority", subject: authorities.clusterName, detail: DONE[done] });
  }
}
