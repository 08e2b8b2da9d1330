/**
 * A set in force on this host that is not kept yet. It ends in one of these ways, and the datapath falls back by itself
 * whatever becomes of this process:
 * a confirmed set is kept after a proof that the store can be reached over a connection opened under it;
 * a pending set is kept after such a proof that shows it confirmed; everything else returns to the generation before.
 */
import { type DesiredHead, DesiredHeadSchema, SetState } from "@wardline/api/wardline/v1/cluster";
import { Failure } from "@wardline/domain/errors";
import { bootMs } from "../../agent/clock.ts";
import type { Pending } from "../../generations/controllerTypes.ts";
import { waitFor } from "../leadership/waiting.ts";
import { decode } from "./records.ts";
import type { SyncTarget } from "./syncTarget.ts";
import type { ReconcilerPorts } from "./types.ts";

export interface Flight {
  readonly setNumber: bigint;
  readonly generation: number;
  readonly programDigest: string;
  readonly stateDigest: string;
  readonly deadlineBootMs: number;
  readonly target: SyncTarget;
}

export function flightOf({ generation, deadlineBootMs }: Pending, target: SyncTarget): Flight {
  const { number, programDigest, stateDigest } = generation;
  return { setNumber: target.setNumber, generation: number, programDigest, stateDigest, deadlineBootMs, target };
}

export const CLUSTER_ACTOR = "cluster";
/** Every connection of this process is older than the flip; the proof is one that is not. */
const CALLER = { actor: CLUSTER_ACTOR, connectionOrder: Number.MAX_SAFE_INTEGER };
const PROOF_TIMEOUT_MS = 3_000;
const PROOF_PAUSE_MS = 200;
/** The generation is left this long before its own deadline would, so that who left it is known. */
const MARGIN_MS = 500;

type Ports = Pick<
  ReconcilerPorts,
  "store" | "keys" | "controller" | "clock" | "freshProof" | "checkpoint" | "recordAutomatic"
>;

export class FlightControl {
  readonly #ports: Ports;

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  /** Throws `Failure`; then what was enforced did not change. */
  async begin(target: SyncTarget, confirmWithinMs: number): Promise<Flight> {
    const { controller, recordAutomatic, checkpoint } = this.#ports;
    const { setNumber, files, mode, author, reason } = target;
    const why = `set ${setNumber} of ${author}${reason === "" ? "" : `: ${reason}`}`;
    const { pending } = await controller.apply(
      { files, mode, expectedProgramDigest: null, baseGeneration: null, confirmWithinMs, reason: why.slice(0, 1_000) },
      CALLER,
      async () => recordAutomatic("cluster.apply", why.slice(0, 500)),
    );
    await checkpoint?.("applied");
    return flightOf(pending, target);
  }

  /** Tries until the deadline is near. False when the store cannot be reached, or does not know the set as confirmed. */
  async prove({ deadlineBootMs, setNumber }: Flight, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#ports;
    while (!signal.aborted) {
      const leftMs = deadlineBootMs - MARGIN_MS - bootMs(clock);
      if (leftMs <= 0) return false;
      const proof = await this.tryProof(Math.min(leftMs, PROOF_TIMEOUT_MS), signal);
      if (proof?.head && (proof.head.setNumber !== setNumber || proof.head.state === SetState.CONFIRMED)) return true;
      await waitFor(clock, PROOF_PAUSE_MS, signal);
    }
    return false;
  }

  async tryProof(timeoutMs: number, signal: AbortSignal): Promise<{ readonly head: DesiredHead | null } | null> {
    const { clock, freshProof } = this.#ports;
    const over = new AbortController();
    const cancel = clock.schedule(timeoutMs, () => over.abort());
    const either = AbortSignal.any([signal, over.signal]);
    try {
      const late = new Promise<null>((resolve) =>
        either.addEventListener("abort", () => resolve(null), { once: true }),
      );
      return await Promise.race([freshProof(either).then((head) => ({ head })), late]);
    } catch {
      return null;
    } finally {
      cancel();
      over.abort();
    }
  }

  /** Throws `Failure`. */
  async keep({ generation, programDigest }: Flight): Promise<void> {
    await this.#ports.checkpoint?.("proven");
    await this.#ports.controller.confirm(generation, programDigest, CALLER, async () => {});
    await this.#ports.checkpoint?.("kept");
  }

  /** Leaves it, unless somebody or the deadline was faster. */
  async leave({ generation }: Flight, why: string): Promise<void> {
    const { controller, recordAutomatic } = this.#ports;
    if (controller.pending?.generation.number !== generation) return;
    try {
      await controller.rollback(generation, async () => recordAutomatic("cluster.rollback", why));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
    }
  }

  /** What became of a pending set when the head has moved on. */
  async outcome(setNumber: bigint, head: DesiredHead | null): Promise<SetState> {
    const { store, keys } = this.#ports;
    if (head?.setNumber === setNumber) return head.state;
    const { item } = await store.get(keys.set(setNumber));
    return item ? decode(DesiredHeadSchema, item.key, item.value).state : SetState.UNSPECIFIED;
  }
}
