/** `wardline.v1.HealingRun`, `HealingSettings` and `HealingKnowledge`, and the plain values of the healing loop. */
import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import * as api from "@wardline/api/wardline/v1/mesh";
import { medianRepairTimeMs } from "../mesh/healing/knowledge.ts";
import {
  type HealingCandidate,
  HealingMode,
  type HealingRun,
  type HealingSettings,
  type HealingStep,
  type KnowledgeEntry,
  USUAL_HEALING_SETTINGS,
} from "../mesh/healing/model.ts";
import { checkHealingSettings } from "../mesh/healing/saving.ts";
import { timestampOf } from "./timestamp.ts";

export function toWireHealingRun(run: HealingRun): api.HealingRun {
  const { id, fault, target, cause, confidence, hosts, mode, state, approvedBy, coordinator } = run;
  const wire = create(api.HealingRunSchema, {
    ...{ id, fault, target, cause, confidence, hosts: [...hosts], mode, state, approvedBy, coordinator },
    candidates: run.candidates.map(toWireCandidate),
    steps: run.steps.map(toWireStep),
    firstSymptomAt: timestampOf(run.firstSymptomAtMs),
    detectedAt: timestampOf(run.detectedAtMs),
    term: BigInt(run.term),
  });
  if (run.endedAtMs !== null) wire.endedAt = timestampOf(run.endedAtMs);
  if (run.timeToRepairMs !== null) wire.timeToRepair = durationOf(run.timeToRepairMs);
  return wire;
}

export function fromWireHealingRun(wire: api.HealingRun): HealingRun {
  const { id, fault, target, cause, confidence, hosts, mode, state, approvedBy, coordinator } = wire;
  return {
    ...{ id, fault, target, cause, confidence, hosts: [...hosts], mode, state, approvedBy, coordinator },
    candidates: wire.candidates.map(fromWireCandidate),
    steps: wire.steps.map(fromWireStep),
    firstSymptomAtMs: toMs(wire.firstSymptomAt) ?? 0,
    detectedAtMs: toMs(wire.detectedAt) ?? 0,
    endedAtMs: toMs(wire.endedAt),
    timeToRepairMs: durationMs(wire.timeToRepair),
    term: wire.term.toString(),
  };
}

function toWireCandidate(candidate: HealingCandidate): api.HealingCandidate {
  const { successRate, preconditions, ...rest } = candidate;
  const wire = create(api.HealingCandidateSchema, {
    ...rest,
    preconditions: preconditions.map(({ sentence, holds }) => ({ sentence, holds })),
  });
  if (successRate !== null) wire.successRate = successRate;
  return wire;
}

function fromWireCandidate(wire: api.HealingCandidate): HealingCandidate {
  const { action, host, provider, peerUri, gatewayKey, blastRadius, tried, heldBack } = wire;
  return {
    ...{ action, host, provider, peerUri, gatewayKey, blastRadius, tried, heldBack },
    preconditions: wire.preconditions.map(({ sentence, holds }) => ({ sentence, holds })),
    successRate: wire.successRate ?? null,
  };
}

function toWireStep({ atMs, isDryRun, evidence, ...rest }: HealingStep): api.HealingStep {
  return create(api.HealingStepSchema, { ...rest, at: timestampOf(atMs), evidence: [...evidence], dryRun: isDryRun });
}

function fromWireStep({ at, phase, sentence, action, host, outcome, evidence, dryRun }: api.HealingStep): HealingStep {
  return { atMs: toMs(at) ?? 0, phase, sentence, action, host, outcome, evidence: [...evidence], isDryRun: dryRun };
}

export function toWireHealingSettings(settings: HealingSettings): api.HealingSettings {
  return create(api.HealingSettingsSchema, {
    mode: settings.mode,
    askBefore: [...settings.askBefore],
    hold: durationOf(settings.holdMs),
    actionsPerHour: settings.actionsPerHour,
    cooldown: durationOf(settings.cooldownMs),
  });
}

/** Zero, absent and unspecified mean the usual value. @throws Failure INVALID_ARGUMENT */
export function fromWireHealingSettings(wire: api.HealingSettings | undefined): HealingSettings {
  const usual = USUAL_HEALING_SETTINGS;
  return checkHealingSettings({
    mode: wire?.mode || (usual.mode ?? HealingMode.SUGGEST),
    askBefore: wire?.askBefore ?? [],
    holdMs: durationMs(wire?.hold) || usual.holdMs,
    actionsPerHour: wire?.actionsPerHour || usual.actionsPerHour,
    cooldownMs: durationMs(wire?.cooldown) || usual.cooldownMs,
  });
}

export function toWireHealingKnowledge(entry: KnowledgeEntry): api.HealingKnowledge {
  const { fault, action, tried, healed } = entry;
  const wire = create(api.HealingKnowledgeSchema, { fault, action, tried, healed });
  const medianMs = medianRepairTimeMs(entry);
  if (medianMs !== null) wire.medianTimeToRepair = durationOf(medianMs);
  return wire;
}

function toMs(time: Timestamp | undefined): number | null {
  return time === undefined ? null : timestampMs(time);
}

function durationOf(ms: number): Duration {
  const seconds = Math.floor(ms / 1000);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) });
}

function durationMs(duration: Duration | undefined): number | null {
  return duration === undefined ? null : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
