/**
 * Signals become findings: windows of the same thing are one finding that goes on, ends when it is quiet, and is taken up
 * again when it returns soon. Bounded: too many at once of one kind become one finding that counts them.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { FlowRecord } from "../../flows/record.ts";
import type { EvidenceFilter, Signal } from "../detectors/signal.ts";
import type { Seen } from "../features/seen.ts";
import type { AnomalySeverity, DetectorKind, Finding, FindingFeature, FindingPoint } from "../finding.ts";
import { SEVERITIES } from "../finding.ts";
import { counted, shownText } from "../support/words.ts";
import { addEvidence, evidenceQuery, matchesFilter } from "./evidence.ts";

export interface LedgerEntry {
  readonly id: string;
  readonly beganAtMs: number;
  readonly detectedAtMs: number;
  signal: Signal;
  score: number;
  falseAlarmsPerDay: number | null;
  severity: AnomalySeverity;
  state: "ongoing" | "over";
  lastMs: number;
  quietMs: number;
  evidence: FlowRecord[];
  evidenceTotal: number;
  series: FindingPoint[];
  /** Keys that were put together here; empty = one finding of its own. */
  together: string[];
  togetherCount: number;
  isNormal: boolean;
  isChanged: boolean;
  isNew: boolean;
  emittedMs: number;
}

export interface LedgerState {
  entries: Map<string, LedgerEntry>;
  /** Findings of each detector that were told. */
  told: Record<string, number>;
}

export interface Rarity {
  readonly score: number;
  readonly falseAlarmsPerDay: number | null;
}

const MAX_ENTRIES = 64;
/** More than these at once of one detector and direction are told as one. */
const MAX_ALIKE = 6;
const COOLDOWN_MS = 3_600_000;
const MAX_POINTS = 300;
const POINT_MS = 60_000;
const MAX_TOGETHER = 64;
/** A finding that merely grows is told anew no more often. */
const RETOLD_MS = 30_000;
/** Within a step, only growth by this is described anew. */
const RETOLD_RATIO = 1.2;

export function freshLedger(): LedgerState {
  return { entries: new Map(), told: {} };
}

const entryKey = (detector: DetectorKind, key: string): string => `${detector}|${key}`;

/** Whether the same was already said of this step: then it is only noted that it goes on. */
export function isToldAlready(
  ledger: LedgerState,
  detector: DetectorKind,
  key: string,
  ratio: number,
  stepMs: number,
): boolean {
  const entry = ledger.entries.get(entryKey(detector, key));
  if (entry === undefined || entry.state === "over" || entry.signal.atMs < stepMs) return false;
  return ratio < entry.signal.ratio * RETOLD_RATIO;
}

export function recordSignal(ledger: LedgerState, host: string, signal: Signal, rarity: Rarity): LedgerEntry {
  const ownKey = entryKey(signal.detector, signal.key);
  let entry = ledger.entries.get(ownKey);
  let key = ownKey;
  if (entry === undefined && countAlike(ledger, signal) >= MAX_ALIKE) {
    key = entryKey(signal.detector, `*${signal.direction}`);
    entry = ledger.entries.get(key);
  }
  if (entry === undefined) {
    entry = begin(host, key, signal, rarity);
    makeRoom(ledger);
    ledger.entries.set(key, entry);
    ledger.told[signal.detector] = (ledger.told[signal.detector] ?? 0) + 1;
  }
  if (key !== ownKey && !entry.together.includes(signal.key)) {
    entry.togetherCount++;
    entry.together.push(signal.key);
    if (entry.together.length > MAX_TOGETHER) entry.together.shift();
  }
  goOn(entry, signal, rarity);
  return entry;
}

function begin(host: string, key: string, signal: Signal, rarity: Rarity): LedgerEntry {
  const identity = `${host}\n${key}\n${signal.beganAtMs}\n${signal.atMs}`;
  return {
    id: bytesToHex(sha256(utf8ToBytes(identity))).slice(0, 24),
    beganAtMs: signal.beganAtMs,
    detectedAtMs: signal.atMs,
    signal,
    ...rarity,
    severity: signal.severity,
    state: "ongoing",
    lastMs: signal.atMs,
    quietMs: signal.quietMs,
    evidence: [],
    evidenceTotal: 0,
    series: [],
    together: [],
    togetherCount: 0,
    isNormal: false,
    isChanged: true,
    isNew: true,
    emittedMs: 0,
  };
}

function goOn(entry: LedgerEntry, signal: Signal, rarity: Rarity): void {
  const isWorse = SEVERITIES.indexOf(signal.severity) > SEVERITIES.indexOf(entry.severity);
  if (entry.state === "over" || isWorse) entry.emittedMs = 0;
  entry.state = "ongoing";
  if (isWorse) entry.severity = signal.severity;
  entry.signal = signal;
  entry.lastMs = Math.max(entry.lastMs, signal.atMs);
  entry.quietMs = Math.max(signal.quietMs, entry.quietMs);
  if (rarity.score >= entry.score) {
    entry.score = rarity.score;
    entry.falseAlarmsPerDay = rarity.falseAlarmsPerDay;
  }
  addPoint(entry, signal);
  entry.isChanged = true;
}

