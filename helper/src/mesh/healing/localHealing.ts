/** Healing outside of a cluster: this host decides on what is its own, and does it. */

import { HealingDecision } from "@wardline/api/wardline/agent/v1/mesh";
import type { HealingKnowledge, HealingRun, HealingSettings } from "@wardline/api/wardline/v1/mesh";
import { HealingOutcome } from "@wardline/api/wardline/v1/mesh";
import { Failure } from "@wardline/domain/errors";
import { type HealingChange, HealingLoop, type PlannedOrder } from "@wardline/domain/mesh/healing";
import {
  fromWireHealingSettings,
  toWireHealingKnowledge,
  toWireHealingRun,
  toWireHealingSettings,
} from "@wardline/domain/wire";
import type { Logger } from "pino";
import { bootMs, type Clock } from "../../agent/clock.ts";
import type { Accept } from "../../generations/controllerTypes.ts";
import type {
  HealingAccess,
  HealingDecisionRequest,
  HealingExecutor,
  HealingReceipt,
  MeshAsker,
  MeshView,
} from "../ports.ts";
import { HealingFile } from "./healingFile.ts";

export interface LocalHealingPorts {
  readonly stateDir: string;
  readonly hostName: string;
  readonly clock: Clock;
  readonly log: Pick<Logger, "warn">;
  readonly view: MeshView;
  readonly executor: HealingExecutor & {
    readonly problem: string;
    interrupted(): readonly HealingReceipt[];
  };
}

const STEP_EVERY_MS = 1_000;
/** While something waits to be called a fault. */
const UNSETTLED_STEP_MS = 200;

export class LocalHealing implements HealingAccess {
  readonly #ports: LocalHealingPorts;
  readonly #file: HealingFile;
  readonly #listeners = new Set<(runIds: readonly string[]) => void>();
  readonly #started: { readonly wall: number; readonly boot: number };
  #loop: HealingLoop;
  #stop: (() => void) | null = null;
  #ending = new AbortController();
  #writeProblem = "";
  /** Steps and writes, one after the other. */
  #queue: Promise<void> = Promise.resolve();

  private constructor(ports: LocalHealingPorts, file: HealingFile, loop: HealingLoop) {
    this.#ports = ports;
    this.#file = file;
    this.#loop = loop;
    this.#started = { wall: ports.clock.wallMs(), boot: bootMs(ports.clock) };
  }

  /** Reads what was kept; a damaged file is moved aside, and `problem()` says so. Throws where the directory cannot be used. */
  static async open(ports: LocalHealingPorts): Promise<LocalHealing> {
    const { file, saved } = await HealingFile.open(ports.stateDir);
    const scope = { kind: "host", host: ports.hostName } as const;
    const loop = new HealingLoop({ scope, coordinator: ports.hostName, term: 0n, saved });
    return new LocalHealing(ports, file, loop);
  }

