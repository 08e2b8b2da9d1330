/** Carries out orders on this host: serial per target, at most once per id also across a kill, audited. */
import { join } from "node:path";
import { HealingAction, HealingOutcome } from "@wardline/api/wardline/v1/mesh";
import { Failure } from "@wardline/domain/errors";
import { actionPhrase, TIMES } from "@wardline/domain/mesh/healing";
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import type { AuditTrail } from "../../audit/audited.ts";
import { Mutex } from "../../generations/mutex.ts";
import type { HealingExecutor, HealingOrder, HealingReceipt, MeshProviderAdapter } from "../ports.ts";
import { HealingActs, outcomeOfError } from "./healingActs.ts";
import { OrderJournal } from "./orderJournal.ts";

export interface MeshExecutorPorts {
  readonly stateDir: string;
  readonly hostName: string;
  readonly clock: Clock;
  readonly log: Pick<Logger, "warn">;
  readonly trail: Pick<AuditTrail, "around" | "refused">;
  readonly adapters: readonly MeshProviderAdapter[];
  /** The leader steps down; absent = this host cannot lead. */
  readonly stepDown?: (signal: AbortSignal) => Promise<void>;
  /** For tests that end the process there. */
  readonly checkpoint?: (step: "intended" | "acted") => void | Promise<void>;
}

const ACT_TIMEOUT_MS = 20_000;
const ORDER_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\/\d{1,9}$/;

const AUDIT_ACTIONS: Readonly<Partial<Record<HealingAction, string>>> = {
  [HealingAction.RESTART_DAEMON]: "mesh.heal.restart-daemon",
  [HealingAction.REPEER]: "mesh.heal.repeer",
  [HealingAction.ADD_PEER]: "mesh.heal.add-peer",
  [HealingAction.REMOVE_PEER]: "mesh.heal.remove-peer",
  [HealingAction.SWITCH_GATEWAY]: "mesh.heal.switch-gateway",
  [HealingAction.REELECT]: "mesh.heal.reelect",
};

interface Verdict {
  readonly outcome: HealingOutcome;
  readonly sentence: string;
  readonly evidence?: readonly string[];
}

export class MeshExecutor implements HealingExecutor {
  readonly #ports: MeshExecutorPorts;
  readonly #journal: OrderJournal;
  readonly #acts: HealingActs;
  readonly #openedAtMs: number;
  readonly #targets = new Map<string, { readonly mutex: Mutex; users: number }>();
  readonly #running = new Map<string, Promise<HealingReceipt>>();

  private constructor(ports: MeshExecutorPorts, journal: OrderJournal) {
    this.#ports = ports;
    this.#journal = journal;
    this.#openedAtMs = ports.clock.wallMs();
    this.#acts = new HealingActs({ ...ports, hasAdded: (uri) => journal.hasAdded(uri) });
  }

  /** Reads which orders were begun before. Throws where the state directory cannot be used. */
  static async open(ports: MeshExecutorPorts): Promise<MeshExecutor> {
    return new MeshExecutor(ports, await OrderJournal.open(join(ports.stateDir, "mesh")));
  }

  /** What is wrong, a sentence; empty = all is well. */
  get problem(): string {
    return this.#journal.problem;
  }

  /** Receipts for orders that were begun before this start and did not end. */
  interrupted(): readonly HealingReceipt[] {
    return this.#journal.unfinished.map(({ id }) => this.#receipt(id, INTERRUPTED));
  }

  execute(order: HealingOrder, signal: AbortSignal): Promise<HealingReceipt> {
    const running = this.#running.get(order.id);
    if (running) return running;
    const carriedOut = this.#serially(order, signal)
      .catch((error: unknown) => {
        this.#ports.log.warn({ err: error, order: order.id }, "a healing order ended with a bug");
        return this.#receipt(order.id, { outcome: HealingOutcome.FAILED, sentence: "The agent failed at it." });
      })
      .finally(() => this.#running.delete(order.id));
    this.#running.set(order.id, carriedOut);
    return carriedOut;
  }

  async #serially(order: HealingOrder, signal: AbortSignal): Promise<HealingReceipt> {
    const slot = this.#targets.get(order.target) ?? { mutex: new Mutex(), users: 0 };
    this.#targets.set(order.target, slot);
    slot.users += 1;
    try {
      return this.#receipt(order.id, await slot.mutex.run(() => this.#carryOut(order, signal)));
    } finally {
      slot.users -= 1;
      if (slot.users === 0) this.#targets.delete(order.target);
    }
  }

