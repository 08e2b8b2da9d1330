/** Results of a simulation for people and for programs. */
import { describeDecision } from "@wardline/domain/policy";
import type {
  ClassCounts,
  FlowClass,
  SimulationGroup,
  SimulationResult,
  UnmatchedReason,
} from "@wardline/domain/policy/simulate";
import { formatPort } from "../input/port.ts";
import type { FlowInput } from "../input/recorded-flows.ts";
import type { Output } from "../output.ts";
import { shellWord } from "../terminal/explain-command.ts";
import { visible } from "../terminal/visible.ts";

/** Groups of a class that text shows; JSON has them all. */
const SHOWN_GROUPS = 20;

const CLASS_TEXTS: Record<FlowClass, string> = {
  "newly-blocked": "newly blocked",
  "newly-allowed": "newly allowed",
  "stays-allowed": "stay allowed",
  "still-blocked": "still blocked",
  unmatched: "unmatched",
};

const REASON_TEXTS: Record<UnmatchedReason, string> = {
  "ends-unknown": "neither end is in the inventory, so no policy is asked",
  "several-endpoints": "several endpoints have the address, and the policies treat them differently",
  "mixed-families": "the addresses are not of one family",
  "no-recorded-verdict": "the record does not say what happened",
};

/** Everything, with stable names. */
export function simulationJson(result: SimulationResult, input: FlowInput) {
  const { groups, ...counts } = result;
  return {
    source: input.name,
    total: input.total,
    ...counts,
    problems: input.problems,
    groups: groups.map(({ example, ...group }) => {
      const { flow, answer } = example;
      const { verdict, fromKey, toKey } = answer;
      const decided =
        answer.verdict === null
          ? {}
          : {
              direction: answer.direction,
              decision: answer.decision,
              summary: describeDecision(answer.decision, answer.direction),
            };
      return { ...group, example: { flow, verdict, fromKey, toKey, ...decided } };
    }),
  };
}

/** Changes first, each with the command that shows why. */
export function formatSimulation(
  output: Output,
  result: SimulationResult,
  input: FlowInput,
  explainOptions: readonly string[],
): string {
  const { style } = output;
  const lines = [coverage(result, input)];
  for (const problem of input.problems) lines.push(style.yellow(`  ${visible(problem)}`));
  if (result.unreadable > input.problems.length) {
    lines.push(style.yellow(`  and ${number(result.unreadable - input.problems.length)} more such lines`));
  }
  if (result.isCancelled) lines.push(style.yellow("Stopped before the end: what follows is what was read until then."));
  lines.push("", counts("Against what was recorded", result.recorded));
  if (result.base !== null) lines.push(counts("Against the present policies", result.base));
  if (result.observed > 0) {
    lines.push(`${number(result.observed)} of the allowed flows would be denied by policies in observe mode.`);
  }
  for (const reason of Object.keys(REASON_TEXTS) as UnmatchedReason[]) {
    const flows = result.unmatched[reason];
    if (flows > 0) lines.push(`Unmatched: ${number(flows)}, because ${REASON_TEXTS[reason]}.`);
  }
  const shownClass = (group: SimulationGroup): FlowClass => group.baseClass ?? group.recordedClass;
  for (const name of ["newly-blocked", "newly-allowed", "unmatched"] as const) {
    const groups = result.groups.filter((group) => shownClass(group) === name);
    if (groups.length === 0) continue;
    lines.push("", style.bold(`${CLASS_TEXTS[name][0]?.toUpperCase()}${CLASS_TEXTS[name].slice(1)}`));
    for (const group of groups.slice(0, SHOWN_GROUPS)) lines.push(...formatGroup(output, group, explainOptions));
    const other = (result.other.base ?? result.other.recorded)[name];
    const left = groups.slice(SHOWN_GROUPS).reduce((sum, group) => sum + group.flows, other);
    if (left > 0) lines.push(style.dim(`  and ${number(left)} flows of other groups (--format json lists more)`));
  }
  return `${lines.join("\n")}\n`;
}

function coverage(result: SimulationResult, { name, total }: FlowInput): string {
  const of = total === null || total === result.judged ? "" : ` of ${number(total)}`;
  const sampled = result.sampledOut > 0 ? `; ${number(result.sampledOut)} left out by the sample` : "";
  const unreadable = result.unreadable > 0 ? `; ${number(result.unreadable)} lines are no flows` : "";
  const { firstSeenMs, lastSeenMs } = result;
  const window =
    firstSeenMs === null || lastSeenMs === null
      ? ""
      : `, ${new Date(firstSeenMs).toISOString()} to ${new Date(lastSeenMs).toISOString()}`;
  return `Checked ${number(result.judged)}${of} flows from ${visible(name)}${window}${sampled}${unreadable}.`;
}

function counts(title: string, classes: ClassCounts): string {
  const parts = (Object.keys(CLASS_TEXTS) as FlowClass[]).map(
    (name) => `${number(classes[name])} ${CLASS_TEXTS[name]}`,
  );
  return `${title}: ${parts.join(", ")}.`;
}

function formatGroup({ style }: Output, group: SimulationGroup, explainOptions: readonly string[]): string[] {
  const { from, to, protocol, port, flows, recordedClass, baseClass, example, reason } = group;
  const { flow, answer } = example;
  const what = `${visible(from)} → ${visible(to)} ${style.bold(formatPort(protocol, port))}`;
  const was = baseClass === null ? "" : `, ${CLASS_TEXTS[recordedClass]} against the record`;
  const seen = group.lastSeenMs === null ? "" : `, last ${new Date(group.lastSeenMs).toISOString()}`;
  const why =
    answer.verdict === null || (reason !== null && baseClass === "unmatched")
      ? reason === null
        ? ""
        : REASON_TEXTS[reason]
      : visible(describeDecision(answer.decision, answer.direction));
  const lines = [`  ${what}  ${style.dim(`${number(flows)} flows${was}${seen}`)}`, `    ${why}`];
  if (answer.verdict !== null) {
    const ends = [
      "--from",
      endText(answer.fromKey, flow.sourceAddress),
      "--to",
      endText(answer.toKey, flow.destinationAddress),
    ];
    const words = ["wardline", "policy", "explain", ...ends, "--port", formatPort(protocol, port), ...explainOptions];
    lines.push(style.dim(`    ${words.map(shellWord).join(" ")}`));
  }
  return lines;
}

/** The address says which of a host's it was; only the key says which workload behind a shared address. */
function endText(key: string | null, address: string): string {
  return key?.startsWith("Workload/") ? key : address;
}

function number(value: number): string {
  return value.toLocaleString("en");
}
