/** Proofs of policy tests for people and for programs. */
import {
  describeDecision,
  type Evaluation,
  type PolicyWorld,
  ruleLabel,
  type SourceRange,
} from "@wardline/domain/policy";
import {
  type CaseResult,
  type CaseStatus,
  type Counterexample,
  type Coverage,
  describeCounterexample,
  describeEnd,
  type TestRun,
  testName,
} from "@wardline/domain/policy/proof";
import { formatPort } from "../input/port.ts";
import type { Output } from "../output.ts";
import { explainCommand } from "../terminal/explain-command.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import { describedDecision } from "./access-data.ts";

export interface ShownRun {
  readonly world: PolicyWorld;
  readonly run: TestRun;
  /** What `policy explain` needs to read the same files. */
  readonly explainOptions: readonly string[];
}

/** Rules without a test that text shows; JSON has them all. */
const SHOWN_RULES = 50;
const ORDER: readonly CaseStatus[] = ["fails", "refused", "vacuous", "holds"];

export function testRunData({ world, run, explainOptions }: ShownRun): object {
  const { cases, counts, coverage } = run;
  return {
    counts,
    cases: cases.map((result) => ({
      test: result.test.key,
      index: result.testCase.index,
      status: result.status,
      expect: result.testCase.expect,
      because: result.testCase.because,
      ...placeData(result.testCase.source),
      why: result.why,
      counterexample: result.counterexample && counterexampleData(world, result.counterexample, explainOptions),
      reported: result.reported && {
        status: result.reported.status,
        example: connectionData(result.reported.example),
      },
    })),
    coverage: coverage && coverageData(coverage),
  };
}

function counterexampleData(world: PolicyWorld, example: Counterexample, explainOptions: readonly string[]): object {
  const { connection, contradicts, walkthrough } = example;
  return {
    ...connectionData(connection),
    contradicts,
    summary: describeCounterexample(example),
    explain: explainCommand(world, connection, explainOptions),
    walkthrough: walkthroughData(walkthrough()),
  };
}

function connectionData({
  from,
  to,
  protocol,
  port,
  enforced,
  reported,
  egress,
  ingress,
}: Counterexample["connection"]) {
  return {
    from,
    to,
    protocol,
    port,
    enforced,
    reported,
    egress: describedDecision(egress, "egress"),
    ingress: describedDecision(ingress, "ingress"),
  };
}

/** As `policy explain` gives it. */
function walkthroughData({ verdict, directions }: Evaluation): object {
  return {
    verdict,
    directions: directions.map((one) => ({ ...one, summary: describeDecision(one.decision, one.direction) })),
  };
}

function coverageData({ ruleCount, touchedCount, untouched }: Coverage): object {
  return {
    ruleCount,
    touchedCount,
    untouched: untouched.map(({ policy, rule }) => ({
      policy: policy.key,
      rule: ruleLabel(rule),
      direction: rule.direction,
      ...placeData(rule.source),
    })),
  };
}

function placeData({ file, line }: SourceRange) {
  return { file, line };
}

/** What failed comes first. */
export function formatTestRun(output: Output, shown: ShownRun): string {
  const { cases, counts, coverage } = shown.run;
  const sorted = cases.toSorted((left, right) => ORDER.indexOf(left.status) - ORDER.indexOf(right.status));
  const lines = sorted.flatMap((result) => formatCase(output, shown, result));
  const parts = [
    `${counts.holds} hold`,
    `${counts.fails} failed`,
    ...(counts.refused > 0 ? [`${counts.refused} cannot be asked`] : []),
    ...(counts.vacuous > 0 ? [`${counts.vacuous} empty`] : []),
  ];
  const summary = `${cases.length} ${cases.length === 1 ? "case" : "cases"}: ${parts.join(", ")}.`;
  return `${[...lines, summary].join("\n")}\n${coverage === null ? "" : formatCoverage(output, coverage)}`;
}

function formatCase(output: Output, shown: ShownRun, result: CaseResult): string[] {
  const { style } = output;
  const { test, testCase, status, why, counterexample, reported } = result;
  const name = visible(testName(test, testCase.index));
  const place = style.dim(`(${visible(testCase.source.file)}:${testCase.source.line})`);
  const lines = [`${paintStatus(output, status)}  ${name} expects ${testCase.expect} ${place}`];
  const isShownWhole = status !== "holds";
  if (isShownWhole && testCase.because !== null) lines.push(`  because: ${visible(testCase.because)}`);
  if (why !== null) lines.push(`  ${visible(why)}`);
  if (counterexample !== null) {
    lines.push(`  ${visible(describeCounterexample(counterexample))}`);
    const command = explainCommand(shown.world, counterexample.connection, shown.explainOptions);
    if (command !== null) lines.push(style.dim(`  ${command}`));
  }
  if (reported !== null) {
    const { example } = reported;
    const what = `${describeEnd(example.from)} → ${describeEnd(example.to)} ${formatPort(example.protocol, example.port)}`;
    const would = reported.status === "holds" ? "it would hold" : "it would fail";
    lines.push(
      style.yellow(
        `  With the policies in observe mode ${would}: ${visible(what)} is reported as ${example.reported}.`,
      ),
    );
  }
  return isShownWhole || reported !== null ? [...lines, ""] : lines;
}

function paintStatus({ style }: Output, status: CaseStatus): string {
  switch (status) {
    case "holds":
      return style.green("holds");
    case "fails":
      return style.red("FAILS");
    case "refused":
      return style.red("CANNOT BE ASKED");
    case "vacuous":
      return style.yellow("EMPTY");
  }
}

function formatCoverage({ style }: Output, { ruleCount, touchedCount, untouched }: Coverage): string {
  const summary = `\nTests touch ${touchedCount} of ${ruleCount} rules.\n`;
  if (untouched.length === 0) return summary;
  const rows = untouched
    .slice(0, SHOWN_RULES)
    .map(({ policy, rule }) => [
      policy.key,
      ruleLabel(rule),
      rule.direction,
      { text: `${rule.source.file}:${rule.source.line}`, paint: style.dim },
    ]);
  const left = untouched.length - rows.length;
  const more = left > 0 ? `and ${left} more (--format json lists them)\n` : "";
  return `${summary}\n${formatTable(["WITHOUT A TEST", "RULE", "DIRECTION", "WHERE"], rows)}${more}`;
}
