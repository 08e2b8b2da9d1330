/** What one world says of recorded flows: both ends of each connection, as far as the inventory knows them. */
import type { DecisionContent } from "../decision.ts";
import { enforcedVerdict } from "../decision.ts";
import type { Direction, PolicyWorld } from "../model.ts";
import type { RemoteEnd } from "./address-book.ts";
import type { FlowAnswer } from "./classes.ts";
import { WorldJudge } from "./judge.ts";
import type { RecordedFlow } from "./recorded-flow.ts";

const NOBODY: readonly null[] = [null];

export class FlowJudge {
  readonly #judge: WorldJudge;

  /** Throws `POLICY_UNSUPPORTED` as `orderPolicies`. */
  constructor(world: PolicyWorld) {
    this.#judge = new WorldJudge(world);
  }

  /** The verdict is what would happen to the packet on hosts that enforce: an observed denial allows. */
  answer(flow: RecordedFlow): FlowAnswer {
    const source = this.#judge.remote(this.#sourceOf(flow));
    const destination = this.#judge.remote(flow.destinationAddress);
    if (source === null || destination === null || source.family !== destination.family) {
      return { verdict: null, reason: "mixed-families", fromKey: null, toKey: null };
    }
    const from = this.#candidates(flow, "egress", source);
    const to = this.#candidates(flow, "ingress", destination);
    const fromKey = from[0] ?? null;
    const toKey = to[0] ?? null;
    if (fromKey === null && toKey === null) return { verdict: null, reason: "ends-unknown", fromKey, toKey };
    const egress = this.#decideEnd(from, "egress", source, destination, flow);
    const ingress = this.#decideEnd(to, "ingress", destination, source, flow);
    if (egress !== null && isDenial(egress)) return denial(fromKey, toKey, "egress", egress);
    if (ingress !== null && isDenial(ingress)) return denial(fromKey, toKey, "ingress", ingress);
    if (egress === null || ingress === null) return { verdict: null, reason: "several-endpoints", fromKey, toKey };
    const isObserved = isObservedDenial(egress) || isObservedDenial(ingress);
    // The end that has a rule for it says more than the one that nobody restricts.
    const direction = egress.reason === "not-isolated" && toKey !== null ? "ingress" : "egress";
    const decision = direction === "egress" ? egress : ingress;
    return { verdict: "allow", fromKey, toKey, direction, decision, isObserved };
  }

  /**
   * A connection that was refused at connect() had no address of its own yet. The other end is asked about the one that the
   * subject would have used: its own, or its host's.
   */
  #sourceOf({ sourceAddress, direction, subjectKey, host }: RecordedFlow): string {
    if ((sourceAddress !== "0.0.0.0" && sourceAddress !== "::") || direction !== "egress") return sourceAddress;
    const isLong = sourceAddress === "::";
    for (const key of [subjectKey, `Host/${host}`]) {
      const addresses = this.#judge.addresses.endpoint(key)?.addresses ?? [];
      const own = addresses.find((text) => text.includes(":") === isLong);
      if (own !== undefined) return own;
    }
    return sourceAddress;
  }

  /**
   * Which endpoints may be meant: the one that the host recorded, or all that share the address. An endpoint that this
   * inventory lacks counts as its host's, where its processes belong without it.
   */
  #candidates(flow: RecordedFlow, direction: Direction, end: RemoteEnd): readonly (string | null)[] {
    const isRecorded = flow.direction === direction && flow.subjectKey !== "";
    if (isRecorded && (flow.subjectKey.startsWith("Host/") || this.#judge.addresses.endpoint(flow.subjectKey))) {
      return [flow.subjectKey];
    }
    if (end.ownerKeys.length > 0) return end.ownerKeys;
    return isRecorded && flow.host !== "" ? [`Host/${flow.host}`] : NOBODY;
  }

  /** `null` when the candidates would be treated differently. */
  #decideEnd(
    candidates: readonly (string | null)[],
    direction: Direction,
    own: RemoteEnd,
    remote: RemoteEnd,
    { protocol, port }: RecordedFlow,
  ): DecisionContent | null {
    let first: DecisionContent | null = null;
    for (const subjectKey of candidates) {
      const decision = this.#judge.decide({ subjectKey, direction, local: own.address, remote, protocol, port });
      first ??= decision;
      if (enforcedVerdict(decision) !== enforcedVerdict(first)) return null;
    }
    return first;
  }
}

function denial(
  fromKey: string | null,
  toKey: string | null,
  direction: Direction,
  decision: DecisionContent,
): FlowAnswer {
  return { verdict: "deny", fromKey, toKey, direction, decision, isObserved: false };
}

function isDenial(decision: DecisionContent): boolean {
  return enforcedVerdict(decision) !== "allow";
}

function isObservedDenial({ verdict, observeOnly }: DecisionContent): boolean {
  return observeOnly && verdict === "deny";
}
