/**
 * How well anomalies are found: labelled attacks, fast and slow, in synthetic traffic of four kinds of hosts. Our isolation
 * forest, scikit-learn's on the same rows, a plain threshold, and all detectors together; false alarms on clean days; the
 * processor time of a record. The seeds that are published were not looked at when thresholds were chosen (those were 1 to 9).
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { createAnomalyEngine, type Finding, USUAL_SETTINGS } from "@wardline/domain/anomaly";
import {
  ATTACKS,
  type Attack,
  FEATURE_COUNT,
  forestScore,
  growForest,
  HOST_KINDS,
  type HostKind,
  type LabelledMinute,
  type LabelledWindow,
  MinuteVectors,
  ScenarioHost,
  USUAL_FOREST,
} from "@wardline/domain/anomaly/testing";
import { fromEnvironment, listFromEnvironment } from "./lib/measuring.ts";
import { publish } from "./lib/publish.ts";
import { sklearnScores, sklearnVersion } from "./lib/sklearnForest.ts";

const SEEDS = listFromEnvironment("SEEDS", [101, 102]);
const TRAINING_DAYS = fromEnvironment("TRAINING_DAYS", 3);
const CLEAN_DAYS = fromEnvironment("CLEAN_DAYS", 2);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Every run has some normal time before the attack, and after it. */
const BEFORE_MS = HOUR_MS / 2;
const ATTACK_HOUR = 8.5;
const TRAINING_ROWS = 4096;
/** Minutes beyond this share of the training minutes are called unusual, for precision and recall of what only scores. */
const ALARM_SHARE = 0.999;

interface ScenarioOutcome {
  readonly scenario: string;
  readonly isSlow: boolean;
  readonly host: string;
  readonly seed: number;
  readonly auc: Record<string, number>;
  readonly recall: Record<string, number>;
  readonly isFound: boolean;
  readonly isFoundByItsDetector: boolean;
  readonly minutesToFind: number | null;
  readonly trueFindings: number;
  readonly falseFindings: number;
}

const peer = sklearnVersion();
const outcomes: ScenarioOutcome[] = [];
const cleanDays: { host: string; seed: number; findings: number; byDetector: Record<string, number> }[] = [];
const alarmsOfScores: Record<string, number[]> = {};
const cost = { records: 0, microseconds: 0 };
const forestCost = { ours: [] as number[], sklearn: [] as number[] };

/** Of one host. */
interface Part {
  readonly outcomes: typeof outcomes;
  readonly cleanDays: typeof cleanDays;
  readonly alarmsOfScores: typeof alarmsOfScores;
  readonly cost: typeof cost;
  readonly forestCost: typeof forestCost;
}

if (isMainThread) {
  const parts = await Promise.all(SEEDS.flatMap((seed) => HOST_KINDS.map((kind) => measureOnThread(kind, seed))));
  for (const part of parts) collect(part);
  publishAll();
} else {
  const { kind, seed } = workerData as { kind: HostKind; seed: number };
  measureHost(kind, seed);
  parentPort?.postMessage({ outcomes, cleanDays, alarmsOfScores, cost, forestCost } satisfies Part);
}

function measureOnThread(kind: HostKind, seed: number): Promise<Part> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { kind, seed }, argv: process.argv.slice(2) });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

function collect(part: Part): void {
  outcomes.push(...part.outcomes);
  cleanDays.push(...part.cleanDays);
  for (const [name, counts] of Object.entries(part.alarmsOfScores))
    alarmsOfScores[name] = [...(alarmsOfScores[name] ?? []), ...counts];
  cost.records += part.cost.records;
  cost.microseconds += part.cost.microseconds;
  forestCost.ours.push(...part.forestCost.ours);
  forestCost.sklearn.push(...part.forestCost.sklearn);
}

