import { DetectorKind, type Finding, type FindingFeature, ModelState } from "@wardline/api/wardline/v1/anomaly";
import { formatAge, formatBytes, formatCount } from "../../../ui/index.ts";

export const DETECTOR_NAMES: Record<DetectorKind, string> = {
  [DetectorKind.UNSPECIFIED]: "unknown",
  [DetectorKind.BASELINE]: "unusual volume",
  [DetectorKind.ISOLATION_FOREST]: "unusual mix",
  [DetectorKind.PORT_SCAN]: "port scan",
  [DetectorKind.HOST_SCAN]: "host scan",
  [DetectorKind.BEACON]: "beacon",
  [DetectorKind.EXFILTRATION]: "exfiltration",
  [DetectorKind.LATERAL_MOVEMENT]: "lateral movement",
  [DetectorKind.DENY_BURST]: "burst of denies",
  [DetectorKind.BRUTE_FORCE]: "brute force",
  [DetectorKind.NOVELTY]: "never seen before",
};

/** What each looks at, in a sentence. */
export const DETECTOR_EXPLANATIONS: Record<DetectorKind, string> = {
  [DetectorKind.UNSPECIFIED]: "This console does not know the detector: it is older than the agent.",
  [DetectorKind.BASELINE]: "Volume against the host's own habit at that hour.",
  [DetectorKind.ISOLATION_FOREST]: "A combination of quantities that this host never showed together.",
  [DetectorKind.PORT_SCAN]: "One end tries many ports of another.",
  [DetectorKind.HOST_SCAN]: "One end tries many hosts.",
  [DetectorKind.BEACON]: "Contact at regular intervals with an end that little else talks to.",
  [DetectorKind.EXFILTRATION]: "Much more leaves the host than usual.",
  [DetectorKind.LATERAL_MOVEMENT]: "Somebody comes in and goes on to hosts that this one never reached.",
  [DetectorKind.DENY_BURST]: "Policy denies much more than usual.",
  [DetectorKind.BRUTE_FORCE]: "Many short sessions with one service.",
  [DetectorKind.NOVELTY]: "A process, peer or port that this host never had.",
};

export const MODEL_STATE_NAMES: Record<ModelState, string> = {
  [ModelState.UNSPECIFIED]: "not known",
  [ModelState.UNTRAINED]: "untrained",
  [ModelState.LEARNING]: "learning",
  [ModelState.TRAINED]: "trained",
};

const NUMBER = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** `1.2 GiB`, `140 ports`, `10 s`. */
export function quantityText(value: number, unit: string): string {
  if (!Number.isFinite(value)) return "not known";
  if (unit === "bytes") return formatBytes(value);
  if (unit === "bytes/s") return `${formatBytes(value)}/s`;
  const number = Math.abs(value) >= 1000 ? formatCount(Math.round(value)) : NUMBER.format(value);
  if (unit === "") return number;
  return `${number} ${unit === "seconds" ? "s" : value === 1 ? unit.replace(/s$/, "") : unit}`;
}

export function bandText({ hasBand, normalLow, normalHigh, unit }: FindingFeature): string {
  if (!hasBand) return "what is usual is not known yet";
  if (normalLow === normalHigh) return `usually ${quantityText(normalLow, unit)}`;
  const low = unit.startsWith("bytes") ? quantityText(normalLow, unit) : quantityText(normalLow, "");
  return `usually ${low} to ${quantityText(normalHigh, unit)}`;
}

/** How rare such a thing is on this host, in words. Never more exact than the calibration is. */
export function rarityText({ isCalibrated, falseAlarmsPerDay, score }: Finding): string {
  if (!isCalibrated) return "how rare it is here is not known: the model is not calibrated";
  if (falseAlarmsPerDay <= 0) return `score ${score.toFixed(3)}`;
  if (falseAlarmsPerDay >= 1)
    return `normal traffic looks like this about ${NUMBER.format(falseAlarmsPerDay)} times a day`;
  const days = 1 / falseAlarmsPerDay;
  return days > 365
    ? "normal traffic looks like this less than once a year"
    : `normal traffic looks like this about once in ${formatAge(days * 86_400_000)}`;
}
