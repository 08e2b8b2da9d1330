import type { Anomaly, AnomalyList } from "@wardline/api/wardline/console/v1/anomalies";
import { AnomalySeverity, FeedbackKind } from "@wardline/api/wardline/v1/anomaly";

/** Nobody has said yet what it is. */
export function isOpen({ finding }: Anomaly): boolean {
  const said = finding?.feedback[0]?.kind ?? FeedbackKind.UNDO;
  return said === FeedbackKind.UNDO || said === FeedbackKind.UNSPECIFIED;
}

/** How many wait for a person: of medium severity and worse, that nobody judged. */
export function openFindings(list: AnomalyList | null): number {
  return (list?.openBySeverity ?? []).reduce(
    (sum, count, severity) => (severity >= AnomalySeverity.MEDIUM ? sum + count : sum),
    0,
  );
}

/** Open ones of high severity and worse, worst and newest first. */
export function worstOpen(list: AnomalyList | null): readonly Anomaly[] {
  return (list?.anomalies ?? [])
    .filter((anomaly) => isOpen(anomaly) && (anomaly.finding?.severity ?? 0) >= AnomalySeverity.HIGH)
    .sort((a, b) => (b.finding?.severity ?? 0) - (a.finding?.severity ?? 0));
}
