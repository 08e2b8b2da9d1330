/** Rules over what was recorded: findings, denied packets in the history, and conditions of hosts, clusters and meshes. */
import {
  type AlertRule,
  type ClusterFact,
  type HostFact,
  type MeshFact,
  observeClusters,
  observeDenies,
  observeFinding,
  observeHosts,
  observeMeshes,
  type RecordedMoment,
  RuleBacktest,
  type RuleRunResult,
} from "@wardline/domain/alerts";
import { fromWireFinding } from "@wardline/domain/wire";
import { hostNameOf, labelOf } from "../hosts/managed-host.ts";
import type { AlertTables, ConditionKind } from "./alert-tables.ts";
import { denyQuery, type EvaluatorPorts, factOfFinding } from "./evaluator.ts";

const FINDINGS_AT_ONCE = 1_000;
/** As often as rules on denied packets are evaluated. */
const STEP_MS = 10_000;
const MOST_STEPS = 100_000;
const CONDITIONS_OF: Record<ConditionKind, string> = { host: "hosts", cluster: "clusters", mesh: "meshes" };

export interface BacktestPorts extends Pick<EvaluatorPorts, "feed" | "history" | "labels" | "hosts" | "select"> {
  readonly tables: AlertTables;
  readonly nowMs: () => number;
}

export interface BacktestWindow {
  readonly sinceMs: number;
  readonly untilMs: number;
}

export interface BacktestResult {
  readonly run: RuleRunResult;
  /** What was missing, in words. */
  readonly gaps: readonly string[];
}

export class RuleBacktester {
  readonly #ports: BacktestPorts;

  constructor(ports: BacktestPorts) {
    this.#ports = ports;
  }

  /** @throws Failure of the history and the store */
  async run(rule: AlertRule, window: BacktestWindow, signal: AbortSignal): Promise<BacktestResult> {
    const gaps: string[] = [];
    const backtest = new RuleBacktest(rule);
    const moments = await this.#moments(rule, window, gaps, signal);
    let count = 0;
    for (const moment of moments) {
      backtest.add(moment);
      // Long histories must not keep the window waiting.
      if (++count % 1_000 === 0) await new Promise<void>((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
    }
    return { run: backtest.finish(window.untilMs), gaps };
  }

  async #moments(
    rule: AlertRule,
    window: BacktestWindow,
    gaps: string[],
    signal: AbortSignal,
  ): Promise<RecordedMoment[]> {
    const { kind } = rule.source;
    if (kind === "finding") return this.#findings(rule, window, gaps);
    if (kind === "denies") return this.#denies(rule, window, gaps, signal);
    return this.#conditions(rule, kind, window, gaps);
  }

  /** A finding is known by its beginning and its end; how it grew worse in between is not recorded. */
  #findings(rule: AlertRule, { sinceMs, untilMs }: BacktestWindow, gaps: string[]): RecordedMoment[] {
    const { feed } = this.#ports;
    const moments: RecordedMoment[] = [];
    let oldestMs = Number.POSITIVE_INFINITY;
    for (let position = 0; ; ) {
      const kept = feed.changedSince(position, FINDINGS_AT_ONCE);
      for (const each of kept) {
        const finding = fromWireFinding(each.finding);
        if (!finding) continue;
        oldestMs = Math.min(oldestMs, finding.detectedAtMs);
        if (finding.detectedAtMs < sinceMs || finding.detectedAtMs >= untilMs) continue;
        const fact = factOfFinding(each, finding, this.#ports.hosts());
        const observation = observeFinding(rule, { ...fact, state: "ongoing", isNormal: false });
        if (!observation || !this.#isSelected(rule, fact.hostId)) continue;
        moments.push({ timeMs: finding.detectedAtMs, isWhole: false, observations: [observation] });
        if (finding.state === "ongoing") continue;
        const endedAtMs = Math.max(finding.lastAtMs, finding.detectedAtMs);
        moments.push({ timeMs: endedAtMs, isWhole: false, observations: [{ ...observation, holds: false }] });
      }
      position = kept.at(-1)?.revision ?? position;
      if (kept.length < FINDINGS_AT_ONCE) break;
    }
    if (oldestMs > sinceMs) gaps.push(missing("Findings", oldestMs));
    return inOrder(moments);
  }

  async #denies(
    rule: AlertRule,
    window: BacktestWindow,
    gaps: string[],
    signal: AbortSignal,
  ): Promise<RecordedMoment[]> {
    const { history, labels, nowMs } = this.#ports;
    if (rule.source.kind !== "denies") return [];
    const { windowSeconds } = rule.source;
    const stepMs = Math.max(STEP_MS, Math.ceil((window.untilMs - window.sinceMs) / MOST_STEPS / STEP_MS) * STEP_MS);
    const query = denyQuery(rule.source.query, window.sinceMs - windowSeconds * 1000, window.untilMs, nowMs());
    const { points, progress } = await history.series(query, { stepMs, splitBy: "host", labels }, signal);
    const { oldestMs } = await history.state();
    if (oldestMs === null || oldestMs > window.sinceMs)
      gaps.push(missing("Flows", oldestMs ?? Number.POSITIVE_INFINITY));
    if (stepMs > STEP_MS)
      gaps.push(`So long a time is judged in steps of ${stepMs / 1000} s instead of ${STEP_MS / 1000} s.`);
    gaps.push(...progress.gaps);
    return this.#denyMoments(
      rule,
      window,
      stepMs,
      points.map(({ timeMs, value, sums }) => ({ timeMs, name: value, denied: sums.deniedPackets })),
    );
  }

