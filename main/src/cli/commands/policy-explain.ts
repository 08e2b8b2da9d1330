import {
  type DirectionEvaluation,
  describeDecision,
  type Evaluation,
  evaluate,
  type FlowEnd,
  readPolicyFiles,
  resolveFlowEnds,
  type SourceRange,
  type Verdict,
  type WalkthroughStep,
} from "@wardline/domain/policy";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { formatPort, parsePort, portOfFamily } from "../input/port.ts";
import { readSources } from "../input/sources.ts";
import type { Output } from "../output.ts";
import type { ExplainOptions } from "../program.ts";
import { hasErrors } from "../terminal/diagnostics.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import { allDiagnostics, formatProblems } from "./policy-check.ts";

/** `wardline policy explain`. The verdict is the result, not the exit code: `deny` is an answer like any other. */
export async function policyExplain(output: Output, options: ExplainOptions): Promise<ExitCode> {
  const typed = parsePort(options.port);
  const input = await readSources(options);
  const reading = readPolicyFiles(input.files);
  const diagnostics = allDiagnostics(input, reading);
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  if (hasErrors(errors)) {
    if (output.format === "json") output.json({ verdict: null, diagnostics: errors });
    else output.text(formatProblems(output, input, errors));
    output.note("The policies have errors, so nobody can say what they decide. Correct them first.");
    return EXIT.problems;
  }
  const { from, to } = resolveFlowEnds(reading.world, options.from, options.to);
  const family = from.address.includes(":") ? 6 : 4;
  const { protocol, port } = portOfFamily(typed, family);
  const evaluation = evaluate(reading.world, { from, to, protocol, port });
  if (output.format === "json") {
    const directions = evaluation.directions.map((direction) => ({
      ...direction,
      summary: describeDecision(direction.decision, direction.direction),
    }));
    output.json({ verdict: evaluation.verdict, from, to, protocol, port, directions });
  } else output.text(formatEvaluation(output, evaluation, { from, to, port: formatPort(protocol, port) }));
  return EXIT.done;
}

interface Question {
  readonly from: FlowEnd;
  readonly to: FlowEnd;
  readonly port: string;
}

function formatEvaluation(output: Output, evaluation: Evaluation, { from, to, port }: Question): string {
  const { style } = output;
  const verdict = paintVerdict(output, evaluation.verdict);
  const lines = [`${verdict}  ${formatEnd(from)} → ${formatEnd(to)} ${style.bold(port)}`, ""];
  for (const direction of evaluation.directions) lines.push(formatDirection(output, direction));
  return `${lines.join("\n")}`;
}

function formatDirection(output: Output, evaluated: DirectionEvaluation): string {
  const { style } = output;
  const { direction, subjectKey, decision, steps } = evaluated;
  const whose = direction === "egress" ? "Out of" : "Into";
  const subject = subjectKey === null ? "an address that nobody in the inventory has" : visible(subjectKey);
  const summary = visible(describeDecision(decision, direction));
  const verdict = paintVerdict(output, evaluated.verdict);
  const head = `${style.bold(`${whose} ${subject}`)} (${direction}): ${verdict}\n  ${summary}${formatPlace(decision.source)}\n`;
  if (steps.length === 0) return head;
  const rows = steps.map((step) => [
    "  ",
    { text: step.tier, paint: style.dim },
    step.policyKey,
    step.rule ?? "",
    { text: OUTCOMES[step.outcome], ...(step.outcome === "decided" ? { paint: style.bold } : {}) },
    step.reason,
  ]);
  return `${head}${formatTable(["  ", "TIER", "POLICY", "RULE", "OUTCOME", "WHY"], rows)}`;
}

const OUTCOMES: Record<WalkthroughStep["outcome"], string> = {
  decided: "decided",
  passed: "passed on",
  "no-match": "no match",
  "not-selected": "not asked",
};

function formatEnd(end: FlowEnd): string {
  return end.endpointKey === null ? end.address : `${visible(end.endpointKey)} (${end.address})`;
}

function formatPlace(source: SourceRange | null): string {
  return source === null ? "" : ` (${visible(source.file)}:${source.line})`;
}

export function paintVerdict(output: Output, verdict: Verdict): string {
  return verdict === "allow" ? output.style.green("ALLOW") : output.style.red("DENY");
}