function measureHost(kind: HostKind, seed: number): void {
  const host = new ScenarioHost(kind, seed);
  const engine = createAnomalyEngine({ host: host.name, seed, settings: USUAL_SETTINGS, model: null });
  const vectors = new MinuteVectors();
  const trainingRows: Float32Array[] = [];
  for (let day = 0; day < TRAINING_DAYS; day++) {
    const windows = [...host.windows(DAY_MS)];
    observeTimed(engine, windows);
    for (const minute of vectors.minutes(windows)) if (day > 0) trainingRows.push(minute.vector);
  }
  const model = engine.save();
  // The first clean day is also the ground that attacks are laid over.
  const ground = [...host.windows(DAY_MS)];
  const groundMs = host.nowMs - DAY_MS;
  const fork = vectors.fork();
  const cleanMinutes = [...vectors.minutes(ground)];
  const found = [...observeTimed(engine, ground)];
  for (let day = 1; day < CLEAN_DAYS; day++) found.push(...observeTimed(engine, host.windows(DAY_MS)));
  cleanDays.push({ host: kind, seed, findings: found.length, byDetector: countBy(found) });
  const scorers = makeScorers(trainingRows, seed, cleanMinutes);
  for (const attack of ATTACKS) {
    const startMs = groundMs + ATTACK_HOUR * HOUR_MS;
    const endMs = Math.min(groundMs + DAY_MS, startMs + attack.lengthMs + BEFORE_MS);
    const slice = ground.filter((window) => window.startMs >= startMs - BEFORE_MS && window.startMs < endMs);
    const windows = [...host.attacked(slice, attack, startMs, seed)];
    const minutes = [...fork.fork().minutes(windows)];
    outcomes.push(
      measureAttack({ kind, seed, attack, startMs, windows, slice, minutes, cleanMinutes, model, scorers }),
    );
    const last = outcomes.at(-1);
    console.log(
      `${kind} ${seed} ${attack.name}: ${JSON.stringify(last?.auc)} ${last?.isFound ? `found after ${last.minutesToFind} min` : "missed"}`,
    );
  }
}

type Engine = ReturnType<typeof createAnomalyEngine>;

/** New findings, by id. */
function observeTimed(engine: Engine, windows: Iterable<LabelledWindow>): Finding[] {
  const list = [...windows];
  const used = process.threadCpuUsage();
  const findings = observeAll(engine, list);
  const { user, system } = process.threadCpuUsage(used);
  cost.microseconds += user + system;
  for (const { records } of list) cost.records += records.length;
  return findings;
}

function observeAll(engine: Engine, windows: readonly LabelledWindow[]): Finding[] {
  const first = new Map<string, Finding>();
  for (const { records, startMs } of windows) {
    for (const finding of engine.observe(records, startMs + 10_000)) {
      const known = first.get(finding.id);
      if (known === undefined && finding.detectedAtMs >= (windows[0]?.startMs ?? 0)) first.set(finding.id, finding);
      else if (known !== undefined) first.set(finding.id, { ...finding, detectedAtMs: known.detectedAtMs });
    }
  }
  return [...first.values()];
}

interface Scorer {
  readonly name: string;
  score(minutes: readonly LabelledMinute[]): readonly number[];
  readonly limit: number;
  readonly clean: readonly number[];
}

function makeScorers(rows: readonly Float32Array[], seed: number, clean: readonly LabelledMinute[]): Scorer[] {
  const step = Math.max(1, rows.length / TRAINING_ROWS);
  const train = Array.from(
    { length: Math.min(rows.length, TRAINING_ROWS) },
    (_, index) => rows[Math.floor(index * step)] as Float32Array,
  );
  const flat = new Float32Array(train.length * FEATURE_COUNT);
  for (const [index, row] of train.entries()) flat.set(row, index * FEATURE_COUNT);
  const asMinutes = train.map((vector) => ({ startMs: 0, quantities: [], vector, isAttack: false }));
  const scorers: Scorer[] = [];
  const add = (name: string, score: Scorer["score"]) => {
    const own = [...score(asMinutes)].sort((left, right) => left - right);
    const limit = own[Math.floor(own.length * ALARM_SHARE)] ?? 0;
    const cleanScores = score(clean);
    scorers.push({ name, score, limit, clean: cleanScores });
    alarmsOfScores[name] = [...(alarmsOfScores[name] ?? []), cleanScores.filter((value) => value > limit).length];
  };
  const forest = growForest(flat, FEATURE_COUNT, { ...USUAL_FOREST, seed });
  add("ourForest", (minutes) => minutes.map(({ vector }) => forestScore(forest, vector)));
  const textbook = growForest(flat, FEATURE_COUNT, { ...USUAL_FOREST, rangeMargin: Number.POSITIVE_INFINITY, seed });
  add("ourForestWithoutRanges", (minutes) => minutes.map(({ vector }) => forestScore(textbook, vector)));
  if ("version" in peer) {
    const rowsOf = (minutes: readonly LabelledMinute[]) => minutes.map(({ vector }) => [...vector]);
    add("sklearn", (minutes) => {
      const { trees, subsample } = USUAL_FOREST;
      const answer = sklearnScores({
        train: train.map((row) => [...row]),
        test: rowsOf(minutes),
        trees,
        subsample,
        seed,
      });
      forestCost.sklearn.push((answer.scoreMs * 1000) / Math.max(1, minutes.length));
      return answer.scores;
    });
  }
  // Connections and bytes a minute, in standard deviations: what one would write first.
  const plain = [0, 3, 5, 8].map((feature) => {
    const values = train.map((row) => Math.expm1(row[feature] ?? 0));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) || 1;
    return { feature, mean, spread };
  });
  add("threshold", (minutes) =>
    minutes.map(({ vector }) =>
      Math.max(...plain.map(({ feature, mean, spread }) => (Math.expm1(vector[feature] ?? 0) - mean) / spread)),
    ),
  );
  const used = process.threadCpuUsage();
  for (const { vector } of clean) forestScore(forest, vector);
  const { user, system } = process.threadCpuUsage(used);
  forestCost.ours.push((user + system) / clean.length);
  return scorers;
}

