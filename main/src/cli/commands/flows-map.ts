import { toJson } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  CompareServiceMapsResponseSchema,
  MapChangeKind,
  type MapEdge,
  MapGrouping,
  type ServiceMap,
  ServiceMapSchema,
} from "@wardline/api/wardline/console/v1/history";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import { readFlowQuery, textOfWords, typedQuery } from "../input/flow-query.ts";
import { formatPort, formatProtocol } from "../input/port.ts";
import type { Output } from "../output.ts";
import { withSession } from "../session.ts";
import { formatBytes, formatCount } from "../terminal/amounts.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { FlowsMapOptions } from "./flows.options.ts";
import { fetchNewest } from "./flows-fetch.ts";
import { sayGaps } from "./flows-query.ts";

/** `wardline flows map`, and with `--compare` what changed. */
export async function flowsMap(output: Output, options: FlowsMapOptions, words: readonly string[]): Promise<ExitCode> {
  const grouping = groupingOf(options.by);
  if (options.compare !== undefined && options.since !== undefined) {
    throw new UsageError("--compare says both windows: leave --since out.");
  }
  return withSession(options, { collectFlows: true }, async (session) => {
    const query = await typedQuery(output, session, words, options.since);
    await fetchNewest(session, options);
    const request = { ...grouping, maxNodes: options.maxNodes };
    if (options.compare === undefined) {
      const { map } = await session.history.getServiceMap({ ...request, query });
      if (!map) return EXIT.done;
      if (output.format === "json") output.json(toJson(ServiceMapSchema, map));
      else showMap(output, map);
      return EXIT.done;
    }
    const { sinceMs, untilMs } = readFlowQuery({ ...output, note: () => {} }, query.text);
    if (sinceMs !== null || untilMs !== null) {
      throw new UsageError(`--compare says both windows: leave since and until out of ${textOfWords(words)}.`);
    }
    const nowMs = Date.now();
    const [start, middle, end] = [nowMs - 2 * options.compare, nowMs - options.compare, nowMs].map(timestampFromMs);
    const answer = await session.history.compareServiceMaps({
      before: { ...request, query: { ...query, ...(start && middle ? { since: start, until: middle } : {}) } },
      after: { ...request, query: { ...query, ...(middle && end ? { since: middle, until: end } : {}) } },
    });
    if (output.format === "json") output.json(toJson(CompareServiceMapsResponseSchema, answer));
    else if (answer.changes.length === 0) output.text("Nothing changed.\n");
    else for (const { kind, sentence } of answer.changes) output.text(`${paint(output, kind)(visible(sentence))}\n`);
    if (output.format === "text") sayGaps(output, answer.after?.searched);
    return EXIT.done;
  });
}

function groupingOf(text: string): { grouping: MapGrouping; labelKey: string } {
  if (text === "host") return { grouping: MapGrouping.HOST, labelKey: "" };
  if (text === "workload") return { grouping: MapGrouping.WORKLOAD, labelKey: "" };
  const labelKey = /^label:(.+)$/.exec(text)?.[1];
  if (labelKey !== undefined) return { grouping: MapGrouping.LABEL, labelKey };
  throw new UsageError(`A map is not grouped by "${text.slice(0, 60)}".`, "There are host, workload and label:KEY.");
}

function paint({ style }: Output, kind: MapChangeKind): (text: string) => string {
  if (kind === MapChangeKind.VERDICT) return style.red;
  return kind === MapChangeKind.NEW_EDGE || kind === MapChangeKind.NEW_NODE ? style.yellow : (text) => text;
}

function showMap(output: Output, map: ServiceMap): void {
  const names = new Map(
    map.nodes.map(({ id, name, members, kind: _ }) => [id, members > 1 ? `${name} [${members}]` : name]),
  );
  if (map.edges.length === 0) output.text("No records.\n");
  else {
    const rows = map.edges.map((edge) => [
      names.get(edge.sourceId) ?? edge.sourceId,
      names.get(edge.destinationId) ?? edge.destinationId,
      serviceOf(edge),
      formatCount(Number(edge.allowed?.connections ?? 0n)),
      formatCount(Number(edge.denied?.deniedPackets ?? 0n)),
      formatBytes(Number((edge.allowed?.originatorBytes ?? 0n) + (edge.allowed?.responderBytes ?? 0n))),
    ]);
    output.text(formatTable(["FROM", "TO", "PORT", "CONNS", "DENIED", "BYTES"], rows));
  }
  const merged = map.mergedNodes > 0 ? `; ${map.mergedNodes.toLocaleString("en")} put together` : "";
  output.note(output.style.dim(`${map.nodes.length} nodes${merged}; ${map.edges.length} edges`));
  sayGaps(output, map.searched);
}

/** Port 0 of a protocol with ports stands for several. */
function serviceOf({ protocol, port }: MapEdge): string {
  const hasPorts = protocol === 6 || protocol === 17 || protocol === 132;
  if (!hasPorts) return formatProtocol(protocol);
  return port === 0 ? `several/${formatProtocol(protocol)}` : formatPort(protocol, port);
}
