/** Findings and models as a host sends them, made fit to be kept and shown: it speaks of itself only, and of possible times. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type AnomalyModelStatus,
  AnomalyModelStatusSchema,
  type AnomalySettings,
  AnomalySettingsSchema,
  AnomalySeverity,
  type Finding,
  FindingSchema,
  FindingState,
} from "@wardline/api/wardline/v1/anomaly";
import { timestampOf } from "@wardline/domain/wire";
import { boundMessage } from "../agent/bounded-message.ts";

const BOUNDS = {
  maxItems: 100,
  maxTextLength: 2_048,
  maxTotalLength: 128 * 1024,
  itemsOf: { evidence: 50, series: 300, features: 40, feedback: 20, actions: 16, chainFindingIds: 50 },
};
const ID = /^[A-Za-z0-9._:/-]{1,200}$/;
/** Clocks differ; a day is no difference of clocks. */
const LATEST_AHEAD_MS = 86_400_000;

/** Changes the given finding. `null` = it cannot be one: it has no id that can be asked for again. */
export function boundFinding(finding: Finding, hostName: string, nowMs: number): Finding | null {
  boundMessage(FindingSchema, finding, BOUNDS);
  if (!ID.test(finding.id)) return null;
  finding.host = hostName;
  finding.chainFindingIds = finding.chainFindingIds.filter((id) => ID.test(id));
  finding.score = bounded(finding.score, 0, 1);
  finding.falseAlarmsPerDay = bounded(finding.falseAlarmsPerDay, 0, 1e6);
  if (!(finding.severity >= AnomalySeverity.LOW && finding.severity <= AnomalySeverity.CRITICAL))
    finding.severity = AnomalySeverity.LOW;
  if (finding.state !== FindingState.OVER) finding.state = FindingState.ONGOING;
  finding.port = Math.min(finding.port, 0xffff);
  for (const feature of finding.features) {
    feature.value = bounded(feature.value);
    feature.normalLow = bounded(feature.normalLow);
    feature.normalHigh = bounded(feature.normalHigh);
    feature.contribution = bounded(feature.contribution, 0, 1);
  }
  for (const point of finding.series) {
    point.value = bounded(point.value);
    point.normalLow = bounded(point.normalLow);
    point.normalHigh = bounded(point.normalHigh);
  }
  boundTimes(finding, nowMs);
  return finding;
}

/** What lies in the future counts as now; began, then detected and seen last. */
function boundTimes(finding: Finding, nowMs: number): void {
  const latestMs = nowMs + LATEST_AHEAD_MS;
  const of = (time: Finding["beganAt"], usualMs: number) => {
    const ms = time ? timestampMs(time) : usualMs;
    return ms > latestMs ? nowMs : ms;
  };
  const detectedMs = of(finding.detectedAt, nowMs);
  const beganMs = Math.min(of(finding.beganAt, detectedMs), detectedMs);
  finding.detectedAt = timestampOf(detectedMs);
  finding.beganAt = timestampOf(beganMs);
  finding.lastAt = timestampOf(Math.max(of(finding.lastAt, detectedMs), beganMs));
}

function bounded(value: number, low = -Number.MAX_VALUE, high = Number.MAX_VALUE): number {
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : 0;
}

/** Changes the given status. */
export function boundModel(model: AnomalyModelStatus): AnomalyModelStatus {
  boundMessage(AnomalyModelStatusSchema, model, { maxItems: 32, maxTextLength: 1_024, maxTotalLength: 8_192 });
  model.targetFalseAlarmsPerDay = bounded(model.targetFalseAlarmsPerDay, 0, 1e6);
  return model;
}

/** Changes the given settings. */
export function boundSettings(settings: AnomalySettings): AnomalySettings {
  boundMessage(AnomalySettingsSchema, settings, { maxItems: 32 });
  settings.targetFalseAlarmsPerDay = bounded(settings.targetFalseAlarmsPerDay, 0, 1e6);
  return settings;
}
