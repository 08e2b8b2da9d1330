import type { Anomaly, AnomalyList } from "@wardline/api/wardline/console/v1/anomalies";
import { AnomalySeverity, DetectorKind, FindingState } from "@wardline/api/wardline/v1/anomaly";
import { Radar } from "lucide-react";
import { memo, useState } from "react";
import { useActivity, useConsoleNow } from "../../../data/context.tsx";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  EmptyState,
  formatMoment,
  formatQuantity,
  Moment,
  SEVERITY_NAMES,
  Select,
  SeverityMark,
  Skeleton,
  Tag,
  visibleText,
} from "../../../ui/index.ts";
import { isOpen } from "../model/open.ts";
import { DETECTOR_NAMES } from "../model/words.ts";
import { FindingDetail } from "./finding-detail.tsx";
import { FindingTimeline } from "./finding-timeline.tsx";
import { ModelSection } from "./model-section.tsx";

type Shown = "open" | "all";
const SHOWN = [
  { value: "open", label: "Not judged yet" },
  { value: "all", label: "All" },
] as const;
const LEAST = [AnomalySeverity.LOW, AnomalySeverity.MEDIUM, AnomalySeverity.HIGH, AnomalySeverity.CRITICAL] as const;

/** Left what was found, over time and as a list; right the one that is looked at. */
export function FindingsTab() {
  const { anomalies } = useActivity();
  if (anomalies === null) return <Skeleton rows={12} label="Asking the hosts for findings" />;
  return <Findings list={anomalies} />;
}

function Findings({ list }: { list: AnomalyList }) {
  const { findingId, openFinding, scopeHostId, lastMs } = useWindow();
  const nowMs = useConsoleNow();
  const [shown, setShown] = useState<Shown>("all");
  const [least, setLeast] = useState<string>(String(AnomalySeverity.LOW));
  const [detector, setDetector] = useState<string>("0");
  const rows = list.anomalies.filter((anomaly) => {
    const { finding } = anomaly;
    if (!finding || finding.severity < Number(least)) return false;
    if (shown === "open" && !isOpen(anomaly)) return false;
    if (detector !== "0" && finding.detector !== Number(detector)) return false;
    if (scopeHostId !== null && anomaly.hostId !== scopeHostId) return false;
    return lastMs === null || (optionalMs(finding.lastAt) ?? 0) >= nowMs - lastMs;
  });
  const detectors = [...new Set(list.anomalies.map(({ finding }) => finding?.detector ?? DetectorKind.UNSPECIFIED))];
  // A finding that the list no longer has is asked for by its id alone.
  const selected = list.anomalies.find(({ finding }) => finding?.id === findingId) ?? null;
  if (list.anomalies.length === 0) {
    return (
      <div className="findings-none scroll">
        <ModelSection models={list.models} />
        <EmptyState picture={<Radar size={44} strokeWidth={1.2} />} title="Nothing unusual was found">
          {list.models.length === 0
            ? "No host with an agent that looks for anomalies is connected."
            : "Every host looks at its own flows, also while this window is closed. Scans, beacons and the like are found from the first minute; what is compared with habit needs the habit first."}
        </EmptyState>
      </div>
    );
  }
  return (
    <div className="findings" data-detail={findingId === null ? undefined : ""}>
      <div className="findings-main scroll">
        <ModelSection models={list.models} />
        <FindingTimeline anomalies={rows} nowMs={nowMs} lastMs={lastMs} onOpen={openFinding} />
        <search className="findings-filter" aria-label="Filter findings">
          <Select label="State" isLabelHidden value={shown} onChange={setShown} choices={SHOWN} />
          <Select
            label="Least severity"
            isLabelHidden
            value={least}
            onChange={setLeast}
            choices={LEAST.map((severity) => ({
              value: String(severity),
              label: severity === AnomalySeverity.LOW ? "Any severity" : `${SEVERITY_NAMES[severity]} and worse`,
            }))}
          />
          <Select
            label="Kind"
            isLabelHidden
            value={detector}
            onChange={setDetector}
            choices={[
              { value: "0", label: "Every kind" },
              ...detectors.map((kind) => ({ value: String(kind), label: DETECTOR_NAMES[kind] })),
            ]}
          />
          <span className="faint">
            {formatQuantity(rows.length, "finding")}
            {rows.length < Number(list.total) ? ` of ${formatQuantity(list.total, "kept one")}` : ""}
          </span>
        </search>
        {rows.length === 0 ? (
          <p className="soft findings-no-match">Nothing matches the filter, the scope and the time range.</p>
        ) : (
          <ul className="finding-list" aria-label="Findings, newest first">
            {rows.map((anomaly) => (
              <FindingRow
                key={`${anomaly.hostId} ${anomaly.finding?.id}`}
                anomaly={anomaly}
                when={momentOf(anomaly, nowMs)}
                isSelected={anomaly.finding?.id === findingId}
              />
            ))}
          </ul>
        )}
      </div>
      {findingId === null ? null : (
        <FindingDetail key={findingId} findingId={findingId} known={selected} onClose={() => openFinding(null)} />
      )}
    </div>
  );
}

interface FindingRowProps {
  readonly anomaly: Anomaly;
  /** Text, so that a row is drawn anew only when it reads differently. */
  readonly when: string;
  readonly isSelected: boolean;
}

const FindingRow = memo(function FindingRow({ anomaly, when, isSelected }: FindingRowProps) {
  const openFinding = useWindow((state) => state.openFinding);
  const { finding } = anomaly;
  if (!finding) return null;
  const judged = finding.feedback[0];
  const lastMs = optionalMs(finding.lastAt);
  return (
    <li>
      <button
        type="button"
        className="finding-row"
        aria-current={isSelected ? "true" : undefined}
        data-judged={isOpen(anomaly) ? undefined : ""}
        onClick={() => openFinding(finding.id)}
      >
        <span className="finding-row-head">
          <SeverityMark severity={finding.severity} />
          <span className="soft">{DETECTOR_NAMES[finding.detector]}</span>
          <span className="truncate soft">{visibleText(finding.host)}</span>
          {finding.state === FindingState.ONGOING ? <Tag tone="observed">goes on</Tag> : null}
          {isOpen(anomaly) || !judged ? null : <Tag>{judged.kind === 1 ? "normal here" : "confirmed"}</Tag>}
          <span className="finding-row-time faint">
            {lastMs === null ? when : <Moment timeMs={lastMs} text={when} />}
          </span>
        </span>
        <span className="finding-row-sentence">{visibleText(finding.sentence)}</span>
      </button>
    </li>
  );
});

function momentOf({ finding }: Anomaly, nowMs: number): string {
  const lastMs = optionalMs(finding?.lastAt);
  return lastMs === null ? "" : formatMoment(lastMs, nowMs);
}
