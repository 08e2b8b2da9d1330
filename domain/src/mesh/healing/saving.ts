/** What is kept of the loop between two leaders or two starts, and how it is read back: each piece judged by itself, and bounded. */
import { ErrorCode, Failure } from "../../errors/index.ts";
import type { MonitorMemory } from "./memory.ts";
import {
  HealingAction,
  HealingMode,
  HealingOutcome,
  HealingPhase,
  type HealingSettings,
  HealingState,
  type KeptRun,
  type KnowledgeEntry,
  MAX_CANDIDATES,
  MAX_EVIDENCE,
  MAX_REPAIR_TIMES,
  MAX_STEPS,
  MeshFault,
  MeshProvider,
} from "./model.ts";
import {
  type Check,
  isAbsentOr,
  isBoolean,
  isDigits,
  isFraction,
  isList,
  isNullOr,
  isNumber,
  isOneOf,
  isShape,
  isText,
} from "./shapes.ts";

export interface SavedHealing {
  readonly settings: HealingSettings;
  readonly runs: readonly KeptRun[];
  readonly knowledge: readonly KnowledgeEntry[];
  /** What the monitor remembers; absent = it looks anew. Written by `save()`; only for the same process or tests. */
  readonly memory?: MonitorMemory;
}

const sentence = isText(600);
const word = isText(300);
const uri = isText(512);
const action = isOneOf(HealingAction);
const provider = isOneOf(MeshProvider);
const fault = isOneOf(MeshFault);
const outcome = isOneOf(HealingOutcome);
const hosts = isList(1_024, word);

const candidate = isShape({
  ...{ action, host: word, provider, peerUri: uri, gatewayKey: word, blastRadius: sentence },
  preconditions: isList(16, isShape({ sentence, holds: isBoolean })),
  ...{ successRate: isNullOr(isFraction), tried: isNumber, heldBack: sentence },
});

const step = isShape({
  ...{ atMs: isNumber, phase: isOneOf(HealingPhase), sentence, action, host: word, outcome },
  ...{ evidence: isList(MAX_EVIDENCE, sentence), isDryRun: isBoolean },
});

const order = isShape({
  ...{
    id: word,
    target: isAbsentOr(word),
    action,
    host: word,
    provider,
    peerUri: uri,
    gatewayKey: word,
    term: isDigits,
  },
  ...{ sentAtMs: isNumber, expiresAtMs: isNumber, approvedBy: sentence, isDryRun: isBoolean, isRollback: isBoolean },
  ...{ outcome, answeredAtMs: isNumber, isHealed: isNullOr(isBoolean) },
});

const work = isShape({
  ...{ provider, orders: isList(64, order), clearSinceMs: isNullOr(isNumber), verifyUntilMs: isNumber },
  approval: isNullOr(isShape({ candidate, by: sentence, reason: sentence, atMs: isNumber })),
  ...{ observers: hosts, symptoms: isList(4_096, isText(1_200)), isMuted: isBoolean, told: sentence },
  peers: isList(4_096, isShape({ host: word, provider, uri, key: word })),
  evidence: isList(MAX_EVIDENCE, sentence),
});

const run = isShape({
  ...{ id: word, fault, target: word, cause: isText(2_000), confidence: isFraction, hosts },
  ...{ mode: isOneOf(HealingMode), state: isOneOf(HealingState) },
  ...{ candidates: isList(MAX_CANDIDATES, candidate), steps: isList(MAX_STEPS, step) },
  ...{ firstSymptomAtMs: isNumber, detectedAtMs: isNumber, endedAtMs: isNullOr(isNumber) },
  ...{ timeToRepairMs: isNullOr(isNumber), approvedBy: sentence, term: isDigits, coordinator: word, work },
}) as Check<KeptRun>;

const knowledgeEntry = isShape({
  ...{ fault, action, tried: isNumber, healed: isNumber, repairTimesMs: isList(MAX_REPAIR_TIMES, isNumber) },
}) as Check<KnowledgeEntry>;