  async #carryOut(order: HealingOrder, signal: AbortSignal): Promise<Verdict> {
    const known = this.#journal.entry(order.id);
    if (known) {
      const isOpen = known.outcome === HealingOutcome.UNSPECIFIED;
      return isOpen ? INTERRUPTED : { outcome: known.outcome, sentence: known.sentence };
    }
    const refusal = this.#refusal(order, signal);
    if (refusal !== null) {
      const subject = this.#subject(order);
      await this.#ports.trail.refused(subject, `${order.id}: ${refusal}`);
      return { outcome: HealingOutcome.SKIPPED, sentence: refusal };
    }
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(ACT_TIMEOUT_MS)]);
    if (order.dryRun) return this.#acts.rehearse(order, deadline);
    return this.#act(order, deadline);
  }

  /** Why it is not carried out; `null` = nothing is in the way. */
  #refusal(order: HealingOrder, signal: AbortSignal): string | null {
    const { id, term, expiresAtMs, action } = order;
    if (signal.aborted) return "The order was called back.";
    if (!ORDER_ID.test(id) || AUDIT_ACTIONS[action] === undefined) return "It is no order that this agent knows.";
    if (term < this.#journal.term) return `It is of term ${term}, and term ${this.#journal.term} was seen already.`;
    const nowMs = this.#ports.clock.wallMs();
    if (nowMs >= expiresAtMs) return "It came too late: its time is over.";
    if (this.#journal.problem !== "" && expiresAtMs <= this.#openedAtMs + TIMES.orderValidMs) {
      return "Which orders were carried out before is not known, and this may be one of them.";
    }
    return null;
  }

  async #act(order: HealingOrder, signal: AbortSignal): Promise<Verdict> {
    const { clock, trail, checkpoint } = this.#ports;
    try {
      await this.#journal.begin(order, clock.wallMs());
    } catch (error) {
      const reason = error instanceof Failure ? error.message : String(error);
      return { outcome: HealingOutcome.FAILED, sentence: `Nothing was done: ${reason}` };
    }
    await checkpoint?.("intended");
    const verdict = await this.#audited(order, signal, trail);
    await checkpoint?.("acted");
    await this.#journal.end(this.#receipt(order.id, verdict));
    return verdict;
  }

  async #audited(order: HealingOrder, signal: AbortSignal, trail: MeshExecutorPorts["trail"]): Promise<Verdict> {
    const { hostName } = this.#ports;
    const detail = `${order.id}: ${actionPhrase({ ...order, host: hostName })}, for ${order.target}`;
    try {
      return await trail.around(this.#subject(order), detail, async (accept) => {
        await accept();
        const verdict = await this.#acts.act(order, signal);
        // The audit log takes anything but a success for a failure; so do we.
        if (verdict.outcome !== HealingOutcome.DONE) throw new NotDone(verdict);
        return verdict;
      });
    } catch (error) {
      return error instanceof NotDone ? error.verdict : outcomeOfError(error);
    }
  }

  #subject({ action, approvedBy }: HealingOrder) {
    const name = AUDIT_ACTIONS[action] ?? "mesh.heal";
    const actor = `healing, decided by ${approvedBy.slice(0, 200)}`;
    return { actor, role: "none", action: name, argumentDigest: "" } as const;
  }

  #receipt(orderId: string, { outcome, sentence, evidence = [] }: Verdict): HealingReceipt {
    return { orderId, outcome, sentence, evidence, atMs: this.#ports.clock.wallMs() };
  }
}

const INTERRUPTED: Verdict = {
  outcome: HealingOutcome.INTERRUPTED,
  sentence: "The agent ended in the middle of it: what became of it is not known.",
};

class NotDone extends Error {
  readonly verdict: Verdict;

  constructor(verdict: Verdict) {
    super(verdict.sentence);
    this.verdict = verdict;
  }
}