interface Question {
  readonly kind: HostKind;
  readonly seed: number;
  readonly attack: Attack;
  readonly startMs: number;
  readonly windows: readonly LabelledWindow[];
  readonly slice: readonly LabelledWindow[];
  readonly minutes: readonly LabelledMinute[];
  readonly cleanMinutes: readonly LabelledMinute[];
  readonly model: string;
  readonly scorers: readonly Scorer[];
}

function measureAttack(question: Question): ScenarioOutcome {
  const { kind, seed, attack, startMs, windows, slice, minutes, cleanMinutes, model, scorers } = question;
  const settings = { seed, settings: USUAL_SETTINGS, model };
  const host = windows[0]?.records[0]?.host ?? kind;
  const clean = observeAll(createAnomalyEngine({ host, ...settings }), slice);
  const found = observeAll(createAnomalyEngine({ host, ...settings }), windows);
  const what = ({ detector, remote, port, process }: Finding) => `${detector}|${remote}|${port}|${process}`;
  const usual = new Set(clean.map(what));
  const trueFindings = found.filter((finding) => !usual.has(what(finding)) && finding.detectedAtMs >= startMs);
  const byItsDetector = trueFindings.filter(({ detector }) => detector === attack.detector);
  const first = Math.min(...trueFindings.map(({ detectedAtMs }) => detectedAtMs));
  const positives = minutes.filter(({ isAttack }) => isAttack);
  const auc: Record<string, number> = {};
  const recall: Record<string, number> = {};
  let forestClean: readonly number[] = [];
  let forestAttacked: readonly number[] = [];
  for (const { name, score, limit, clean: negatives } of scorers) {
    const scores = score(positives);
    auc[name] = areaUnder(scores, negatives);
    recall[name] = scores.filter((value) => value > limit).length / Math.max(1, scores.length);
    if (name === "ourForest") {
      forestAttacked = scores;
      forestClean = negatives;
    }
  }
  // All detectors: a minute that a finding covers goes before one that none does; within both the forest orders them.
  const covered = (list: readonly Finding[], atMs: number) =>
    list.some(({ beganAtMs, lastAtMs }) => atMs + 59_999 >= beganAtMs && atMs <= lastAtMs) ? 1 : 0;
  const all = positives.map(({ startMs: atMs }, index) => covered(found, atMs) + (forestAttacked[index] ?? 0));
  const none = cleanMinutes.map(({ startMs: atMs }, index) => covered(clean, atMs) + (forestClean[index] ?? 0));
  auc.allDetectors = areaUnder(all, none);
  recall.allDetectors =
    positives.filter(({ startMs: atMs }) => covered(trueFindings, atMs) > 0).length / Math.max(1, positives.length);
  return {
    scenario: attack.name,
    isSlow: attack.isSlow,
    host: kind,
    seed,
    auc,
    recall,
    isFound: trueFindings.length > 0,
    isFoundByItsDetector: byItsDetector.length > 0,
    minutesToFind: trueFindings.length > 0 ? Math.round(((first - startMs) / 60_000) * 10) / 10 : null,
    trueFindings: trueFindings.length,
    falseFindings: found.length - trueFindings.length,
  };
}

function areaUnder(positives: readonly number[], negatives: readonly number[]): number {
  const sorted = [...negatives].sort((left, right) => left - right);
  let area = 0;
  for (const value of positives) {
    area += below(sorted, value) + 0.5 * (below(sorted, value, true) - below(sorted, value));
  }
  return area / Math.max(1, positives.length * negatives.length);
}

