import { describeDecision, type PolicyWorld } from "@wardline/domain/policy";
import {
  type AccessComparison,
  type AccessDiff,
  type AccessDifference,
  compareAccess,
  createAccessModel,
  type FlowCounter,
  formatPortSet,
  type SideChange,
} from "@wardline/domain/policy/access";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { readInput } from "../input/policy-files.ts";
import { withRecordedFlows } from "../input/recorded-flows.ts";
import { worldOf } from "../input/sources.ts";
import type { Output } from "../output.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import { describedDecision, partyData } from "./access-data.ts";
import type { DiffOptions } from "./policy-diff.options.ts";

/** `wardline policy diff OLD NEW`. */
export async function policyDiff(
  output: Output,
  [oldName, newName]: readonly [string, string],
  options: DiffOptions,
): Promise<ExitCode> {
  const old = await readWorld(output, oldName, options);
  const next = old && (await readWorld(output, newName, options));
  if (!old || !next) return EXIT.wrongUsage;
  const comparison = compareAccess(createAccessModel(old), createAccessModel(next));
  const counts = options.flows === undefined ? null : await countFlows(output, comparison, options);
  const diff = comparison.diff({ limit: options.limit });
  if (output.format === "json") output.json(diffData(diff, counts));
  else output.text(formatDiff(output, diff, counts));
  return diff.rows.length === 0 ? EXIT.done : EXIT.problems;
}

/** `null` = it has errors, which are shown: 1 is left for "there is a difference". */
async function readWorld(output: Output, name: string, { inventory }: DiffOptions): Promise<PolicyWorld | null> {
  const input = await readInput([name, ...(inventory === undefined ? [] : [inventory])]);
  const world = worldOf(output, input);
  return typeof world === "number" ? null : world;
}

interface FlowCounts {
  readonly counter: FlowCounter;
  /** Lines that are no flows. */
  readonly unreadable: number;
}

async function countFlows(output: Output, comparison: AccessComparison, options: DiffOptions): Promise<FlowCounts> {
  const counter = comparison.countFlows();
  let unreadable = 0;
  await withRecordedFlows(
    { ...options, strict: false },
    new AbortController().signal,
    async ({ batches, problems }) => {
      for await (const { flows, problemCount } of batches) {
        unreadable += problemCount;
        // The end of a connection only completes the counts of its start.
        for (const flow of flows) if (flow.kind !== "end") counter.add(flow);
      }
      for (const problem of problems) output.note(visible(problem));
    },
  );
  return { counter, unreadable };
}

function diffData({ rows, leftOut }: AccessDiff, counts: FlowCounts | null): object {
  return {
    rows: rows.map(({ change, from, to, ports, sides }, index) => ({
      change,
      from: partyData(from),
      to: partyData(to),
      ports,
      portsText: formatPortSet(ports),
      sides: sides.map(({ direction, before, after }) => ({
        direction,
        before: describedDecision(before, direction),
        after: describedDecision(after, direction),
      })),
      flows: counts === null ? null : (counts.counter.rows[index] ?? 0),
    })),
    leftOut,
    flows: counts === null ? null : flowData(counts),
  };
}

function flowData({ counter, unreadable }: FlowCounts) {
  const { rows, unchanged, unclear, notOurs } = counter;
  const changed = rows.reduce((sum, count) => sum + count, 0);
  return { changed, unchanged, unclear, notOurs, unreadable };
}

function formatDiff(output: Output, { rows, leftOut }: AccessDiff, counts: FlowCounts | null): string {
  const { style } = output;
  if (rows.length === 0) return `No difference: the same packets pass.\n${formatFlows(counts)}`;
  const header = ["", "FROM", "", "TO", "PORTS", ...(counts === null ? [] : ["FLOWS"]), "WHY"];
  const lines = rows.map((row, index) => [
    { text: row.change, paint: row.change === "lost" ? style.red : style.green },
    row.from.text,
    "→",
    row.to.text,
    formatPortSet(row.ports),
    ...(counts === null ? [] : [String(counts.counter.rows[index] ?? 0)]),
    { text: formatWhy(row), paint: style.dim },
  ]);
  const lost = rows.filter(({ change }) => change === "lost").length;
  const more = leftOut > 0 ? `, and ${leftOut} more that are not shown (--limit)` : "";
  const summary = `${lost} lost, ${rows.length - lost} gained${more}.\n`;
  return `${formatTable(header, lines)}${summary}${formatFlows(counts)}`;
}

function formatFlows(counts: FlowCounts | null): string {
  if (counts === null) return "";
  const { changed, unchanged, unclear, notOurs, unreadable } = flowData(counts);
  const parts = [
    `changed ${changed}`,
    `unchanged ${unchanged}`,
    ...(unclear > 0 ? [`unclear as several endpoints are behind one address ${unclear}`] : []),
    ...(notOurs > 0 ? [`of nobody in the inventory ${notOurs}`] : []),
    ...(unreadable > 0 ? [`unreadable lines ${unreadable}`] : []),
  ];
  return `Recorded flows: ${parts.join(", ")}.\n`;
}

function formatWhy({ sides }: AccessDifference): string {
  return sides.map(formatSide).join(" and ");
}

function formatSide({ direction, before, after }: SideChange): string {
  const place = ({ source }: SideChange["before"]): string =>
    source === null ? "" : ` (${source.file}:${source.line})`;
  const text = (decision: SideChange["before"]): string => `${describeDecision(decision, direction)}${place(decision)}`;
  return `${direction} was ${text(before)}, is ${text(after)}`;
}
