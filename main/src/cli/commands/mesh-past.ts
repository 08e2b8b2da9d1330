/** `wardline mesh path` and `wardline mesh history` */
import { toJson } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  FindMeshPathResponseSchema,
  GetMeshAtResponseSchema,
  GetMeshSeriesResponseSchema,
  ListMeshChangesResponseSchema,
  type MeshChange,
  MeshChangeKind,
  type MeshPath,
} from "@wardline/api/wardline/console/v1/mesh";
import { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { type Session, withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { MeshHistoryOptions, MeshPathOptions } from "./mesh.options.ts";
import { askHosts } from "./mesh-hosts.ts";
import { linksTable, msText, nodesTable, providerOf, shareText, summaryText, timeText, UNKNOWN } from "./mesh-view.ts";

/** Exit code 1 when there is no way. */
export async function meshPath(output: Output, options: MeshPathOptions, from: string, to: string): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    if (options.at === undefined) await askHosts(output, session, { format: options.format });
    const provider = options.mesh === undefined ? MeshProvider.UNSPECIFIED : providerOf(options.mesh);
    const at = options.at === undefined ? {} : { at: ago(options.at) };
    const found = await session.mesh.findMeshPath({ from, to, provider, count: options.count, ...at });
    if (output.format === "json") output.json(toJson(FindMeshPathResponseSchema, found));
    else {
      for (const [index, path] of found.paths.entries()) output.text(pathText(index + 1, path));
      if (found.limitedBy !== "") output.note(visible(found.limitedBy));
      if (found.singlePoints.length > 0) output.note(`Every way needs: ${visible(found.singlePoints.join(", "))}`);
    }
    return found.paths.length > 0 ? EXIT.done : EXIT.problems;
  });
}

function pathText(number: number, { hops, cost, latencyMs, loss, isObserved }: MeshPath): string {
  const ends = [hops[0]?.from ?? "", ...hops.map(({ to }) => to)].map(plainId);
  // Two hosts may be joined by several meshes: without their names the ways would read alike.
  const meshes = [...new Set(hops.map(({ linkId }) => linkId.split("|")[0] ?? ""))].filter((mesh) => mesh !== "");
  const over = meshes.length > 0 ? ` over ${meshes.join(", ")}` : "";
  const source = isObserved ? "as the mesh reports it" : "computed";
  const figures = `${hops.length} ${hops.length === 1 ? "hop" : "hops"}, ${msText(latencyMs)}, loss ${shareText(loss)}, cost ${cost.toFixed(2)}`;
  return `${number}. ${visible(`${ends.join(" → ")}${over}`)}\n   ${figures}; ${source}\n`;
}

/** `web-1` for `host/web-1`. */
function plainId(id: string): string {
  return id.startsWith("host/") ? id.slice("host/".length) : id;
}

export async function meshHistory(output: Output, options: MeshHistoryOptions): Promise<ExitCode> {
  return withSession(options, {}, (session) => {
    if (options.at !== undefined) return pictureAt(output, session, options.at);
    if (options.series !== undefined) return series(output, session, options, options.series);
    return changes(output, session, options);
  });
}

async function changes(output: Output, session: Session, options: MeshHistoryOptions): Promise<ExitCode> {
  const { since, until, of, limit } = options;
  const found = await session.mesh.listMeshChanges({ from: ago(since), to: ago(until), id: of, limit });
  if (output.format === "json") output.json(toJson(ListMeshChangesResponseSchema, found));
  else if (found.changes.length === 0) output.text("No changes.\n");
  else output.text(formatTable(["TIME", "WHAT", "SENTENCE", "ID"], found.changes.map(changeRow)));
  if (output.format !== "json") {
    if (found.total > found.changes.length)
      output.note(`${found.changes.length} of ${found.total} changes; more with --limit.`);
    if (!found.earliest) output.note("Nothing is recorded yet: it is while a console runs.");
    else output.note(`Recorded since ${timeText(found.earliest)}.`);
  }
  return EXIT.done;
}

export function changeRow({ at, kind, sentence, id }: MeshChange): string[] {
  return [timeText(at), (MeshChangeKind[kind] ?? "").toLowerCase().replaceAll("_", " "), sentence, id];
}

async function pictureAt(output: Output, session: Session, agoMs: number): Promise<ExitCode> {
  const found = await session.mesh.getMeshAt({ at: ago(agoMs) });
  const { topology, gaps, earliest } = found;
  if (output.format === "json") output.json(toJson(GetMeshAtResponseSchema, found));
  else if (topology?.summary) {
    const { nodes, links, summary } = topology;
    output.text(`As of ${timeText(topology.at)}\n`);
    // Of that time it is not known how many peers were configured.
    const [, ...lines] = summaryText(summary, output.style).split("\n");
    output.text(`${summary.nodesOnline} of ${summary.nodes} nodes online, ${summary.links} links\n${lines.join("\n")}`);
    output.text(`\n${nodesTable(nodes, links, output.style)}\n${linksTable(topology, output.style)}`);
    for (const gap of gaps) output.note(`Nothing is known from ${timeText(gap.from)} to ${timeText(gap.to)}.`);
    output.note(`Recorded since ${timeText(earliest)}.`);
  }
  return EXIT.done;
}

async function series(output: Output, session: Session, options: MeshHistoryOptions, id: string): Promise<ExitCode> {
  const found = await session.mesh.getMeshSeries({ id, from: ago(options.since), to: ago(options.until) });
  if (output.format === "json") output.json(toJson(GetMeshSeriesResponseSchema, found));
  else if (found.series.length === 0) output.text("Nothing is recorded of that.\n");
  else {
    const header = ["TIME", ...found.series.map(({ measure, direction }) => `${measure} ${direction}`.trim())];
    const rows = found.times.map((time, index) => [
      timeText(time),
      ...found.series.map(({ values }) => figureText(values[index])),
    ]);
    output.text(formatTable(header, rows));
  }
  return found.series.length > 0 ? EXIT.done : EXIT.problems;
}

function figureText(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? UNKNOWN : String(Number(value.toPrecision(4)));
}

function ago(ms: number) {
  return timestampFromMs(Date.now() - ms);
}
