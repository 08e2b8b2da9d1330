/** Alerts, silences, rules and deliveries as people read them in a terminal. */
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import * as api from "@wardline/api/wardline/console/v1/alerts";
import { AnomalySeverity } from "@wardline/api/wardline/v1/anomaly";
import type { Output } from "../output.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";

export const SEVERITY_WORDS = ["", "low", "medium", "high", "critical"] as const;

export function severityOf(severity: AnomalySeverity): string {
  return SEVERITY_WORDS[severity] ?? "";
}

/** `2026-08-01 12:00:05`, in UTC as everywhere on the command line. */
export function timeOf(timestamp: Timestamp | undefined): string {
  return timestamp ? `${new Date(timestampMs(timestamp)).toISOString().slice(0, 19).replace("T", " ")}Z` : "";
}

export function alertTable({ style }: Output, alerts: readonly api.Alert[]): string {
  const rows = alerts.map((alert) => {
    const severity = severityOf(alert.severity);
    const isBad = alert.severity >= AnomalySeverity.HIGH && alert.state === api.AlertState.FIRING;
    return [
      alert.id.slice(0, 8),
      isBad ? { text: severity, paint: style.red } : severity,
      stateOf(alert),
      timeOf(alert.beganAt),
      alert.rule,
      alert.host,
      alert.sentence,
    ];
  });
  return formatTable(["ID", "SEVERITY", "STATE", "SINCE", "RULE", "HOST", "WHAT"], rows);
}

export function stateOf({ state, silencedBy, acknowledgedBy }: api.Alert): string {
  if (state === api.AlertState.RESOLVED) return "over";
  if (state === api.AlertState.PENDING) return "pending";
  if (silencedBy !== "") return "silenced";
  return acknowledgedBy === "" ? "firing" : `acknowledged by ${acknowledgedBy}`;
}

const RESULT_WORDS: Record<api.DeliveryResult, string> = {
  [api.DeliveryResult.UNSPECIFIED]: "",
  [api.DeliveryResult.ACCEPTED]: "accepted",
  [api.DeliveryResult.HANDED_OVER]: "handed over",
  [api.DeliveryResult.FAILED]: "failed",
  [api.DeliveryResult.RETRYING]: "waits",
};

export function deliveryWords({ result, detail, attempts, time }: api.Delivery): string {
  const times = attempts > 1 ? `, ${attempts} attempts` : "";
  return `${RESULT_WORDS[result]} ${timeOf(time)}${times}: ${visible(detail)}`;
}

export function sayProblems(output: Output, problems: readonly string[]): void {
  for (const problem of problems) output.note(visible(problem));
}
