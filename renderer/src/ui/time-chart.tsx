import { useEffect, useId, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { ScrollRegion } from "./scroll-region.tsx";
import "./time-chart.css";
import { formatAxisTimes, formatDateTime } from "./time.ts";

export type ChartTone = "accent" | "allow" | "deny" | "observed" | "unknown";

export interface ChartLine {
  readonly name: string;
  readonly tone: ChartTone;
  /** One for each time; `null` = not known. */
  readonly values: readonly (number | null)[];
  readonly shape?: "line" | "bars";
}

interface TimeChartProps {
  /** What the chart says, in a sentence: canvases are not read aloud. */
  readonly summary: string;
  readonly timesMs: readonly number[];
  readonly lines: readonly ChartLine[];
  /** Where values usually lie. */
  readonly band?: { readonly low: readonly number[]; readonly high: readonly number[] } | undefined;
  readonly format: (value: number) => string;
  /** On the axis, where there is little room; else as `format`. */
  readonly formatTick?: (value: number) => string;
  readonly height?: number;
  /** Somebody marked a stretch of time (Unix ms). */
  readonly onSelect?: (fromMs: number, untilMs: number) => void;
}

const TABLE_ROWS = 200;

/** Lines over time, and the same numbers as a table. */
export function TimeChart(props: TimeChartProps) {
  const { summary, timesMs, lines, band, format, formatTick = format, height = 150, onSelect } = props;
  const holder = useRef<HTMLDivElement>(null);
  const theme = useThemeName();
  const summaryId = useId();
  const select = useRef(onSelect);
  select.current = onSelect;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another theme is another set of colours on the canvas.
  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    const width = Math.max(120, element.clientWidth);
    const plot = new uPlot(optionsOf({ lines, hasBand: band !== undefined, formatTick, width, height, select }), [
      timesMs.map((timeMs) => timeMs / 1000),
      ...(band ? [[...band.high], [...band.low]] : []),
      ...lines.map(({ values }) => [...values]),
    ]);
    element.append(plot.root);
    const observer = new ResizeObserver(() => plot.setSize({ width: Math.max(120, element.clientWidth), height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [timesMs, lines, band, formatTick, height, theme]);
  return (
    <figure className="time-chart">
      <div ref={holder} style={{ minHeight: height }} role="img" aria-labelledby={summaryId} />
      <figcaption>
        <ul className="chart-legend" aria-hidden="true">
          {lines.map(({ name, tone, shape }) => (
            <li key={name} data-tone={tone}>
              <span className="chart-swatch" data-shape={shape ?? "line"} />
              {name}
            </li>
          ))}
          {band ? (
            <li data-tone="unknown">
              <span className="chart-swatch" data-shape="band" />
              usual
            </li>
          ) : null}
        </ul>
        <span id={summaryId} className="visually-hidden">
          {summary}
        </span>
        <ChartTable timesMs={timesMs} lines={lines} band={band} format={format} />
      </figcaption>
    </figure>
  );
}

/** Made when it is opened: most people look at the picture. */
function ChartTable({ timesMs, lines, band, format }: Pick<TimeChartProps, "timesMs" | "lines" | "format" | "band">) {
  const [isOpen, setOpen] = useState(false);
  const rows = timesMs.slice(-TABLE_ROWS);
  const offset = timesMs.length - rows.length;
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>The numbers as a table</summary>
      {isOpen ? (
        <ScrollRegion className="chart-table" label="The numbers of the chart">
          <table>
            <thead>
              <tr>
                <th scope="col">Time</th>
                {lines.map(({ name }) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
                {band ? <th scope="col">usual</th> : null}
              </tr>
            </thead>
            <tbody>
              {rows.map((timeMs, index) => (
                <tr key={timeMs}>
                  <td>{formatDateTime(timeMs)}</td>
                  {lines.map(({ name, values }) => {
                    const value = values[index + offset];
                    return <td key={name}>{value === null || value === undefined ? "–" : format(value)}</td>;
                  })}
                  {band ? (
                    <td>
                      {format(band.low[index + offset] ?? 0)} to {format(band.high[index + offset] ?? 0)}
                    </td>
                  ) : null}
                </tr>
              ))}
            </tbody>
          </table>
          {offset > 0 ? <p className="faint">{offset} earlier points are in the picture only.</p> : null}
        </ScrollRegion>
      ) : null}
    </details>
  );
}

interface PlotNeeds {
  readonly lines: readonly ChartLine[];
  readonly hasBand: boolean;
  readonly formatTick: (value: number) => string;
  readonly width: number;
  readonly height: number;
  readonly select: { readonly current: TimeChartProps["onSelect"] };
}

function optionsOf({ lines, hasBand, formatTick, width, height, select }: PlotNeeds): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const font = `11px ${color("font-text")}`;
  const axis = { stroke: color("text-faint"), font, grid: { stroke: color("line"), width: 1 }, ticks: { show: false } };
  const bars = uPlot.paths.bars?.({ size: [0.8, 24], align: 1 });
  const bandSeries: uPlot.Series[] = hasBand
    ? [
        { stroke: "transparent", points: { show: false } },
        { stroke: "transparent", points: { show: false } },
      ]
    : [];
  return {
    width,
    height,
    legend: { show: false },
    cursor: { y: false, drag: { x: select.current !== undefined, y: false, setScale: false } },
    scales: { x: { time: true }, y: { range: (_, __, highest) => [0, highest > 0 ? highest * 1.08 : 1] } },
    axes: [
      { ...axis, size: 26, space: 90, values: (_, ticks) => formatAxisTimes(ticks.map((second) => second * 1000)) },
      { ...axis, size: 58, values: (_, ticks) => ticks.map(formatTick) },
    ],
    ...(hasBand ? { bands: [{ series: [1, 2], fill: color("unknown-wash") }] } : {}),
    series: [
      {},
      ...bandSeries,
      ...lines.map(({ tone, shape }): uPlot.Series => {
        const stroke = color(tone);
        const common = { stroke, width: 1.5, points: { show: false }, spanGaps: false };
        return shape === "bars" && bars ? { ...common, fill: stroke, paths: bars } : common;
      }),
    ],
    hooks: {
      setSelect: [
        (plot) => {
          const { left, width: marked } = plot.select;
          if (marked < 4) return;
          const fromMs = plot.posToVal(left, "x") * 1000;
          const untilMs = plot.posToVal(left + marked, "x") * 1000;
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          select.current?.(Math.floor(fromMs), Math.ceil(untilMs));
        },
      ],
    },
  };
}

/** Changes when the theme does, so that canvases are drawn anew. */
function useThemeName(): string {
  const [theme, setTheme] = useState(themeOfPage);
  useEffect(() => {
    const observer = new MutationObserver(() => setTheme(themeOfPage()));
    observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => observer.disconnect();
  }, []);
  return theme;
}

function themeOfPage(): string {
  return document.documentElement.dataset.theme ?? "";
}
