import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { MeshService } from "@wardline/api/wardline/console/v1/mesh";
import { Suspense, useMemo } from "react";
import { shownFailure } from "../../../data/failure.ts";
import { FailureNotice, lazyPart, Skeleton } from "../../../ui/index.ts";
import { useMinute } from "../hooks/use-minute.ts";
import { useMeshLook } from "../model/mesh-store.ts";
import { chartsOf } from "../model/series.ts";

/** Loaded with the first chart that is looked at. */
const TimeChart = lazyPart(() =>
  import("../../../ui/time-chart.tsx").then((module) => ({ default: module.TimeChart })),
);

interface SeriesChartsProps {
  readonly id: string;
  /** Names of both directions. */
  readonly there: string;
  readonly back: string;
}

/** Latency, loss and score over the slider's time, up to the minute that is looked at. */
export function SeriesCharts({ id, there, back }: SeriesChartsProps) {
  const nowMs = useMinute();
  const { spanMs, atMs } = useMeshLook();
  const untilMs = atMs ?? nowMs;
  const series = useQuery(
    MeshService.method.getMeshSeries,
    { id, from: timestampFromMs(untilMs - spanMs), to: timestampFromMs(untilMs) },
    { placeholderData: (former) => former },
  );
  const { data } = series;
  const shown = useMemo(() => (data ? chartsOf(data, { there, back }) : null), [data, there, back]);
  return (
    <section className="mesh-section" aria-labelledby={`charts-${id}`}>
      <h3 id={`charts-${id}`}>Over time</h3>
      {series.error ? (
        <FailureNotice
          isCompact
          title="Nothing to draw"
          failure={shownFailure(series.error)}
          onRetry={() => void series.refetch()}
        />
      ) : null}
      {shown === null && !series.error ? <Skeleton rows={4} label="Reading what was measured" /> : null}
      {shown?.charts.length === 0 ? <p className="soft">Nothing was measured in the time of the slider.</p> : null}
      {shown?.charts.map(({ measure, title, lines, format, summary }) => (
        <div key={measure}>
          <h4>{title}</h4>
          <Suspense fallback={<div className="mesh-chart-place" />}>
            <TimeChart summary={summary} timesMs={shown.timesMs} lines={lines} format={format} height={90} />
          </Suspense>
        </div>
      ))}
    </section>
  );
}