const settings = isShape({
  ...{ mode: isOneOf(HealingMode), askBefore: isList(32, action) },
  ...{ holdMs: isNumber, actionsPerHour: isNumber, cooldownMs: isNumber },
}) as Check<HealingSettings>;

/** `null` = it is no run of this version. */
export function parseKeptRun(json: unknown): KeptRun | null {
  return run(json) ? json : null;
}

const MAX_KNOWLEDGE = 256;

/** What is no entry is left out. */
export function parseKnowledge(json: unknown): KnowledgeEntry[] {
  if (!Array.isArray(json)) return [];
  return json
    .slice(0, MAX_KNOWLEDGE)
    .filter(knowledgeEntry)
    .filter(({ tried, healed }) => healed <= tried);
}

/** `null` = these are no settings. */
export function parseHealingSettings(json: unknown): HealingSettings | null {
  try {
    return settings(json) ? checkHealingSettings(json) : null;
  } catch {
    return null;
  }
}

const BOUNDS = {
  holdMs: { low: 1_000, high: 300_000, name: "The time that a symptom has to be gone", unit: "ms" },
  actionsPerHour: { low: 1, high: 120, name: "The number of actions in an hour", unit: "" },
  cooldownMs: { low: 10_000, high: 86_400_000, name: "The time between two actions on one target", unit: "ms" },
} as const;

/** Without doubles in `askBefore`. @throws Failure INVALID_ARGUMENT where a value is out of bounds. */
export function checkHealingSettings(wanted: HealingSettings): HealingSettings {
  for (const [field, { low, high, name, unit }] of Object.entries(BOUNDS)) {
    const value = wanted[field as keyof typeof BOUNDS];
    if (!(value >= low && value <= high)) throw invalid(`${name} can be ${low} to ${high} ${unit}`.trim(), value);
  }
  if (!(wanted.mode in HealingMode) || wanted.mode === HealingMode.UNSPECIFIED) {
    throw invalid("The mode can be observe, suggest or act", wanted.mode);
  }
  const strange = wanted.askBefore.find((each) => !(each in HealingAction) || each === HealingAction.UNSPECIFIED);
  if (strange !== undefined)
    throw invalid("An action that needs a person has to be one of those that there are", strange);
  return { ...wanted, askBefore: [...new Set(wanted.askBefore)].sort((a, b) => a - b) };
}

function invalid(rule: string, value: number): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: `${rule}, not ${value}.` });
}

/** A run as text that fits a bounded place: evidence and middle steps go first, the work that is needed to go on never. */
export function encodeKeptRun(kept: KeptRun, maxBytes: number): string {
  const size = (text: string) => new TextEncoder().encode(text).length;
  let shorter = kept;
  for (let text = JSON.stringify(shorter); ; text = JSON.stringify(shorter)) {
    if (size(text) <= maxBytes) return text;
    const { steps } = shorter;
    const withEvidence = steps.findIndex(({ evidence }) => evidence.length > 0);
    if (withEvidence >= 0) {
      shorter = {
        ...shorter,
        steps: steps.map((each, index) => (index > withEvidence + 8 ? each : { ...each, evidence: [] })),
      };
    } else if (steps.length > 4) {
      shorter = { ...shorter, steps: [...steps.slice(0, 2), ...steps.slice(Math.ceil(steps.length / 2))] };
    } else {
      const { symptoms, peers, observers } = shorter.work;
      const half = <T>(all: readonly T[]) => all.slice(0, Math.floor(all.length / 2));
      if (symptoms.length + peers.length + observers.length + shorter.hosts.length === 0) return text;
      const less = { symptoms: half(symptoms), peers: half(peers), observers: half(observers), evidence: [] };
      shorter = { ...shorter, hosts: half(shorter.hosts), work: { ...shorter.work, ...less } };
    }
  }
}
