/** From series of the backend to the lines of charts: both directions in one chart for each measure. Pure. */

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { GetMeshSeriesResponse } from "@wardline/api/wardline/console/v1/mesh";
import type { ChartLine } from "../../../ui/time-chart.tsx";
import { bitRateText, latencyText, scoreText, shareText } from "./words.ts";

export interface MeshChart {
  readonly measure: string;
  readonly title: string;
  readonly summary: string;
  readonly lines: readonly ChartLine[];
  readonly format: (value: number) => string;
}

const MEASURES: readonly { measure: string; title: string; format: (value: number) => string }[] = [
  { measure: "latency_ms", title: "Latency", format: latencyText },
  { measure: "loss", title: "Loss", format: shareText },
  { measure: "score", title: "Score, 0 to 100", format: scoreText },
  { measure: "links_up", title: "Links up", format: scoreText },
  { measure: "throughput_bits_per_second", title: "Throughput", format: bitRateText },
];

const TONES = ["accent", "observed", "allow", "unknown"] as const;

/** `there` and `back` name the two directions. Measures without a single value are left out. */
export function chartsOf(
  { series, times }: GetMeshSeriesResponse,
  names: { readonly there: string; readonly back: string },
): { readonly timesMs: readonly number[]; readonly charts: readonly MeshChart[] } {
  const charts = MEASURES.flatMap(({ measure, title, format }): MeshChart[] => {
    const lines = series
      .filter((each) => each.measure === measure && each.values.some(Number.isFinite))
      .slice(0, TONES.length)
      .map(
        ({ direction, values }, index): ChartLine => ({
          name: direction === "a→b" ? names.there : direction === "b→a" ? names.back : title,
          tone: TONES[index] ?? "unknown",
          values: times.map((_, at) => known(values[at])),
        }),
      );
    return lines.length === 0 ? [] : [{ measure, title, format, lines, summary: summaryOf(title, lines, format) }];
  });
  return { timesMs: times.map(timestampMs), charts };
}

const known = (value: number | undefined) => (value !== undefined && Number.isFinite(value) ? value : null);

function summaryOf(title: string, lines: readonly ChartLine[], format: (value: number) => string): string {
  const parts = lines.map(({ name, values }) => {
    const measured = values.filter((value) => value !== null);
    const last = measured.at(-1);
    const range = `${format(Math.min(...measured))} to ${format(Math.max(...measured))}`;
    return `${name}: ${range}${last === undefined ? "" : `, at last ${format(last)}`}`;
  });
  return `${title}. ${parts.join("; ")}.`;
}
