/**
 * Detectors over recorded time, as they would have run: the code and the order of records are those of the hosts. Works in
 * short turns, so that whatever else this process does goes on. Pure but for the clock that measures the turns.
 */
import {
  type AnomalyEngine,
  type AnomalySettings,
  createAnomalyEngine,
  type DetectorKind,
  detectionSeedOf,
  type Finding,
  windowsOf,
} from "@wardline/domain/anomaly";
import type { FlowRecord } from "@wardline/domain/flows";

export interface BacktestWindow {
  /** Findings that are begun before do not count: it was for learning. */
  readonly sinceMs: number;
  readonly untilMs: number;
}

export interface BacktestOutcome {
  /** Oldest first; as each was in the end, without evidence and series. */
  readonly findings: readonly Finding[];
  readonly findingCount: number;
  readonly byDetector: ReadonlyMap<DetectorKind, number>;
  readonly findingIds: ReadonlySet<string>;
  readonly findingsPerHostDay: number;
}

export type HostRecord = FlowRecord & { readonly hostId: string };

const LISTED = 1_000;
const DAY_MS = 86_400_000;
/** How long this process may be busy without anything else getting its turn. */
const TURN_MS = 10;

interface HostLane {
  readonly engines: readonly AnomalyEngine[];
  /** Records of the newest window that was seen, which may not be whole. */
  pending: FlowRecord[];
  pendingEndMs: number;
}

interface Tally {
  readonly findings: Map<string, Finding>;
  readonly ids: Set<string>;
  readonly byDetector: Map<DetectorKind, number>;
}

export class BacktestRun {
  readonly #window: BacktestWindow;
  readonly #settings: readonly AnomalySettings[];
  readonly #lanes = new Map<string, HostLane>();
  readonly #tallies: readonly Tally[];
  readonly #nextTurn: () => Promise<void>;
  #turnBeganAt = performance.now();
  #records = 0;
  #reachedMs = 0;

  /** @param settings one, or two that are compared: they see the same records in one pass */
  constructor(window: BacktestWindow, settings: readonly AnomalySettings[], nextTurn: () => Promise<void>) {
    this.#window = window;
    this.#settings = settings;
    this.#nextTurn = nextTurn;
    this.#tallies = settings.map(() => ({ findings: new Map(), ids: new Set(), byDetector: new Map() }));
  }

  get records(): number {
    return this.#records;
  }

  /** Recorded time up to which everything was looked at; 0 = nothing yet. */
  get reachedMs(): number {
    return this.#reachedMs;
  }

  /** Oldest first. Ends early when the signal aborts. */
  async take(records: readonly HostRecord[], signal: AbortSignal): Promise<void> {
    for (const record of records) {
      if (signal.aborted) return;
      const lane = this.#laneOf(record);
      const endMs = record.windowStartMs + record.windowMs;
      if (endMs !== lane.pendingEndMs) await this.#close(lane);
      lane.pendingEndMs = endMs;
      lane.pending.push(record);
      this.#records += 1;
      this.#reachedMs = Math.max(this.#reachedMs, record.windowStartMs);
    }
    await this.#turn();
  }

  /** Everything that is left, and the end of recorded time. */
  async finish(): Promise<readonly BacktestOutcome[]> {
    for (const lane of this.#lanes.values()) {
      await this.#close(lane);
      for (const [index, engine] of lane.engines.entries()) this.#count(index, engine.advance(this.#window.untilMs));
      await this.#turn();
    }
    const days = Math.max(this.#window.untilMs - this.#window.sinceMs, 1) / DAY_MS;
    const hostDays = Math.max(1, this.#lanes.size) * days;
    return this.#tallies.map(({ findings, ids, byDetector }) => ({
      findings: [...findings.values()].sort(
        (left, right) => left.detectedAtMs - right.detectedAtMs || compare(left, right),
      ),
      findingCount: ids.size,
      byDetector,
      findingIds: ids,
      findingsPerHostDay: ids.size / hostDays,
    }));
  }

  #laneOf({ hostId, host }: HostRecord): HostLane {
    const known = this.#lanes.get(hostId);
    if (known) return known;
    const seed = detectionSeedOf(host);
    const engines = this.#settings.map((settings) => createAnomalyEngine({ host, seed, settings, model: null }));
    const lane: HostLane = { engines, pending: [], pendingEndMs: 0 };
    this.#lanes.set(hostId, lane);
    return lane;
  }

  async #close(lane: HostLane): Promise<void> {
    const { pending } = lane;
    lane.pending = [];
    for (const { endMs, records } of windowsOf(pending)) {
      for (const [index, engine] of lane.engines.entries()) {
        this.#count(index, engine.observe(records, endMs));
        await this.#turn();
      }
    }
  }

  /** Counts are of every finding; the list is of the oldest. */
  #count(index: number, findings: readonly Finding[]): void {
    const tally = this.#tallies[index];
    for (const finding of findings) {
      const { id, detector, detectedAtMs } = finding;
      if (!tally || detectedAtMs < this.#window.sinceMs || detectedAtMs > this.#window.untilMs) continue;
      if (!tally.ids.has(id)) {
        tally.ids.add(id);
        tally.byDetector.set(detector, (tally.byDetector.get(detector) ?? 0) + 1);
      }
      // Time passes for all hosts alike: what comes first is the oldest.
      if (tally.findings.has(id) || tally.findings.size < LISTED) {
        tally.findings.set(id, { ...finding, evidence: [], series: { ...finding.series, points: [] } });
      }
    }
  }

  async #turn(): Promise<void> {
    if (performance.now() - this.#turnBeganAt < TURN_MS) return;
    await this.#nextTurn();
    this.#turnBeganAt = performance.now();
  }
}

function compare(left: Finding, right: Finding): number {
  return left.id < right.id ? -1 : 1;
}
