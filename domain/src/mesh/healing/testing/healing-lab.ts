/** The loop over a simulated mesh, a step a second, held to what it must never do while it runs. */
import { HealingLoop } from "../loop.ts";
import {
  type HealingChange,
  HealingMode,
  type HealingSettings,
  HealingState,
  type KeptRun,
  MeshFault,
  type PlannedOrder,
  USUAL_HEALING_SETTINGS,
} from "../model.ts";
import { TIMES } from "../thresholds.ts";
import type { SimulatedMesh } from "./mesh-world.ts";

export const STEP_MS = 500;
export const START_MS = 1_700_000_000_000;

interface Sent {
  readonly order: PlannedOrder;
  readonly atMs: number;
  endedAtMs: number | null;
}

export interface LabOptions {
  readonly settings?: Partial<HealingSettings>;
  readonly coordinator?: string;
  /** How long a host takes for an order. */
  readonly actMs?: number;
}

export class HealingLab {
  readonly mesh: SimulatedMesh;
  readonly sent: Sent[] = [];
  /** Newest state of each run, also of those that are not kept any more. */
  readonly runs = new Map<string, KeptRun>();
  nowMs = START_MS;
  loop: HealingLoop;
  readonly #actMs: number;
  readonly #violations: string[] = [];
  readonly #approved = new Set<string>();
  #due: { readonly atMs: number; readonly run: () => void }[] = [];
  #term = 1n;
  coordinator: string;

  constructor(mesh: SimulatedMesh, { settings, coordinator, actMs = 1_000 }: LabOptions = {}) {
    this.mesh = mesh;
    this.#actMs = actMs;
    this.coordinator = coordinator ?? [...mesh.hosts.keys()][0]!;
    const saved = {
      settings: { ...USUAL_HEALING_SETTINGS, mode: HealingMode.ACT, ...settings },
      runs: [],
      knowledge: [],
    };
    this.loop = this.#load(saved);
  }

  #load(saved: ConstructorParameters<typeof HealingLoop>[0]["saved"]): HealingLoop {
    const scope = { kind: "cluster" } as const;
    return new HealingLoop({ scope, coordinator: this.coordinator, term: this.#term, ...(saved ? { saved } : {}) });
  }

  /** Another leader goes on from what lies in the store. */
  newLeader(name: string): void {
    const text = JSON.stringify(this.loop.save());
    const { settings, runs, knowledge } = JSON.parse(text);
    this.#term += 1n;
    this.coordinator = name;
    this.loop = this.#load({ settings, runs, knowledge });
  }

  /** Lets time pass. */
  run(ms: number, stepMs = STEP_MS): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs += stepMs;
      const due = this.#due.filter(({ atMs }) => atMs <= this.nowMs);
      this.#due = this.#due.filter((each) => !due.includes(each));
      for (const each of due) each.run();
      this.take(this.loop.observe(this.mesh.world(this.nowMs), this.nowMs));
    }
  }

  later(ms: number, run: () => void): void {
    this.#due.push({ atMs: this.nowMs + ms, run });
  }

  approve(runId: string, candidate?: number): void {
    this.#approved.add(runId);
    const input = {
      runId,
      decision: "approve",
      by: "alice",
      reason: "",
      ...(candidate === undefined ? {} : { candidate }),
    } as const;
    this.take(this.loop.decide(input, this.nowMs));
  }

  take(change: HealingChange): void {
    for (const run of change.runs) this.#judge(run);
    for (const order of change.orders) this.#send(order);
  }

  /** Of the newest states: faults that began, without repetition. */
  all(): KeptRun[] {
    return [...this.runs.values()];
  }

  open(): KeptRun[] {
    return this.all().filter(({ endedAtMs }) => endedAtMs === null);
  }

  /** Sent for real, without rollbacks. */
  actions(): PlannedOrder[] {
    return this.sent.filter(({ order }) => isAction(this.runs.get(order.runId), order)).map(({ order }) => order);
  }

  violations(): readonly string[] {
    return this.#violations;
  }

  #violate(what: string): void {
    this.#violations.push(`${(this.nowMs - START_MS) / 1000} s: ${what}`);
  }

  #send(order: PlannedOrder): void {
    const { mode, actionsPerHour, askBefore, cooldownMs } = this.loop.settings();
    const run = this.loop.run(order.runId)!;
    const sent: Sent = { order, atMs: this.nowMs, endedAtMs: null };
    const rival = this.sent.find((each) => each.order.target === order.target && each.endedAtMs === null);
    if (rival) this.#violate(`${order.id} while ${rival.order.id} is under way for ${order.target}`);
    if (this.sent.some((each) => each.order.id === order.id)) this.#violate(`${order.id} was sent twice`);
    const needsPerson = mode !== HealingMode.ACT || askBefore.includes(order.action);
    const isLoops = isAction(run, order) && order.approvedBy === "the loop";
    const last = this.sent.findLast(
      (each) => each.order.target === order.target && isAction(this.runs.get(each.order.runId), each.order),
    );
    if (isLoops && last && this.nowMs - last.atMs < cooldownMs)
      this.#violate(`${order.id} too soon after ${last.order.id} for ${order.target}`);
    if (needsPerson && isLoops) this.#violate(`${order.id} without approval`);
    if (!order.dryRun && mode === HealingMode.OBSERVE) this.#violate(`${order.id} in observe`);
    if (isAction(run, order) && run.fault === MeshFault.LINK_FLAPPING) this.#violate(`${order.id} for a flapping link`);
    this.sent.push(sent);
    const lastHour = this.sent.filter(
      (each) => isAction(this.runs.get(each.order.runId), each.order) && this.nowMs - each.atMs < TIMES.hourMs,
    );
    if (lastHour.length > actionsPerHour) this.#violate(`${lastHour.length} actions in an hour`);
    this.#carryOut(sent);
  }

  #carryOut(sent: Sent): void {
    const { order } = sent;
    this.later(this.#actMs, () => {
      const receipt = this.nowMs < order.expiresAtMs ? this.mesh.carryOut(order, this.nowMs) : null;
      if (receipt === null) {
        this.later(order.expiresAtMs - this.nowMs, () => {
          sent.endedAtMs = this.nowMs;
        });
        return;
      }
      sent.endedAtMs = this.nowMs;
      this.take(this.loop.receipt(receipt, this.nowMs));
    });
  }

  #judge(run: KeptRun): void {
    const before = this.runs.get(run.id);
    this.runs.set(run.id, run);
    const twin = this.open().find((each) => each.id !== run.id && each.target === run.target);
    if (twin && run.endedAtMs === null) this.#violate(`${run.id} and ${twin.id} are both open for ${run.target}`);
    if (before && before.endedAtMs !== null && run.state !== before.state)
      this.#violate(`${run.id} changed after its end`);
    if (run.state !== HealingState.HEALED || before?.state === HealingState.HEALED) return;
    const { clearSinceMs } = run.work;
    const { holdMs } = this.loop.settings();
    if (clearSinceMs === null || this.nowMs - clearSinceMs < holdMs)
      this.#violate(`${run.id} healed before the hold time`);
    const order = run.work.orders.at(-1);
    if (!order || clearSinceMs === null || clearSinceMs < order.sentAtMs) this.#violate(`${run.id} healed by nothing`);
    if (run.timeToRepairMs !== this.nowMs - run.firstSymptomAtMs) this.#violate(`${run.id} has another time to repair`);
  }
}

function isAction(run: KeptRun | undefined, order: PlannedOrder): boolean {
  const kept = run?.work.orders.find(({ id }) => id === order.id);
  return !order.dryRun && !(kept?.isRollback ?? false);
}
