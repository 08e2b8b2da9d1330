import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Finding } from "@wardline/api/wardline/v1/anomaly";
import { Suspense, useMemo } from "react";
import { lazyPart, visibleText } from "../../../ui/index.ts";
import { quantityText } from "../model/words.ts";

/** Loaded with the first finding that is looked at. */
const TimeChart = lazyPart(() =>
  import("../../../ui/time-chart.tsx").then((module) => ({ default: module.TimeChart })),
);

/** The main quantity over time against its usual band. */
export function FindingChart({ finding }: { finding: Finding }) {
  const feature = finding.features.find(({ key }) => key === finding.seriesFeature);
  const name = visibleText(feature?.name ?? finding.seriesFeature);
  const unit = feature?.unit ?? "";
  const { series } = finding;
  const data = useMemo(() => {
    const points = series.filter(({ time }) => time !== undefined);
    const hasBand = points.some(({ normalHigh }) => normalHigh !== 0);
    return {
      timesMs: points.map(({ time }) => (time ? timestampMs(time) : 0)),
      lines: [{ name, tone: "deny" as const, values: points.map(({ value }) => value) }],
      band: hasBand
        ? { low: points.map(({ normalLow }) => normalLow), high: points.map(({ normalHigh }) => normalHigh) }
        : undefined,
      highest: points.reduce((highest, { value }) => Math.max(highest, value), 0),
    };
  }, [series, name]);
  const format = useMemo(() => (value: number) => quantityText(value, unit), [unit]);
  const formatTick = useMemo(
    () => (value: number) => quantityText(value, unit.startsWith("bytes") ? unit : ""),
    [unit],
  );
  return (
    <section className="finding-section" aria-labelledby="finding-chart">
      <h3 id="finding-chart">Over time: {name}</h3>
      <Suspense fallback={<div style={{ height: 150 }} />}>
        <TimeChart
          summary={`${name} over time, at most ${format(data.highest)}.`}
          timesMs={data.timesMs}
          lines={data.lines}
          band={data.band}
          format={format}
          formatTick={formatTick}
        />
      </Suspense>
    </section>
  );
}