/** How many are smaller, or with `orEqual` no larger. */
function below(sorted: readonly number[], value: number, orEqual = false): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = sorted[middle] ?? 0;
    if (other < value || (orEqual && other === value)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function countBy(findings: readonly Finding[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { detector } of findings) counts[detector] = (counts[detector] ?? 0) + 1;
  return counts;
}

function round(value: number, digits = 3): number {
  return Number(value.toFixed(digits));
}

function spreadOf(values: readonly number[], digits = 3) {
  const sorted = [...values].sort((left, right) => left - right);
  if (sorted.length === 0) return null;
  return {
    mean: round(sorted.reduce((sum, value) => sum + value, 0) / sorted.length, digits),
    median: round(sorted[sorted.length >> 1] ?? 0, digits),
    min: round(sorted[0] ?? 0, digits),
    max: round(sorted.at(-1) ?? 0, digits),
  };
}

function publishAll(): void {
  const methods = Object.keys(outcomes[0]?.auc ?? {});
  const perMethod = (pick: (outcome: ScenarioOutcome) => Record<string, number>, among: readonly ScenarioOutcome[]) =>
    Object.fromEntries(methods.map((method) => [method, spreadOf(among.map((outcome) => pick(outcome)[method] ?? 0))]));

  const bySeed = (method: string) =>
    SEEDS.map((seed) => {
      const among = outcomes.filter((outcome) => outcome.seed === seed);
      return round(among.reduce((sum, { auc }) => sum + (auc[method] ?? 0), 0) / Math.max(1, among.length));
    });

  const trueCount = outcomes.reduce((sum, { trueFindings }) => sum + trueFindings, 0);
  const falseCount = outcomes.reduce((sum, { falseFindings }) => sum + falseFindings, 0);
  publish("anomalyQuality", {
    what: `${ATTACKS.length} attacks on or from ${HOST_KINDS.length} kinds of hosts, ${SEEDS.length} seeds that no threshold was chosen on; synthetic traffic, ${TRAINING_DAYS} days learned from, ${CLEAN_DAYS} clean days for false alarms.`,
    method:
      "AUC: minutes with records of the attack against all minutes of a clean day. Forests and threshold see the same rows of features; all detectors: minutes that a finding covers before others. Recall of what only scores: at the 99.9th percentile of the training minutes.",
    sklearn: "version" in peer ? peer.version : `left out: ${peer.problem}`,
    auc: perMethod(({ auc }) => auc, outcomes),
    aucOfFastAttacks: perMethod(
      ({ auc }) => auc,
      outcomes.filter(({ isSlow }) => !isSlow),
    ),
    aucOfSlowAttacks: perMethod(
      ({ auc }) => auc,
      outcomes.filter(({ isSlow }) => isSlow),
    ),
    aucBySeed: Object.fromEntries(methods.map((method) => [method, bySeed(method)])),
    recallOfMinutes: perMethod(({ recall }) => recall, outcomes),
    cleanMinutesOverLimitPerDay: Object.fromEntries(
      Object.entries(alarmsOfScores).map(([name, counts]) => [name, spreadOf(counts, 1)]),
    ),
    scenariosFound: round(outcomes.filter(({ isFound }) => isFound).length / Math.max(1, outcomes.length)),
    scenariosFoundByTheirDetector: round(
      outcomes.filter(({ isFoundByItsDetector }) => isFoundByItsDetector).length / Math.max(1, outcomes.length),
    ),
    precisionOfFindings: round(trueCount / Math.max(1, trueCount + falseCount)),
    scenarios: ATTACKS.map(({ name }) => {
      const among = outcomes.filter(({ scenario }) => scenario === name);
      return {
        scenario: name,
        runs: among.length,
        found: among.filter(({ isFound }) => isFound).length,
        foundByItsDetector: among.filter(({ isFoundByItsDetector }) => isFoundByItsDetector).length,
        minutesToFind: spreadOf(
          among.flatMap(({ minutesToFind }) => (minutesToFind === null ? [] : [minutesToFind])),
          1,
        ),
        auc: Object.fromEntries(
          methods.map((method) => [method, spreadOf(among.map(({ auc }) => auc[method] ?? 0))?.mean]),
        ),
      };
    }),
    falseAlarmsPerHostAndDay: {
      target: USUAL_SETTINGS.targetFalseAlarmsPerDay,
      all: spreadOf(
        cleanDays.map(({ findings }) => findings / CLEAN_DAYS),
        2,
      ),
      byHost: Object.fromEntries(
        HOST_KINDS.map((kind) => [
          kind,
          spreadOf(
            cleanDays.filter(({ host }) => host === kind).map(({ findings }) => findings / CLEAN_DAYS),
            2,
          ),
        ]),
      ),
      byDetector: cleanDays.reduce<Record<string, number>>((sum, { byDetector }) => {
        for (const [detector, count] of Object.entries(byDetector)) sum[detector] = (sum[detector] ?? 0) + count;
        return sum;
      }, {}),
    },
    microsecondsPerRecord: round(cost.microseconds / Math.max(1, cost.records), 1),
    records: cost.records,
    microsecondsPerRowOfForest: { ours: spreadOf(forestCost.ours, 1), sklearn: spreadOf(forestCost.sklearn, 1) },
  });
}
