/** `wardline.v1.Finding`, `AnomalySettings` and `AnomalyModelStatus`, and the plain values of the detectors. */
import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import * as api from "@wardline/api/wardline/v1/anomaly";
import type {
  AnomalySeverity,
  DetectorKind,
  Finding,
  FindingAction,
  FindingFeature,
  FindingPoint,
} from "../anomaly/finding.ts";
import { type AnomalySettings, type ModelStatus, USUAL_SETTINGS } from "../anomaly/model.ts";
import { ErrorCode, Failure } from "../errors/index.ts";
import { fromWireFlowRecord, toWireFlowRecord } from "./flow-record.ts";
import { fromWireDirection, toWireDirection } from "./policy-enums.ts";
import { timestampOf } from "./timestamp.ts";

const DETECTORS: Record<DetectorKind, api.DetectorKind> = {
  baseline: api.DetectorKind.BASELINE,
  "isolation-forest": api.DetectorKind.ISOLATION_FOREST,
  "port-scan": api.DetectorKind.PORT_SCAN,
  "host-scan": api.DetectorKind.HOST_SCAN,
  beacon: api.DetectorKind.BEACON,
  exfiltration: api.DetectorKind.EXFILTRATION,
  "lateral-movement": api.DetectorKind.LATERAL_MOVEMENT,
  "deny-burst": api.DetectorKind.DENY_BURST,
  "brute-force": api.DetectorKind.BRUTE_FORCE,
  novelty: api.DetectorKind.NOVELTY,
};
const DETECTORS_BY_WIRE = new Map(Object.entries(DETECTORS).map(([word, wire]) => [wire, word as DetectorKind]));

const SEVERITIES: Record<AnomalySeverity, api.AnomalySeverity> = {
  low: api.AnomalySeverity.LOW,
  medium: api.AnomalySeverity.MEDIUM,
  high: api.AnomalySeverity.HIGH,
  critical: api.AnomalySeverity.CRITICAL,
};
const SEVERITIES_BY_WIRE = new Map(Object.entries(SEVERITIES).map(([word, wire]) => [wire, word as AnomalySeverity]));

const MODEL_STATES: Record<ModelStatus["state"], api.ModelState> = {
  untrained: api.ModelState.UNTRAINED,
  learning: api.ModelState.LEARNING,
  trained: api.ModelState.TRAINED,
};

export const toWireDetector = (detector: DetectorKind): api.DetectorKind => DETECTORS[detector];

/** `null` for a detector that this version does not know. */
export const fromWireDetector = (wire: api.DetectorKind): DetectorKind | null => DETECTORS_BY_WIRE.get(wire) ?? null;

export const toWireSeverity = (severity: AnomalySeverity): api.AnomalySeverity => SEVERITIES[severity];

/** An unknown severity is read as a low one. */
export const fromWireSeverity = (wire: api.AnomalySeverity): AnomalySeverity => SEVERITIES_BY_WIRE.get(wire) ?? "low";

/** Without feedback and chain, which are not the detectors'. */
export function toWireFinding(finding: Finding): api.Finding {
  const { falseAlarmsPerDay, series } = finding;
  return create(api.FindingSchema, {
    id: finding.id,
    host: finding.host,
    detector: DETECTORS[finding.detector],
    severity: SEVERITIES[finding.severity],
    state: finding.state === "over" ? api.FindingState.OVER : api.FindingState.ONGOING,
    sentence: finding.sentence,
    score: finding.score,
    falseAlarmsPerDay: falseAlarmsPerDay ?? 0,
    isCalibrated: falseAlarmsPerDay !== null,
    beganAt: timestampOf(finding.beganAtMs),
    lastAt: timestampOf(finding.lastAtMs),
    detectedAt: timestampOf(finding.detectedAtMs),
    subjectKey: finding.subjectKey,
    process: finding.process,
    remote: finding.remote,
    port: finding.port,
    direction: toWireDirection(finding.direction),
    features: finding.features.map(toWireFeature),
    evidence: finding.evidence.map(toWireFlowRecord),
    evidenceTotal: BigInt(Math.max(0, Math.round(finding.evidenceTotal))),
    evidenceQuery: finding.evidenceQuery,
    actions: finding.actions.map(toWireAction),
    series: series.points.map(toWirePoint),
    seriesFeature: series.feature,
  });
}

/** A detector that this version does not know makes the finding `null`. */
export function fromWireFinding(wire: api.Finding): Finding | null {
  const detector = fromWireDetector(wire.detector);
  if (detector === null) return null;
  return {
    id: wire.id,
    host: wire.host,
    detector,
    severity: fromWireSeverity(wire.severity),
    state: wire.state === api.FindingState.OVER ? "over" : "ongoing",
    sentence: wire.sentence,
    score: wire.score,
    falseAlarmsPerDay: wire.isCalibrated ? wire.falseAlarmsPerDay : null,
    beganAtMs: toMs(wire.beganAt),
    lastAtMs: toMs(wire.lastAt),
    detectedAtMs: toMs(wire.detectedAt),
    subjectKey: wire.subjectKey,
    process: wire.process,
    remote: wire.remote,
    port: wire.port,
    direction: fromWireDirection(wire.direction),
    features: wire.features.map(fromWireFeature),
    evidence: wire.evidence.map((record) => fromWireFlowRecord(record, wire.host)),
    evidenceTotal: Number(wire.evidenceTotal),
    evidenceQuery: wire.evidenceQuery,
    actions: wire.actions.flatMap(fromWireAction),
    series: { feature: wire.seriesFeature, points: wire.series.map(fromWirePoint) },
  };
}

