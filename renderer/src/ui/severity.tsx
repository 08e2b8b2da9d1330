import { AnomalySeverity } from "@wardline/api/wardline/v1/anomaly";
import "./severity.css";

export const SEVERITY_NAMES: Record<AnomalySeverity, string> = {
  [AnomalySeverity.UNSPECIFIED]: "unknown",
  [AnomalySeverity.LOW]: "low",
  [AnomalySeverity.MEDIUM]: "medium",
  [AnomalySeverity.HIGH]: "high",
  [AnomalySeverity.CRITICAL]: "critical",
};

const SHAPES: Record<AnomalySeverity, React.ReactNode> = {
  [AnomalySeverity.UNSPECIFIED]: <circle cx="6" cy="6" r="3.6" fill="none" stroke="currentColor" strokeWidth="1.6" />,
  [AnomalySeverity.LOW]: <path d="M2 6h8" stroke="currentColor" strokeWidth="2.4" />,
  [AnomalySeverity.MEDIUM]: <path d="M6 1.4 11 10.4H1Z" fill="currentColor" />,
  [AnomalySeverity.HIGH]: <rect x="2" y="2" width="8" height="8" rx="0.5" fill="currentColor" />,
  [AnomalySeverity.CRITICAL]: (
    <path d="M6 0.6 11.4 6 6 11.4 0.6 6Z M6 3v3.4 M6 8.2v.6" fill="currentColor" fillRule="evenodd" />
  ),
};

/** The one mark for how bad something is: a colour and a shape. */
export function SeverityMark({ severity, hasWords = true }: { severity: AnomalySeverity; hasWords?: boolean }) {
  return (
    <span className="severity" data-severity={SEVERITY_NAMES[severity]}>
      <svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
        {SHAPES[severity]}
      </svg>
      <span className={hasWords ? undefined : "visually-hidden"}>{SEVERITY_NAMES[severity]}</span>
    </span>
  );
}
