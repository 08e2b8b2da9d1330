/** What detection on this host found, and how it stands. Values of labels are the closed lists of detectors and severities. */
import { Counter, Gauge, type Registry } from "@prometheus-io/client";
import { ModelState } from "@wardline/api/wardline/v1/anomaly";
import { DETECTORS, SEVERITIES } from "@wardline/domain/anomaly";
import type { AnomalyFigures } from "../anomaly/ports.ts";

const STATES = { untrained: ModelState.UNTRAINED, learning: ModelState.LEARNING, trained: ModelState.TRAINED } as const;

export class AnomalyMetrics {
  readonly #score: Gauge;
  readonly #kept: Gauge;
  readonly #problem: Gauge;
  readonly #learned: Gauge;
  readonly #state: Gauge<"state">;
  readonly #findings: Counter<"detector" | "severity">;
  readonly #windows: Counter;
  readonly #seconds: Counter;
  readonly #before = new Map<string, number>();

  constructor(registers: Registry[]) {
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
    this.#score = gauge(
      "wardline_anomaly_score",
      "Highest score of a finding that goes on and nobody called normal, 0 to 100.",
    );
    this.#kept = gauge("wardline_anomaly_findings_kept", "Findings that this host keeps.");
    this.#problem = gauge("wardline_anomaly_problem", "1 while something is wrong with detection.");
    this.#learned = gauge("wardline_anomaly_learned_windows", "Windows that the model has learned from.");
    this.#state = new Gauge({
      name: "wardline_anomaly_model_state",
      help: "1 for the state that the model is in.",
      labelNames: ["state"],
      registers,
    });
    this.#findings = new Counter({
      name: "wardline_anomaly_findings_total",
      help: "Findings that were begun, by detector and first severity.",
      labelNames: ["detector", "severity"],
      registers,
    });
    this.#windows = new Counter({
      name: "wardline_anomaly_windows_total",
      help: "Windows of flow records that the detectors looked at.",
      registers,
    });
    this.#seconds = new Counter({
      name: "wardline_anomaly_scoring_seconds_total",
      help: "Processor time of the detectors.",
      registers,
    });
  }

  /** `null` = detection is off, or not loaded yet: nothing is known of it. */
  sample(figures: AnomalyFigures | null): void {
    this.#state.reset();
    if (figures === null) {
      for (const gauge of [this.#score, this.#kept, this.#problem, this.#learned]) gauge.remove();
      return;
    }
    const { status, highestScore, kept, begun, scoringSeconds, windows } = figures;
    this.#score.set(highestScore);
    this.#kept.set(kept);
    this.#problem.set(Number(status.problem !== ""));
    this.#learned.set(Number(status.trainedWindows));
    for (const [state, value] of Object.entries(STATES)) this.#state.set({ state }, Number(status.state === value));
    for (const detector of DETECTORS) {
      for (const severity of SEVERITIES) {
        const key = `${detector} ${severity}`;
        this.#findings.inc({ detector, severity }, this.#growthOf(key, begun.get(key) ?? 0));
      }
    }
    this.#windows.inc(this.#growthOf("windows", windows));
    this.#seconds.inc(this.#growthOf("seconds", scoringSeconds));
  }

  #growthOf(key: string, value: number): number {
    const growth = Math.max(0, value - (this.#before.get(key) ?? 0));
    this.#before.set(key, value);
    return growth;
  }
}
