/** `wardline anomaly backtest` */
import { create, toJson } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type BacktestResponse,
  BacktestResponseSchema,
  type BacktestRun,
} from "@wardline/api/wardline/console/v1/anomalies";
import { type AnomalySettings, AnomalySettingsSchema } from "@wardline/api/wardline/v1/anomaly";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { AnomalyBacktestOptions } from "./anomaly.options.ts";
import { detectorOf, detectorWord, formatFindings } from "./anomaly-view.ts";

const LISTED = 50;

/** Exit code 1 when the history does not have all of that time. */
export async function anomalyBacktest(output: Output, options: AnomalyBacktestOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const { host, since, until, warmUp } = options;
    const hostIds = host === undefined ? [] : [session.backend.registry.byIdOrName(host).id];
    const nowMs = Date.now();
    const settings = settingsOf(options.falseAlarms, options.learningHours, options.disable);
    const other = otherOf(options);
    const ending = new AbortController();
    const end = () => ending.abort();
    process.once("SIGINT", end);
    let last: BacktestResponse | null = null;
    try {
      const request = {
        ...{ hostIds, settings, warmUpHours: warmUp ?? 0 },
        ...(other ? { otherSettings: other } : {}),
        since: timestampFromMs(nowMs - since),
        until: timestampFromMs(nowMs - until),
      };
      for await (const message of session.anomalies.backtest(request, { signal: ending.signal })) {
        last = message;
        if (output.isTerminal) output.note(`${Math.floor(message.progress * 100)} %, ${message.records} records`);
      }
    } finally {
      process.off("SIGINT", end);
    }
    if (!last?.run) return EXIT.problems;
    if (output.format === "json") output.json(toJson(BacktestResponseSchema, last));
    else write(output, last, last.run);
    return last.gaps.length === 0 ? EXIT.done : EXIT.problems;
  });
}

function settingsOf(
  falseAlarms: number | undefined,
  learningHours: number | undefined,
  disable: readonly string[],
): AnomalySettings {
  return create(AnomalySettingsSchema, {
    targetFalseAlarmsPerDay: falseAlarms ?? 0,
    learningHours: learningHours ?? 0,
    disabled: disable.map(detectorOf),
  });
}

function otherOf(options: AnomalyBacktestOptions): AnomalySettings | null {
  const { compareFalseAlarms, compareDisable, falseAlarms, learningHours, disable } = options;
  if (compareFalseAlarms === undefined && compareDisable.length === 0) return null;
  return settingsOf(
    compareFalseAlarms ?? falseAlarms,
    learningHours,
    compareDisable.length > 0 ? compareDisable : disable,
  );
}

function write(
  output: Output,
  { records, otherRun, onlyFirst, onlyOther, gaps }: BacktestResponse,
  run: BacktestRun,
): void {
  if (run.findings.length > 0) {
    const shown = run.findings
      .slice(0, LISTED)
      .map((finding) => ({ $typeName: "wardline.console.v1.Anomaly" as const, hostId: "", finding }));
    output.text(`${formatFindings(shown, output.style)}\n`);
  }
  output.text(summary(run, otherRun));
  output.text(`${records} records were looked at.\n`);
  if (otherRun) {
    output.text(
      `Only with the first settings: ${onlyFirst.length} findings. Only with the others: ${onlyOther.length}.\n`,
    );
  }
  for (const gap of gaps) output.note(visible(gap));
}

function summary(run: BacktestRun, other: BacktestRun | undefined): string {
  const detectors = [
    ...new Set([...run.byDetector, ...(other?.byDetector ?? [])].map(({ detector }) => detector)),
  ].sort();
  const countOf = (of: BacktestRun, detector: number) =>
    String(of.byDetector.find((each) => each.detector === detector)?.count ?? 0n);
  const header = ["DETECTOR", "FINDINGS", ...(other ? ["OTHERS"] : [])];
  const rows = detectors.map((detector) => [
    detectorWord(detector),
    countOf(run, detector),
    ...(other ? [countOf(other, detector)] : []),
  ]);
  const total = ["all", String(run.findingCount), ...(other ? [String(other.findingCount)] : [])];
  const rate = [
    "per host and day",
    run.findingsPerHostDay.toFixed(2),
    ...(other ? [other.findingsPerHostDay.toFixed(2)] : []),
  ];
  return formatTable(header, [...rows, total, rate]);
}
