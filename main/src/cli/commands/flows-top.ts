import { toJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type FlowSums,
  FlowSumsSchema,
  type GroupRecordsResponse,
  RecordGroupSchema,
  SearchedSchema,
} from "@wardline/api/wardline/console/v1/history";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { measureOfWord, parseDimensions } from "../input/flow-dimensions.ts";
import { typedQuery } from "../input/flow-query.ts";
import type { Output } from "../output.ts";
import { withSession } from "../session.ts";
import { formatBytes, formatCount } from "../terminal/amounts.ts";
import { formatTable } from "../terminal/table.ts";
import type { FlowsTopOptions } from "./flows.options.ts";
import { fetchNewest, untilStopped } from "./flows-fetch.ts";
import { formatTime, nameAndAddress, sayGaps } from "./flows-query.ts";

/** `wardline flows top`. With JSON one group a line, then the totals. */
export async function flowsTop(output: Output, options: FlowsTopOptions, words: readonly string[]): Promise<ExitCode> {
  const { words: by, wire } = parseDimensions(options.by);
  return withSession(options, { collectFlows: true }, async (session) => {
    const query = await typedQuery(output, session, words, options.since);
    await fetchNewest(session, options);
    const request = { query, by: wire, order: measureOfWord(options.order), limit: options.limit };
    let answer: GroupRecordsResponse | undefined;
    await untilStopped(async (signal) => {
      for await (const message of session.history.groupRecords(request, { signal })) answer = message;
    });
    if (!answer) return EXIT.done;
    if (output.format === "json") writeLines(answer);
    else if (answer.groups.length === 0) output.text("No records.\n");
    else output.text(tableOf(answer, by));
    if (output.format === "text") sayTotals(output, answer);
    return EXIT.done;
  });
}

function tableOf({ groups }: GroupRecordsResponse, by: readonly string[]): string {
  return formatTable(
    [...by.map((dimension) => dimension.toUpperCase()), "CONNS", "DENIED", "SENT", "RECEIVED", "LAST SEEN"],
    groups.map(({ values, names, sums }) => [
      ...values.map((value, index) => shownValue(by[index] ?? "", value, names[index] ?? "")),
      ...cellsOf(sums),
    ]),
  );
}

/** Names beside addresses, words instead of numbers of protocols. */
function shownValue(dimension: string, value: string, name: string): string {
  if (value === "") return "(unknown)";
  return dimension === "protocol" ? name || value : nameAndAddress(name, value);
}

function cellsOf(sums: FlowSums | undefined): string[] {
  if (!sums) return ["", "", "", "", ""];
  return [
    formatCount(Number(sums.connections)),
    formatCount(Number(sums.deniedPackets)),
    formatBytes(Number(sums.originatorBytes)),
    formatBytes(Number(sums.responderBytes)),
    sums.lastSeen ? formatTime(timestampMs(sums.lastSeen)) : "",
  ];
}

function writeLines({ groups, total, groupCount, searched }: GroupRecordsResponse): void {
  for (const group of groups) process.stdout.write(`${JSON.stringify(toJson(RecordGroupSchema, group))}\n`);
  const end = {
    groups: Number(groupCount),
    ...(total ? { total: toJson(FlowSumsSchema, total) } : {}),
    ...(searched ? { searched: toJson(SearchedSchema, searched) } : {}),
  };
  process.stdout.write(`${JSON.stringify({ end })}\n`);
}

function sayTotals(output: Output, { groups, groupCount, total, searched }: GroupRecordsResponse): void {
  const count = formatCount(Number(total?.records ?? 0n));
  const shown = `${groups.length.toLocaleString("en")} of ${groupCount.toLocaleString("en")} groups`;
  output.note(
    output.style.dim(`${shown}; ${count} records; searched ${formatCount(Number(searched?.searched ?? 0n))}`),
  );
  sayGaps(output, searched);
}
