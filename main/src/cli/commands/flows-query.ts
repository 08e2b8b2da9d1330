import { toJson } from "@bufbuild/protobuf";
import { timestampDate, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type HistoryRecord,
  HistoryRecordSchema,
  HistoryResolution,
  type Searched,
} from "@wardline/api/wardline/console/v1/history";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { typedQuery } from "../input/flow-query.ts";
import { formatPort } from "../input/port.ts";
import type { Output } from "../output.ts";
import { withSession } from "../session.ts";
import { formatBytes, formatCount } from "../terminal/amounts.ts";
import { formatRow } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { FlowsQueryOptions } from "./flows.options.ts";
import { fetchNewest, untilStopped } from "./flows-fetch.ts";

const HEADER = ["TIME", "VERDICT", "", "FROM", "TO", "PORT", "PROCESS", "CONNS", "BYTES", "HOST"];
const WIDTHS = [19, 10, 3, 28, 32, 10, 16, 6, 9, 0];
const PAGE = 1_000;

/** `wardline flows query`. With JSON one record a line, as they are found. */
export async function flowsQuery(
  output: Output,
  options: FlowsQueryOptions,
  words: readonly string[],
): Promise<ExitCode> {
  return withSession(options, { collectFlows: true }, async (session) => {
    const query = await typedQuery(output, session, words, options.since);
    await fetchNewest(session, options);
    let shown = 0;
    let pageToken = "";
    let searched: Searched | undefined;
    let oldestMs = Number.POSITIVE_INFINITY;
    let matched = 0;
    const isInterrupted = await untilStopped(async (signal) => {
      do {
        const limit = Math.min(PAGE, options.limit - shown);
        let next = "";
        for await (const message of session.history.searchRecords({ query, limit, pageToken }, { signal })) {
          if (message.searched) searched = message.searched;
          next = message.nextPageToken;
          for (const found of message.records) {
            if (shown === 0 && output.format === "text") {
              output.text(`${output.style.dim(formatRow(HEADER, WIDTHS))}\n`);
            }
            shown += 1;
            if (found.record?.windowStart) oldestMs = Math.min(oldestMs, timestampMs(found.record.windowStart));
            show(output, found);
          }
        }
        pageToken = next;
        matched = Math.max(matched, Number(searched?.matched ?? 0n));
      } while (pageToken !== "" && shown < options.limit);
    });
    if (output.format === "text")
      sayFooter(output, { shown, matched, searched, oldestMs, hasMore: pageToken !== "", isInterrupted });
    return EXIT.done;
  });
}

interface Footer {
  readonly shown: number;
  readonly matched: number;
  readonly searched: Searched | undefined;
  readonly oldestMs: number;
  readonly hasMore: boolean;
  readonly isInterrupted: boolean;
}

/** `1,204 of 1,204 records; searched 3.4M; until 14:03`, and what is missing. */
function sayFooter(output: Output, { shown, matched, searched, oldestMs, hasMore, isInterrupted }: Footer): void {
  const total =
    hasMore || isInterrupted
      ? `more than ${Math.max(shown, matched).toLocaleString("en")}`
      : shown.toLocaleString("en");
  const parts = [
    `${shown.toLocaleString("en")} of ${total} records`,
    `searched ${formatCount(Number(searched?.searched ?? 0n))}`,
    ...(Number.isFinite(oldestMs) ? [`until ${formatTime(oldestMs)}`] : []),
  ];
  output.note(output.style.dim(parts.join("; ")));
  sayGaps(output, searched);
}

export function sayGaps(output: Output, searched: Searched | undefined): void {
  if (searched?.coarseBefore) {
    const before = formatTime(timestampMs(searched.coarseBefore));
    output.note(`Before ${before} only sums are kept: by ${RESOLUTIONS[searched.coarsest]}.`);
  }
  for (const gap of searched?.gaps ?? []) output.note(`Missing: ${visible(gap)}`);
}

const RESOLUTIONS: Record<HistoryResolution, string> = {
  [HistoryResolution.UNSPECIFIED]: "",
  [HistoryResolution.RECORD]: "record",
  [HistoryResolution.MINUTE]: "minute",
  [HistoryResolution.HOUR]: "hour",
  [HistoryResolution.DAY]: "day",
};

/** `2026-11-21 14:03:10`, in UTC as everything that is printed. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace("T", " ");
}

function show(output: Output, found: HistoryRecord): void {
  if (output.format === "json") process.stdout.write(`${JSON.stringify(toJson(HistoryRecordSchema, found))}\n`);
  else output.text(`${formatRecord(output, found)}\n`);
}

function formatRecord({ style }: Output, found: HistoryRecord): string {
  const { record, host, sourceDisplayName, destinationDisplayName } = found;
  if (!record) return "";
  const isDenied = record.verdict === Verdict.DENY;
  const wasLetThrough = isDenied && record.enforced === Verdict.ALLOW;
  const paint = wasLetThrough ? style.yellow : isDenied ? style.red : style.green;
  return formatRow(
    [
      { text: record.windowStart ? formatTime(timestampDate(record.windowStart).getTime()) : "", paint: style.dim },
      { text: wasLetThrough ? "would deny" : isDenied ? "deny" : "allow", paint },
      record.direction === Direction.INGRESS ? "in" : "out",
      nameAndAddress(sourceDisplayName, record.sourceAddress),
      nameAndAddress(destinationDisplayName, record.destinationAddress),
      formatPort(record.protocol, record.destinationPort),
      record.process?.command ?? "",
      String(isDenied ? record.deniedPackets : record.started),
      formatBytes(Number(record.originatorBytes + record.responderBytes)),
      host,
    ],
    WIDTHS,
  );
}

export function nameAndAddress(name: string, address: string): string {
  return name === "" ? address : `${name} (${address})`;
}
