/** States of policies in a thread: read once, kept while they are compared. */
import {
  createPolicyReader,
  type PolicyWorld,
  type ReadResult,
  withoutExpired,
  withQuarantines,
} from "@wardline/domain/policy";
import type { LoadAnswer, LoadRequest, WorldFrame, WorldReference } from "./verdict-protocol.ts";

/** As many as are compared at a time, and some that were. */
const KEPT_STATES = 12;

export class ThreadStates {
  /** Most of a state is what another one says. */
  readonly #reader = createPolicyReader();
  /** Least recently used first. */
  readonly #readings = new Map<string, ReadResult>();

  load({ stateDigest, files }: LoadRequest): LoadAnswer {
    let reading = this.#readings.get(stateDigest);
    if (!reading) {
      if (files === null) return { kind: "missing" };
      reading = this.#reader.read(files, { errorsOnly: true });
    }
    this.#readings.delete(stateDigest);
    this.#readings.set(stateDigest, reading);
    for (const old of [...this.#readings.keys()].slice(0, Math.max(0, this.#readings.size - KEPT_STATES))) {
      this.#readings.delete(old);
    }
    if (!reading.ok) return { kind: "unreadable" };
    return { kind: "loaded", hasObservedPolicies: reading.world.policies.some(({ mode }) => mode === "observe") };
  }

  /** As the hosts enforce it, quarantines included. The state has been loaded. */
  world({ stateDigest, variant }: WorldReference, { nowMs, quarantines }: WorldFrame): PolicyWorld {
    const reading = this.#readings.get(stateDigest);
    if (!reading?.ok) throw new Error("a state is loaded before it is used");
    const plain = withoutExpired(reading.world, nowMs);
    const mode = variant === "observed" ? "observe" : "enforce";
    const policies =
      variant === "plain" ? plain.policies : plain.policies.map((policy) => ({ ...policy, mode }) as const);
    return quarantines.reduce<PolicyWorld>((held, { hostName, scopes }) => withQuarantines(held, hostName, scopes), {
      ...plain,
      policies,
    });
  }
}
