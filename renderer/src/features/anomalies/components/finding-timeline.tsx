import type { Anomaly } from "@wardline/api/wardline/console/v1/anomalies";
import { AnomalySeverity } from "@wardline/api/wardline/v1/anomaly";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { formatClock, formatShortDateTime, SEVERITY_NAMES } from "../../../ui/index.ts";

const DAY_MS = 86_400_000;
const LANES = [AnomalySeverity.CRITICAL, AnomalySeverity.HIGH, AnomalySeverity.MEDIUM, AnomalySeverity.LOW] as const;

interface FindingTimelineProps {
  readonly anomalies: readonly Anomaly[];
  readonly nowMs: number;
  /** Of the window; `null` = as far back as the findings go, at least a day. */
  readonly lastMs: number | null;
  readonly onOpen: (findingId: string) => void;
}

/** When it was, a lane for each severity. The list under it says the same in words. */
export function FindingTimeline({ anomalies, nowMs, lastMs, onOpen }: FindingTimelineProps) {
  const oldestMs = Math.min(nowMs - DAY_MS, ...anomalies.map(({ finding }) => optionalMs(finding?.beganAt) ?? nowMs));
  const fromMs = lastMs === null ? oldestMs : nowMs - lastMs;
  const spanMs = nowMs - fromMs;
  const place = (timeMs: number) => Math.min(1, Math.max(0, (timeMs - fromMs) / spanMs)) * 100;
  // A day ago the clock showed the same as now.
  const time = spanMs < DAY_MS ? formatClock : formatShortDateTime;
  return (
    <div className="finding-timeline" aria-hidden="true">
      {LANES.map((lane) => (
        <div key={lane} className="finding-lane">
          <span className="finding-lane-name faint">{SEVERITY_NAMES[lane]}</span>
          <div className="finding-lane-bars" data-severity={SEVERITY_NAMES[lane]}>
            {anomalies.map(({ hostId, finding }) => {
              if (finding?.severity !== lane) return null;
              const beganMs = optionalMs(finding.beganAt) ?? nowMs;
              const endedMs = optionalMs(finding.lastAt) ?? beganMs;
              const left = place(beganMs);
              return (
                <button
                  key={`${hostId} ${finding.id}`}
                  type="button"
                  tabIndex={-1}
                  className="finding-bar"
                  title={finding.sentence.slice(0, 300)}
                  style={{ left: `min(${left}%, calc(100% - 6px))`, width: `${Math.max(0, place(endedMs) - left)}%` }}
                  onClick={() => onOpen(finding.id)}
                />
              );
            })}
          </div>
        </div>
      ))}
      <div className="finding-scale faint">
        <span>{time(fromMs)}</span>
        <span>now</span>
      </div>
    </div>
  );
}