function toWireFeature({ normal, ...feature }: FindingFeature): api.FindingFeature {
  const band = { hasBand: normal !== null, normalLow: normal?.low ?? 0, normalHigh: normal?.high ?? 0 };
  return create(api.FindingFeatureSchema, { ...feature, ...band });
}

function fromWireFeature({ key, name, value, unit, contribution, ...band }: api.FindingFeature): FindingFeature {
  const normal = band.hasBand ? { low: band.normalLow, high: band.normalHigh } : null;
  return { key, name, value, unit, contribution, normal };
}

function toWirePoint({ timeMs, value, normalLow, normalHigh }: FindingPoint): api.FindingPoint {
  return create(api.FindingPointSchema, { time: timestampOf(timeMs), value, normalLow, normalHigh });
}

function fromWirePoint({ time, value, normalLow, normalHigh }: api.FindingPoint): FindingPoint {
  return { timeMs: toMs(time), value, normalLow, normalHigh };
}

function toWireAction(action: FindingAction): api.SuggestedAction {
  if (action.kind === "quarantine") {
    return create(api.SuggestedActionSchema, {
      action: { case: "quarantineSubjectKey", value: action.subjectKey },
    });
  }
  const { subjectKey, direction, remoteCidr, protocol, port } = action;
  const value = { subjectKey, ingress: direction === "ingress", remoteCidr, protocol, port };
  return create(api.SuggestedActionSchema, {
    action: { case: "deny", value: create(api.SuggestedAction_PolicyDraftSchema, value) },
  });
}

function fromWireAction({ action }: api.SuggestedAction): FindingAction[] {
  if (action.case === "quarantineSubjectKey") return [{ kind: "quarantine", subjectKey: action.value }];
  if (action.case !== "deny") return [];
  const { subjectKey, ingress, remoteCidr, protocol, port } = action.value;
  return [{ kind: "deny", subjectKey, direction: ingress ? "ingress" : "egress", remoteCidr, protocol, port }];
}

function toMs(time: Timestamp | undefined): number {
  return time === undefined ? 0 : timestampMs(time);
}

/** What the detectors do not know is added by whoever runs them: `problem`, the target. */
export function toWireModelStatus(
  status: ModelStatus,
  { settings, problem }: { readonly settings: AnomalySettings; readonly problem: string },
): api.AnomalyModelStatus {
  const wire = create(api.AnomalyModelStatusSchema, {
    state: MODEL_STATES[status.state],
    reason: status.reason,
    trainedWindows: BigInt(status.trainedWindows),
    excludedWindows: BigInt(status.excludedWindows),
    groupHosts: status.groupHosts,
    group: status.group,
    targetFalseAlarmsPerDay: settings.targetFalseAlarmsPerDay,
    detectors: status.detectors.map(({ detector, isEnabled, isReady, findings, suppressed }) => ({
      detector: DETECTORS[detector],
      enabled: isEnabled,
      isReady,
      findings: BigInt(findings),
      suppressed: BigInt(suppressed),
    })),
    problem,
  });
  if (status.trainedAtMs !== null) wire.trainedAt = timestampOf(status.trainedAtMs);
  if (status.learnedSinceMs !== null) wire.learnedSince = timestampOf(status.learnedSinceMs);
  return wire;
}

export function toWireSettings(settings: AnomalySettings): api.AnomalySettings {
  const { targetFalseAlarmsPerDay, learningHours } = settings;
  const disabled = settings.disabled.map(toWireDetector);
  return create(api.AnomalySettingsSchema, { targetFalseAlarmsPerDay, learningHours, disabled });
}

const LOWEST_TARGET = 0.01;
const HIGHEST_TARGET = 100;
const LONGEST_LEARNING_HOURS = 168;

/** Zero and absent mean what `usual` says. @throws Failure INVALID_ARGUMENT */
export function fromWireSettings(
  wire: api.AnomalySettings | undefined,
  usual: AnomalySettings = USUAL_SETTINGS,
): AnomalySettings {
  const target = wire?.targetFalseAlarmsPerDay || usual.targetFalseAlarmsPerDay;
  if (!(target >= LOWEST_TARGET && target <= HIGHEST_TARGET)) {
    throw invalid(`False alarms per day can be ${LOWEST_TARGET} to ${HIGHEST_TARGET}, not ${target}.`);
  }
  const learningHours = wire?.learningHours || usual.learningHours;
  if (learningHours > LONGEST_LEARNING_HOURS) {
    throw invalid(`Learning takes 1 to ${LONGEST_LEARNING_HOURS} hours, not ${learningHours}.`);
  }
  const disabled = (wire?.disabled ?? []).map((detector) => {
    const word = fromWireDetector(detector);
    if (word === null) throw invalid(`There is no detector number ${detector}.`);
    return word;
  });
  return { targetFalseAlarmsPerDay: target, learningHours, disabled: [...new Set(disabled)] };
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}