  /** The sum over the rule's window, at the end of each step in which something may have changed. */
  #denyMoments(
    rule: AlertRule,
    { sinceMs, untilMs }: BacktestWindow,
    stepMs: number,
    points: readonly { readonly timeMs: number; readonly name: string; readonly denied: number }[],
  ): RecordedMoment[] {
    if (rule.source.kind !== "denies") return [];
    const steps = Math.max(1, Math.round((rule.source.windowSeconds * 1000) / stepMs));
    const changes = new Map<number, Map<string, number>>();
    const add = (timeMs: number, name: string, denied: number) => {
      const at = changes.get(timeMs) ?? new Map<string, number>();
      at.set(name, (at.get(name) ?? 0) + denied);
      changes.set(timeMs, at);
    };
    for (const { timeMs, name, denied } of points) {
      add(timeMs + stepMs, name, denied);
      add(timeMs + stepMs * (steps + 1), name, -denied);
    }
    const sums = new Map<string, number>();
    const moments: RecordedMoment[] = [];
    for (const timeMs of [...changes.keys()].sort((a, b) => a - b)) {
      for (const [name, change] of changes.get(timeMs) ?? []) sums.set(name, (sums.get(name) ?? 0) + change);
      if (timeMs < sinceMs || timeMs >= untilMs) continue;
      const facts = [...sums].map(([name, deniedPackets]) => this.#denyFact(name, deniedPackets));
      const selected = facts.filter(({ hostId }) => this.#isSelected(rule, hostId));
      moments.push({ timeMs, isWhole: true, observations: observeDenies(rule, selected) });
    }
    return moments;
  }

  #denyFact(name: string, deniedPackets: number) {
    const host = this.#ports.hosts().find((each) => hostNameOf(each) === name);
    return { hostId: host?.id ?? name, host: host ? labelOf(host) : name, deniedPackets };
  }

  #conditions(
    rule: AlertRule,
    kind: ConditionKind,
    { sinceMs, untilMs }: BacktestWindow,
    gaps: string[],
  ): RecordedMoment[] {
    const changes = this.#ports.tables.conditions(kind, untilMs);
    const oldestMs = changes[0]?.timeMs ?? Number.POSITIVE_INFINITY;
    if (oldestMs > sinceMs) gaps.push(missing(`Conditions of ${CONDITIONS_OF[kind]}`, oldestMs));
    const holding = new Map<string, string>();
    const moments: RecordedMoment[] = [];
    const momentAt = (timeMs: number) => {
      const facts = [...holding.values()].map((json) => JSON.parse(json) as HostFact & ClusterFact & MeshFact);
      if (kind === "cluster") return { timeMs, isWhole: true, observations: observeClusters(rule, facts) };
      const observe = kind === "host" ? observeHosts : observeMeshes;
      const selected = facts.filter(({ hostId }) => this.#isSelected(rule, hostId));
      return { timeMs, isWhole: true, observations: observe(rule, selected) };
    };
    for (const { timeMs, key, holds, json } of changes) {
      if (timeMs >= sinceMs && moments.length === 0 && holding.size > 0) moments.push(momentAt(sinceMs));
      if (holds) holding.set(key, json);
      else holding.delete(key);
      if (timeMs >= sinceMs) moments.push(momentAt(timeMs));
    }
    if (moments.length === 0 && holding.size > 0) moments.push(momentAt(sinceMs));
    return moments;
  }

  #isSelected({ hostSelector }: AlertRule, hostId: string): boolean {
    return hostSelector === "" || this.#ports.select(hostSelector).has(hostId);
  }
}

function inOrder(moments: RecordedMoment[]): RecordedMoment[] {
  return moments.sort((one, other) => one.timeMs - other.timeMs);
}

function missing(what: string, oldestMs: number): string {
  if (!Number.isFinite(oldestMs)) return `${what}: nothing is recorded.`;
  return `${what} are recorded since ${new Date(oldestMs).toISOString()} only.`;
}
