import { useQuery } from "@connectrpc/connect-query";
import { skipToken } from "@tanstack/react-query";
import { HistoryService } from "@wardline/api/wardline/console/v1/history";
import { memo, useEffect, useMemo, useState } from "react";
import { shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { FailureNotice, formatCount, formatQuantity } from "../../../ui/index.ts";
import { type ChartLine, TimeChart } from "../../../ui/time-chart.tsx";
import { type HistoryRange, toWireQuery } from "../model/history-range.ts";

interface HistoryChartProps {
  readonly text: string;
  readonly range: HistoryRange;
  /** It stays what it is, and asks nothing: others are waited for. */
  readonly isHeld: boolean;
  readonly onMark: (fromMs: number, untilMs: number) => void;
}

/** The rows are drawn first; a window that is never idle asks all the same. */
const MOST_PUT_OFF_MS = 200;

const formatNumber = (value: number) => formatCount(Math.round(value));

/** When it was: connections and denied packets over the range. Mark a stretch to look at only that. */
export const HistoryChart = memo(function HistoryChart({ text, range, isHeld, onMark }: HistoryChartProps) {
  const [asked, setAsked] = useState<{ readonly text: string; readonly range: HistoryRange } | null>(null);
  useEffect(() => {
    // Without a question, an earlier one that is still being answered ends, in the backend as well.
    if (isHeld) return setAsked(null);
    const whenIdle = requestIdleCallback(() => setAsked({ text, range }), { timeout: MOST_PUT_OFF_MS });
    return () => cancelIdleCallback(whenIdle);
  }, [text, range, isHeld]);
  const series = useQuery(
    HistoryService.method.getSeries,
    asked === null ? skipToken : { query: toWireQuery(asked.text, asked.range), points: 120 },
    { placeholderData: (former) => former },
  );
  const { data } = series;
  const chart = useMemo(() => {
    const startMs = optionalMs(data?.start) ?? 0;
    const stepMs = (data?.stepSeconds ?? 60) * 1000;
    const line = data?.lines[0];
    const connections = line?.connections ?? [];
    const denied = line?.deniedPackets ?? [];
    const lines: ChartLine[] = [
      { name: "connections", tone: "allow", shape: "bars", values: connections },
      { name: "denied packets", tone: "deny", values: denied },
    ];
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    return {
      timesMs: connections.map((_, index) => startMs + index * stepMs),
      lines,
      summary: `${formatQuantity(sum(connections), "connection")} and ${formatQuantity(sum(denied), "denied packet")} in the time range.`,
    };
  }, [data]);
  if (series.error) {
    return (
      <FailureNotice
        isCompact
        title="Nothing to draw"
        failure={shownFailure(series.error)}
        onRetry={() => void series.refetch()}
      />
    );
  }
  if (chart.timesMs.length === 0) return <div className="history-chart-place" />;
  return (
    <TimeChart
      summary={chart.summary}
      timesMs={chart.timesMs}
      lines={chart.lines}
      format={formatNumber}
      height={96}
      onSelect={onMark}
    />
  );
});
