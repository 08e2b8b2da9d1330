/** Labelled histories: the windows of one host, with or without an attack in them. */
import type { FlowRecord } from "../../flows/record.ts";
import { seededRandom } from "../support/random.ts";
import type { Attack, AttackFlow } from "./attacks.ts";
import { type HostKind, hostOfKind } from "./host-kinds.ts";
import { addFlow, HostTraffic, WINDOW_MS } from "./traffic.ts";

export interface LabelledWindow {
  readonly startMs: number;
  readonly records: readonly FlowRecord[];
  readonly isAttack: boolean;
}

/** A Monday, 00:00 UTC. */
export const SCENARIO_START_MS = Date.UTC(2026, 8, 7);

/** Normal traffic of a host, window by window, without end. */
export class ScenarioHost {
  readonly name: string;
  readonly address: string;
  readonly #traffic: HostTraffic;
  #atMs: number;

  constructor(kind: HostKind, seed: number, fromMs = SCENARIO_START_MS) {
    const random = seededRandom(seed * 7919 + kind.length);
    const { host, sources } = hostOfKind(kind, random);
    this.name = host.name;
    this.address = host.address;
    this.#atMs = fromMs;
    this.#traffic = new HostTraffic(host, sources, random, fromMs);
  }

  get nowMs(): number {
    return this.#atMs;
  }

  /** The next `durationMs`. */
  *windows(durationMs: number): Generator<LabelledWindow> {
    const endMs = this.#atMs + durationMs;
    for (; this.#atMs < endMs; this.#atMs += WINDOW_MS) {
      yield { startMs: this.#atMs, records: this.#traffic.window(this.#atMs), isAttack: false };
    }
  }

  /** The same windows with an attack on or from this host that begins at `startMs`. */
  *attacked(
    windows: Iterable<LabelledWindow>,
    attack: Attack,
    startMs: number,
    seed: number,
  ): Generator<LabelledWindow> {
    const flows = attack
      .flows(seededRandom(seed * 104_729 + attack.name.length), startMs)
      .sort((left, right) => left.atMs - right.atMs);
    let next = 0;
    let running: AttackFlow[] = [];
    for (const window of windows) {
      const endMs = window.startMs + WINDOW_MS;
      for (let flow = flows[next]; flow !== undefined && flow.atMs < endMs; flow = flows[++next]) running.push(flow);
      if (running.length === 0) {
        yield window;
        continue;
      }
      const records = new Map<string, FlowRecord>();
      for (const flow of running) this.#addAttack(records, flow, window.startMs);
      running = running.filter(({ atMs, connection }) => atMs + connection.durationMs > endMs);
      yield { startMs: window.startMs, records: [...window.records, ...records.values()], isAttack: true };
    }
  }

  #addAttack(records: Map<string, FlowRecord>, flow: AttackFlow, windowMs: number): void {
    const { connection, atMs } = flow;
    const fromMs = Math.max(atMs, windowMs);
    const untilMs = Math.min(atMs + connection.durationMs, windowMs + WINDOW_MS);
    addFlow(records, {
      host: { address: this.address, name: this.name },
      windowMs,
      atMs: fromMs,
      direction: flow.direction,
      protocol: 6,
      process: flow.process,
      connection,
      share: connection.durationMs === 0 ? 1 : Math.max(0, untilMs - fromMs) / connection.durationMs,
      isStart: atMs >= windowMs,
      isEnd: untilMs < windowMs + WINDOW_MS,
    });
  }
}
