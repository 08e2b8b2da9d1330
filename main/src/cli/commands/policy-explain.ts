import {
  type DecisionContent,
  type DirectionEvaluation,
  describeDecision,
  type Evaluation,
  evaluate,
  type FlowEnd,
  readPolicyFiles,
  resolveFlowEnds,
  type SourceRange,
  type TierWalk,
  type Verdict,
  type WalkthroughStep,
  withoutExpired,
  withQuarantines,
} from "@wardline/domain/policy";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { formatPort, parsePort, portOfFamily } from "../input/port.ts";
import { readSources } from "../input/sources.ts";
import type { Output } from "../output.ts";
import type { ExplainOptions } from "../program.ts";
import { hasErrors } from "../terminal/diagnostics.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import { localQuarantines } from "./agent.ts";
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
  const current = withoutExpired(reading.world, Date.now());
  // Files from elsewhere may be about other hosts; the workspace is about what this machine does.
  const { hostName, quarantines } = options.policies === undefined ? await localQuarantines(options) : NOBODY;
  const scopes = quarantines.map((quarantine) => ({ ...quarantine, match: null }));
  const world = withQuarantines(current, hostName, scopes);
  const { from, to } = resolveFlowEnds(world, options.from, options.to);
  const family = from.address.includes(":") ? 6 : 4;
  const { protocol, port } = portOfFamily(typed, family);
  const evaluation = evaluate(world, { from, to, protocol, port });
  if (output.format === "json") {
    const directions = evaluation.directions.map((direction) => ({
      ...direction,
      summary: describeDecision(direction.decision, direction.direction),
    }));
    output.json({ verdict: evaluation.verdict, from, to, protocol, port, directions });
  } else output.text(formatEvaluation(output, evaluation, { from, to, port: formatPort(protocol, port) }));
  return EXIT.done;
}

const NOBODY = { hostName: "", quarantines: [] };

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
  return [head, formatModes(evaluated), ...evaluated.tiers.map((tier) => formatTier(output, tier, steps))].join("");
}

/** Both verdicts where policies in observe mode take part. */
function formatModes({ direction, modes }: DirectionEvaluation): string {
  if (modes === null) return "";
  const line = (title: string, decision: DecisionContent): string =>
    `  ${title}: ${visible(describeDecision(decision, direction))}${formatPlace(decision.source)}\n`;
  return `${line("enforced policies alone", modes.enforced)}${line("with those in observe mode", modes.withObserved)}`;
}

/** A tier without any policy says nothing. */
function formatTier(output: Output, tier: TierWalk, steps: readonly WalkthroughStep[]): string {
  const { style } = output;
  if (tier.selected + tier.notSelected === 0) return "";
  const head = `  ${style.bold(tier.tier)}: ${TIER_OUTCOMES[tier.outcome]} ${style.dim(countSelected(tier))}\n`;
  const rows = steps
    .filter((step) => step.tier === tier.tier)
    .map((step) => [
      "    ",
      step.policyKey,
      step.rule ?? "",
      { text: OUTCOMES[step.outcome], ...(step.outcome === "decided" ? { paint: style.bold } : {}) },
      step.reason,
      step.source.file === "" ? "" : `${step.source.file}:${step.source.line}`,
    ]);
  return rows.length === 0
    ? head
    : `${head}${formatTable(["    ", "POLICY", "RULE", "OUTCOME", "WHY", "WHERE"], rows)}`;
}

function countSelected({ selected, notSelected }: TierWalk): string {
  if (selected === 0) return `(nothing here selects it, ${countPolicies(notSelected)})`;
  return notSelected === 0 ? "" : `(${countPolicies(notSelected)} about others)`;
}

function countPolicies(count: number): string {
  return `${count.toLocaleString("en")} ${count === 1 ? "policy" : "policies"}`;
}

const TIER_OUTCOMES: Record<TierWalk["outcome"], string> = {
  decided: "decides",
  passed: "passes on",
  undecided: "does not decide",
  "not-reached": "not asked, it is decided already",
};

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
