/** Monitor, analyse, plan, execute, verify, knowledge: one state machine over what hosts see and what became of orders. */
import { ErrorCode, Failure } from "../../errors/index.ts";
import { analyse, type Diagnosis } from "./analyse.ts";
import { advance, type CycleContext } from "./cycle.ts";
import { approved, type HealingDecisionInput, stopped } from "./decisions.ts";
import { fleetOf } from "./fleet.ts";
import { matchIncidents } from "./incidents.ts";
import { learn, type VerifiedOutcome } from "./knowledge.ts";
import { emptyMemory, type MonitorMemory, seedMemory } from "./memory.ts";
import {
  type HealingChange,
  HealingPhase,
  type HealingScope,
  type HealingSettings,
  type HealingWorld,
  type KeptRun,
  type KnowledgeEntry,
  MAX_RUNS,
  type OrderReceipt,
  type PlannedOrder,
  USUAL_HEALING_SETTINGS,
} from "./model.ts";
import { lookForSymptoms } from "./monitor.ts";
import { isNeededForPace } from "./pace.ts";
import { receiptMissing, withReceipt } from "./receipts.ts";
import { isEnded, withStep } from "./run-edit.ts";
import type { SavedHealing } from "./saving.ts";
import { UNSETTLED_MS } from "./thresholds.ts";
import { bypasses, type Look } from "./verify.ts";

export type { HealingDecisionInput };

export interface HealingLoopOptions {
  readonly scope: HealingScope;
  /** Who decides: the name of this host. */
  readonly coordinator: string;
  /** Of the coordinator's leadership; 0 outside of a cluster. */
  readonly term: bigint;
  /** From `save()`, or put together from what was kept; absent = from nothing. */
  readonly saved?: SavedHealing;
}

export class HealingLoop {
  readonly #scope: HealingScope;
  readonly #coordinator: string;
  readonly #term: bigint;
  readonly #memory: MonitorMemory;
  readonly #isMemorySaved: boolean;
  #settings: HealingSettings;
  /** In the order in which they began. */
  #runs: readonly KeptRun[];
  #knowledge: readonly KnowledgeEntry[];
  #world: HealingWorld | null = null;
  #isResumed: boolean;
  /** Of ids of runs. */
  #counter = 0;
  /** As they were when the last change was told. */
  #told: ReadonlyMap<string, KeptRun>;

  constructor({ scope, coordinator, term, saved }: HealingLoopOptions) {
    this.#scope = scope;
    this.#coordinator = coordinator;
    this.#term = term;
    this.#settings = saved?.settings ?? USUAL_HEALING_SETTINGS;
    this.#runs = [...(saved?.runs ?? [])].sort((a, b) => a.detectedAtMs - b.detectedAtMs || (a.id < b.id ? -1 : 1));
    this.#knowledge = saved?.knowledge ?? [];
    this.#memory = saved?.memory ? structuredClone(saved.memory) : emptyMemory();
    this.#isMemorySaved = saved?.memory !== undefined;
    this.#isResumed = this.#runs.length === 0;
    this.#told = new Map(this.#runs.map((run) => [run.id, run]));
  }

  /** What is known now replaces what was known. Call it on each change, and at least every second (or `tick`). */
  observe(world: HealingWorld, atMs: number): HealingChange {
    this.#world = world;
    return this.#step(atMs);
  }

  /** Lets time pass: once a second. */
  tick(nowMs: number): HealingChange {
    return this.#world === null ? this.#change([], false, false) : this.#step(nowMs);
  }

