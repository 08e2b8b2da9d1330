import { toJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type HistoryHost,
  type HistoryPartition,
  HistoryResolution,
  type HistoryStatus,
  HistoryStatusSchema,
} from "@wardline/api/wardline/console/v1/history";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import type { CommonOptions } from "../registration.ts";
import { withSession } from "../session.ts";
import { formatBytes, formatCount } from "../terminal/amounts.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import { fetchNewest } from "./flows-fetch.ts";
import { formatTime } from "./flows-query.ts";
import { retentionText } from "./flows-retention.ts";

const NAMES: readonly (readonly [HistoryResolution, string])[] = [
  [HistoryResolution.RECORD, "records"],
  [HistoryResolution.MINUTE, "minutes"],
  [HistoryResolution.HOUR, "hours"],
  [HistoryResolution.DAY, "days"],
];

/** `wardline flows stats`. Exit code 1 when something needs a person. */
export async function flowsStats(output: Output, options: CommonOptions): Promise<ExitCode> {
  return withSession(options, { collectFlows: true }, async (session) => {
    await fetchNewest(session, options);
    const { status } = await session.history.getHistoryStatus({});
    if (!status) return EXIT.problems;
    if (output.format === "json") output.json(toJson(HistoryStatusSchema, status));
    else showStatus(output, status);
    return status.problems.length > 0 ? EXIT.problems : EXIT.done;
  });
}

function showStatus(output: Output, status: HistoryStatus): void {
  const oldest = status.oldest ? `, back to ${formatTime(timestampMs(status.oldest))}` : "";
  const records = formatCount(Number(status.records));
  output.text(`${records} records in ${formatBytes(Number(status.sizeBytes))} (${visible(status.backend)})${oldest}\n`);
  if (status.partitions.length > 0) output.text(`\n${partitionTable(status.partitions)}`);
  if (status.hosts.length > 0) output.text(`\n${hostTable(status.hosts)}`);
  if (status.retention) output.text(`\n${retentionText(status.retention)}\n`);
  for (const problem of status.problems) output.note(`${output.style.red("problem:")} ${visible(problem)}`);
}

function partitionTable(partitions: readonly HistoryPartition[]): string {
  const rows = NAMES.flatMap(([resolution, name]) => {
    const of = partitions.filter((partition) => partition.resolution === resolution);
    if (of.length === 0) return [];
    const sum = (pick: (partition: HistoryPartition) => bigint) =>
      Number(of.reduce((total, each) => total + pick(each), 0n));
    const times = of.map(
      ({ oldest, newest }) => [oldest ? timestampMs(oldest) : 0, newest ? timestampMs(newest) : 0] as const,
    );
    return [
      [
        ...[
          name,
          String(of.length),
          formatCount(sum(({ records }) => records)),
          formatBytes(sum(({ sizeBytes }) => sizeBytes)),
        ],
        formatTime(times.reduce((least, [oldest]) => Math.min(least, oldest), Number.MAX_SAFE_INTEGER)),
        formatTime(times.reduce((most, [, newest]) => Math.max(most, newest), 0)),
      ],
    ];
  });
  return formatTable(["RESOLUTION", "FILES", "RECORDS", "SIZE", "FROM", "TO"], rows);
}

function hostTable(hosts: readonly HistoryHost[]): string {
  return formatTable(
    ["HOST", "LAST RECORD", "BATCH", "WAITING", "LOST", "REFUSED", "CLOCK", "PROBLEM"],
    hosts.map((host) => [
      host.host,
      host.lastRecordAt ? formatTime(timestampMs(host.lastRecordAt)) : "never",
      String(host.lastSequence),
      formatCount(Number(host.waitingBatches)),
      formatCount(Number(host.missedBatches)),
      formatCount(Number(host.refusedRecords)),
      host.clockOffsetMs === 0n ? "" : `${(Number(host.clockOffsetMs) / 1000).toFixed(1)} s`,
      host.problem,
    ]),
  );
}
