/** A roll-out that this process drives: its course in memory, and on disk before anything follows from it. */
import { create } from "@bufbuild/protobuf";
import { type RolloutReceipt, RolloutReceiptSchema } from "@wardline/api/wardline/console/v1/rollout";
import { Failure } from "@wardline/domain/errors";
import {
  type HostProgress,
  hasEnded,
  type RolloutEvent,
  type RolloutProgress,
  reduceRollout,
} from "@wardline/domain/fleet";
import { ChangeSignal } from "../../async/signal.ts";
import type { Clock, Logger } from "../../ports.ts";
import type {
  RolloutHostFacts,
  RolloutSpecification,
  RolloutsTable,
  StoredRollout,
} from "../../store/rollouts-table.ts";

export interface LiveRolloutPorts {
  readonly table: RolloutsTable;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called after each step that was written (tests stop here as if the process had been killed). */
  readonly checkpoint?: (event: RolloutEvent) => void;
}

export type FactChange = Partial<Omit<RolloutHostFacts, "name" | "receipt">> & {
  readonly receipt?: Partial<Omit<RolloutReceipt, "$typeName">>;
};

export class LiveRollout {
  readonly changes = new ChangeSignal();
  readonly #ports: LiveRolloutPorts;
  #stored: StoredRollout;
  #isFrozen = false;

  constructor(stored: StoredRollout, ports: LiveRolloutPorts) {
    this.#stored = stored;
    this.#ports = ports;
  }

  get stored(): StoredRollout {
    return this.#stored;
  }

  /** True when somebody else brings it on from here, or nobody: nothing is done or written any more. */
  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  freeze(): void {
    this.#isFrozen = true;
  }

  get specification(): RolloutSpecification {
    return this.#stored.specification;
  }

  host(id: string): HostProgress & RolloutHostFacts {
    const progress = this.#stored.progress.hosts.find((host) => host.id === id);
    if (!progress) throw new Error(`${id} is not a host of this roll-out`);
    return { ...this.#factsOf(id), ...progress };
  }

  /**
   * What has happened, with what is known of the host since. Throws an Error when it cannot have happened; a disk that is
   * full is only logged, as the host has changed already, unless `mustBeWritten`.
   * @throws Failure of the store, with `mustBeWritten`: then it has not happened
   */
  dispatch(
    event: RolloutEvent,
    change: FactChange = {},
    options: { readonly explanation?: string; readonly mustBeWritten?: boolean } = {},
  ): void {
    if (this.#isFrozen) return;
    const before = this.#stored;
    const progress = reduceRollout(before.progress, event);
    const facts = new Map(before.facts);
    if ("hostId" in event) facts.set(event.hostId, changed(this.#factsOf(event.hostId), change));
    const isOver = hasEnded(progress) && before.endedAtMs === null;
    this.#stored = {
      ...before,
      progress,
      facts,
      explanation: options.explanation ?? this.#explain(event, progress, facts),
      endedAtMs: isOver ? this.#ports.clock.nowMs() : hasEnded(progress) ? before.endedAtMs : null,
    };
    const touched = progress.hosts.filter((host, at) => host !== before.progress.hosts[at]).map(({ id }) => id);
    if ("hostId" in event) touched.push(event.hostId);
    try {
      this.#ports.table.update(this.#stored, new Set(touched));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (options.mustBeWritten) {
        this.#stored = before;
        throw error;
      }
      this.#ports.logger.error({ rollout: this.specification.id, problem: error.message }, "roll-out not written");
    }
    this.changes.notify();
    this.#ports.checkpoint?.(event);
  }

  /** What was counted meanwhile: shown at once, and on disk with the next step. */
  learn(hostId: string, change: FactChange): void {
    if (this.#isFrozen) return;
    const facts = new Map(this.#stored.facts);
    facts.set(hostId, changed(this.#factsOf(hostId), change));
    this.#stored = { ...this.#stored, facts };
    this.changes.notify();
  }

  /** Why it halted is why its first host did. */
  #explain(event: RolloutEvent, progress: RolloutProgress, facts: ReadonlyMap<string, RolloutHostFacts>): string {
    const { explanation, progress: before } = this.#stored;
    if (before.phase === progress.phase || progress.phase !== "halted" || !("hostId" in event)) return explanation;
    const known = facts.get(event.hostId);
    const why = known?.error?.message ?? "it returned to what it enforced before";
    return `${known?.name ?? event.hostId}: ${why}`;
  }

  #factsOf(id: string): RolloutHostFacts {
    const facts = this.#stored.facts.get(id);
    if (!facts) throw new Error(`${id} is not a host of this roll-out`);
    return facts;
  }
}

function changed(facts: RolloutHostFacts, { receipt, ...rest }: FactChange): RolloutHostFacts {
  const next = receipt ? create(RolloutReceiptSchema, { ...facts.receipt, ...receipt }) : facts.receipt;
  return { ...facts, ...rest, receipt: next };
}