function addPoint({ series }: LedgerEntry, { features, atMs }: Signal): void {
  const [feature] = features;
  if (feature === undefined) return;
  const timeMs = Math.floor(atMs / POINT_MS) * POINT_MS;
  const point = {
    timeMs,
    value: feature.value,
    normalLow: feature.normal?.low ?? 0,
    normalHigh: feature.normal?.high ?? 0,
  };
  const last = series.at(-1);
  if (last?.timeMs === timeMs) series[series.length - 1] = { ...point, value: Math.max(point.value, last.value) };
  else series.push(point);
  if (series.length <= MAX_POINTS) return;
  // Half the resolution, the same span.
  series.splice(0, series.length, ...series.filter((_, index) => index % 2 === 0));
}

function countAlike(ledger: LedgerState, { detector, direction }: Signal): number {
  let alike = 0;
  for (const entry of ledger.entries.values()) {
    if (entry.state === "ongoing" && entry.signal.detector === detector && entry.signal.direction === direction)
      alike++;
  }
  return alike;
}

function makeRoom(ledger: LedgerState): void {
  while (ledger.entries.size >= MAX_ENTRIES) {
    // Ten detectors with two directions and seven entries each: what is over always makes enough room.
    const [victim] = [...ledger.entries].sort(([, left], [, right]) => rank(left) - rank(right));
    if (victim === undefined) return;
    ledger.entries.delete(victim[0]);
  }
}

const rank = ({ state, lastMs }: LedgerEntry): number => (state === "over" ? 0 : 1e15) + lastMs;

/** Adds the record to what it proves. True when it belongs to a finding that nobody called normal. */
export function offerEvidence(ledger: LedgerState, seen: Seen): boolean {
  let isSuspect = false;
  for (const entry of ledger.entries.values()) {
    const { filter } = entry.signal;
    // What is about the host as a whole takes its evidence from the window that was unusual, not from what follows.
    if (entry.state === "over" || !isSpecific(filter) || !matchesFilter(filter, seen)) continue;
    addEvidence(entry.evidence, seen.record);
    entry.evidenceTotal++;
    entry.isChanged = true;
    if (!entry.isNormal && entry.signal.isTentative !== true) isSuspect = true;
  }
  return isSuspect;
}

/** A finding about the host as a whole does not make all of its traffic suspect. */
export function isSpecific(filter: EvidenceFilter): boolean {
  return filter.remotes.length > 0 || filter.process !== null || filter.failedOnly || filter.port !== 0;
}

export function hasOngoing(ledger: LedgerState, detector?: DetectorKind): boolean {
  for (const entry of ledger.entries.values()) {
    if (entry.state === "ongoing" && !entry.isNormal && (detector === undefined || entry.signal.detector === detector))
      return true;
  }
  return false;
}

export function endQuietFindings(ledger: LedgerState, nowMs: number): void {
  for (const [key, entry] of ledger.entries) {
    if (entry.state === "ongoing" && nowMs - entry.lastMs >= entry.quietMs) {
      entry.state = "over";
      entry.isChanged = true;
      entry.emittedMs = 0;
    } else if (entry.state === "over" && nowMs - entry.lastMs >= entry.quietMs + COOLDOWN_MS && !entry.isChanged) {
      ledger.entries.delete(key);
    }
  }
}

/** New and changed ones, whole; those that merely grow not every time. */
export function drainFindings(ledger: LedgerState, host: string, nowMs: number): Finding[] {
  const findings: Finding[] = [];
  for (const entry of ledger.entries.values()) {
    if (!entry.isChanged) continue;
    const isDue = entry.isNew || entry.emittedMs === 0 || nowMs - entry.emittedMs >= RETOLD_MS;
    if (!isDue) continue;
    entry.isChanged = false;
    entry.isNew = false;
    entry.emittedMs = nowMs;
    findings.push(findingOf(entry, host));
  }
  return findings;
}

function findingOf(entry: LedgerEntry, host: string): Finding {
  const { signal } = entry;
  const isTogether = entry.togetherCount > 1;
  const sentence = isTogether
    ? `${counted(entry.togetherCount, "more case")} like it at once, put together because there are so many; the last: ${signal.sentence}`
    : signal.sentence;
  return {
    id: entry.id,
    host,
    detector: signal.detector,
    severity: entry.severity,
    state: entry.state,
    sentence,
    score: entry.score,
    falseAlarmsPerDay: entry.falseAlarmsPerDay,
    beganAtMs: entry.beganAtMs,
    lastAtMs: entry.lastMs,
    detectedAtMs: entry.detectedAtMs,
    subjectKey: signal.subjectKey,
    process: shownText(signal.process, 32),
    remote: isTogether ? "" : signal.remote,
    port: signal.port,
    direction: signal.direction,
    features: featuresOf(signal),
    evidence: [...entry.evidence],
    evidenceTotal: entry.evidenceTotal,
    evidenceQuery: evidenceQuery(
      host,
      isTogether ? { ...signal.filter, remotes: [] } : signal.filter,
      entry.beganAtMs,
      entry.lastMs,
    ),
    actions: isTogether ? signal.actions.filter(({ kind }) => kind === "quarantine") : signal.actions,
    series: { feature: signal.features[0]?.key ?? "", points: [...entry.series] },
  };
}

function featuresOf({ features }: Signal): FindingFeature[] {
  const total = features.reduce((sum, { weight }) => sum + Math.max(0, weight), 0);
  return features.map(({ weight, ...feature }) => ({
    ...feature,
    contribution: total > 0 ? Math.max(0, weight) / total : 1 / features.length,
  }));
}