  /** Something is wrong since so short a time that it is not called a fault yet: time is to pass in small steps now. */
  isUnsettled(nowMs: number): boolean {
    return Object.values(this.#memory.since).some((sinceMs) => nowMs - sinceMs < UNSETTLED_MS);
  }

  /** What became of an order; of orders that are not known, or were answered already, nothing is taken. */
  receipt(receipt: OrderReceipt, atMs: number): HealingChange {
    let learned: VerifiedOutcome | null = null;
    this.#runs = this.#runs.map((run) => {
      const answered = receipt.orderId.startsWith(`${run.id}/`) ? withReceipt(run, receipt, atMs) : null;
      learned = answered?.learned ?? learned;
      return answered?.run ?? run;
    });
    return this.#change([], this.#learn(learned), false);
  }

  /** Changes nothing. @throws Failure NOT_FOUND, INVALID_ARGUMENT, NOTHING_PENDING as `decide` would */
  checkDecision(decision: HealingDecisionInput): void {
    this.#decided(decision, 0);
  }

  /** @throws Failure NOT_FOUND, INVALID_ARGUMENT, NOTHING_PENDING */
  decide(decision: HealingDecisionInput, atMs: number): HealingChange {
    const next = this.#decided(decision, atMs);
    this.#runs = this.#runs.map((each) => (each.id === next.id ? next : each));
    return this.tick(atMs);
  }

  #decided(decision: HealingDecisionInput, atMs: number): KeptRun {
    const run = this.run(decision.runId);
    if (!run) {
      throw new Failure({ code: ErrorCode.NOT_FOUND, message: "There is no healing run with this id any more." });
    }
    if (decision.decision === "stop") return stopped(run, decision, atMs);
    return approved(run, decision, this.#settings.mode, atMs);
  }

  /** `settings` come from `checkHealingSettings`. */
  configure(settings: HealingSettings, atMs: number): HealingChange {
    const { mode } = settings;
    this.#settings = settings;
    this.#runs = this.#runs.map((run) => (isEnded(run) || run.mode === mode ? run : { ...run, mode }));
    const change = this.tick(atMs);
    return { ...change, isSettingsChanged: true };
  }

  /** Forgets what worked. */
  resetKnowledge(): HealingChange {
    this.#knowledge = [];
    return this.#change([], true, false);
  }

  /** Newest first. */
  runs(): readonly KeptRun[] {
    return [...this.#runs].reverse();
  }

  run(id: string): KeptRun | null {
    return this.#runs.find((run) => run.id === id) ?? null;
  }

  settings(): HealingSettings {
    return this.#settings;
  }

  knowledge(): readonly KnowledgeEntry[] {
    return this.#knowledge;
  }

  /** Plain data. Without `memory` a new loop goes on as well; it only has to see again what was up before. */
  save(): SavedHealing {
    const { settings, runs, knowledge, memory } = { ...this.#parts(), memory: structuredClone(this.#memory) };
    return { settings, runs, knowledge, memory };
  }

  #parts() {
    return { settings: this.#settings, runs: this.#runs, knowledge: this.#knowledge };
  }

  #step(nowMs: number): HealingChange {
    const world = this.#world!;
    if (!this.#isResumed) this.#resume(nowMs);
    const look = this.#look(world, nowMs);
    const origin = (found: Diagnosis) => ({
      ...{ id: this.#newId(nowMs, found), mode: this.#settings.mode, term: this.#term },
      ...{ coordinator: this.#coordinator, nowMs },
    });
    this.#runs = matchIncidents({ runs: this.#runs, diagnoses: [...look.diagnoses.values()], origin, nowMs });
    const orders: PlannedOrder[] = [];
    let isKnowledgeChanged = false;
    for (const { id } of this.#runs) {
      const run = this.run(id)!;
      if (isEnded(run) && !run.work.isMuted) continue;
      const advanced = advance(run, this.#context(look, nowMs));
      if (advanced.run !== run) this.#runs = this.#runs.map((each) => (each.id === id ? advanced.run : each));
      if (advanced.order) orders.push(advanced.order);
      isKnowledgeChanged = this.#learn(advanced.learned) || isKnowledgeChanged;
    }
    this.#runs = retained(this.#runs, nowMs);
    return this.#change(orders, isKnowledgeChanged, false);
  }

  /** Another one decided before, or this process ended: what was under way then is looked at, never sent again. */
  #resume(nowMs: number): void {
    this.#isResumed = true;
    if (!this.#isMemorySaved) seedMemory(this.#memory, this.#runs, nowMs);
    const term = this.#term.toString();
    this.#runs = this.#runs.map((run) => {
      if (isEnded(run)) return run;
      const rest = receiptMissing(run, nowMs);
      if (rest.term === term && rest.coordinator === this.#coordinator) return rest;
      const sentence = `${this.#coordinator} decides from now on and goes on with it.`;
      const taken = { ...rest, term, coordinator: this.#coordinator };
      return withStep(taken, { atMs: nowMs, phase: HealingPhase.ANALYSE, sentence });
    });
  }

  #look(world: HealingWorld, nowMs: number): Look {
    const options = { scope: this.#scope, coordinator: this.#coordinator };
    const fleet = fleetOf(world, options, this.#memory, nowMs);
    const symptoms = lookForSymptoms(fleet, this.#memory);
    const bypassed = bypasses(this.#runs, fleet);
    const present = symptoms.filter(({ key }) => !bypassed.symptoms.has(key));
    const standingRuns = this.#runs.filter((run) => !isEnded(run) || bypassed.runs.has(run.id));
    const found = analyse({ fleet, memory: this.#memory, symptoms: present, standingRuns });
    return {
      ...{ fleet, memory: this.#memory },
      diagnoses: new Map(found.map((each) => [each.target, each])),
      present: new Set(present.map(({ key }) => key)),
    };
  }

  #context(look: Look, nowMs: number): CycleContext {
    const obstacle = this.#world?.obstacle ?? "";
    return { look, ...this.#parts(), term: this.#term, obstacle, nowMs };
  }

  #learn(outcome: VerifiedOutcome | null): boolean {
    if (outcome === null) return false;
    this.#knowledge = learn(this.#knowledge, outcome);
    return true;
  }

  /** Unique as long as a term has one leader and a host one agent. */
  #newId(nowMs: number, { fault }: Diagnosis): string {
    const host = this.#coordinator.replace(/[^A-Za-z0-9.-]/g, "-").replace(/^[^A-Za-z0-9]+/, "");
    const base = `${(host || "host").slice(0, 63)}.${this.#term}.${Math.floor(nowMs).toString(36)}.${fault}`;
    this.#counter = (this.#counter + 1) % 1_000_000;
    return `${base}.${this.#counter.toString(36)}`;
  }

  #change(orders: readonly PlannedOrder[], isKnowledgeChanged: boolean, isSettingsChanged: boolean): HealingChange {
    const before = this.#told;
    this.#told = new Map(this.#runs.map((run) => [run.id, run]));
    const runs = this.#runs.filter((run) => before.get(run.id) !== run);
    const dropped = [...before.keys()].filter((id) => !this.#told.has(id));
    return { orders, runs, dropped, isKnowledgeChanged, isSettingsChanged };
  }
}

/** The oldest ended ones go; never those that are open, or whose actions still count. */
function retained(runs: readonly KeptRun[], nowMs: number): readonly KeptRun[] {
  let surplus = runs.length - MAX_RUNS;
  if (surplus <= 0) return runs;
  return runs.filter((run) => {
    const isNeeded = !isEnded(run) || run.work.isMuted || isNeededForPace(run, nowMs);
    return isNeeded || surplus-- <= 0;
  });
}