  /** Begins to decide: this host is in no cluster. Again after `pause`. */
  start(): void {
    if (this.#stop) return;
    this.#ending = new AbortController();
    const nowMs = this.#nowMs();
    for (const receipt of this.#ports.executor.interrupted()) this.#take(this.#loop.receipt(receipt, nowMs));
    const unsubscribe = this.#ports.view.onChange(() => this.#step());
    let cancel: () => void = () => {};
    const tick = () => {
      const isUnsettled = this.#loop.isUnsettled(this.#nowMs());
      cancel = this.#ports.clock.schedule(isUnsettled ? UNSETTLED_STEP_MS : STEP_EVERY_MS, tick);
      this.#step();
    };
    tick();
    this.#stop = () => {
      unsubscribe();
      cancel();
      this.#ending.abort();
    };
  }

  /** A cluster decides from now on. An order that is under way ends; what it did is looked at after the next `start`. */
  pause(): void {
    this.#stop?.();
    this.#stop = null;
  }

  /** Everything is on disk when it resolves. Never rejects. */
  async close(): Promise<void> {
    this.pause();
    await this.#queue;
    await this.#write();
  }

  runs(): readonly HealingRun[] {
    return this.#loop.runs().map(toWireHealingRun);
  }

  settings(): HealingSettings {
    return toWireHealingSettings(this.#loop.settings());
  }

  knowledge(): readonly HealingKnowledge[] {
    return this.#loop.knowledge().map(toWireHealingKnowledge);
  }

  coordinator(): string {
    return this.#stop ? this.#ports.hostName : "";
  }

  problem(): string {
    return this.#writeProblem || this.#file.problem || this.#ports.executor.problem;
  }

  async decide(request: HealingDecisionRequest, asker: MeshAsker, accept: Accept): Promise<HealingRun> {
    const { runId, reason, candidate } = request;
    const decision = request.decision === HealingDecision.APPROVE ? "approve" : "stop";
    const input = { runId, decision, candidate, reason, by: asker.actor } as const;
    this.#loop.checkDecision(input);
    await accept();
    this.#take(this.#loop.decide(input, this.#nowMs()));
    await this.settled();
    return toWireHealingRun(this.#loop.run(runId)!);
  }

  async configure(settings: HealingSettings, _asker: MeshAsker, accept: Accept): Promise<HealingSettings> {
    const wanted = fromWireHealingSettings(settings);
    await accept();
    await this.#file.write({ ...this.#loop.save(), settings: wanted });
    this.#take(this.#loop.configure(wanted, this.#nowMs()));
    await this.settled();
    return this.settings();
  }

  async resetKnowledge(_asker: MeshAsker, accept: Accept): Promise<void> {
    await accept();
    await this.#file.write({ ...this.#loop.save(), knowledge: [] });
    this.#take(this.#loop.resetKnowledge());
    await this.settled();
  }

  onChange(listener: (runIds: readonly string[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #step(): void {
    if (!this.#stop && this.#ending.signal.aborted) return;
    const { view, hostName } = this.#ports;
    const nowMs = this.#nowMs();
    const host = { host: hostName, observation: view.observation(), receivedAtMs: nowMs };
    // What cannot be written down is not done.
    this.#take(this.#loop.observe({ hosts: [host], obstacle: this.#writeProblem }, nowMs));
  }

  /** Written down first, carried out after that. */
  #take(change: HealingChange): void {
    const { runs, orders, isKnowledgeChanged, isSettingsChanged } = change;
    if (runs.length > 0) this.#tell(runs.map(({ id }) => id));
    if (isKnowledgeChanged || isSettingsChanged) this.#tell([]);
    const isNew = runs.length > 0 || change.dropped.length > 0 || isKnowledgeChanged || isSettingsChanged;
    // A problem of the disk is tried again with each step.
    if (!isNew && this.#writeProblem === "") return;
    this.#queue = this.#queue.then(async () => {
      await this.#write();
      for (const order of orders) void this.#carryOut(order);
    });
  }

  async #carryOut(order: PlannedOrder): Promise<void> {
    const { executor, clock } = this.#ports;
    const nowMs = this.#nowMs();
    if (this.#writeProblem !== "") {
      const refused = { orderId: order.id, outcome: HealingOutcome.SKIPPED, evidence: [], atMs: nowMs };
      this.#take(this.#loop.receipt({ ...refused, sentence: this.#writeProblem }, nowMs));
      return;
    }
    const expiresAtMs = clock.wallMs() + (order.expiresAtMs - nowMs);
    // Not cut off by a pause: half an act is worse than a whole one.
    const receipt = await executor.execute({ ...order, expiresAtMs }, new AbortController().signal);
    this.#take(this.#loop.receipt({ ...receipt, atMs: this.#nowMs() }, this.#nowMs()));
    this.#step();
  }

  async #write(): Promise<void> {
    const before = this.#writeProblem;
    try {
      await this.#file.write(this.#loop.save());
      this.#writeProblem = "";
    } catch (error) {
      this.#writeProblem = `Healing runs cannot be written down, so nothing is done: ${reasonOf(error)}`;
      if (before === "") this.#ports.log.warn({ err: error }, "healing runs could not be written");
    }
    if (before !== this.#writeProblem) this.#tell([]);
  }

  /** What was decided so far is on disk, or `problem()` says why not. */
  async settled(): Promise<void> {
    await this.#queue;
  }

  #tell(runIds: readonly string[]): void {
    for (const listener of this.#listeners) listener(runIds);
  }

  /** Wall time that a jump of the wall clock does not move. */
  #nowMs(): number {
    return this.#started.wall + bootMs(this.#ports.clock) - this.#started.boot;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Failure ? error.message : String(error);
}
