import { toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  type Answer,
  type AnswerBasis,
  type AnswerExample,
  type AnswerReason,
  type AnswerRow,
  AnswerRowKind,
  AnswerVerdict,
  AskBasis,
  type AskChoice,
  AskResponseSchema,
} from "@wardline/api/wardline/console/v1/ask";
import {
  DecisionReason,
  Direction,
  type DirectionEvaluation,
  Verdict,
  WalkthroughOutcome,
} from "@wardline/api/wardline/v1/policy";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { AskOptions } from "./ask.options.ts";

/** `wardline ask "…"` */
export async function ask(output: Output, text: string, options: AskOptions): Promise<ExitCode> {
  const basis = options.basis === "enforced" ? AskBasis.ENFORCED : AskBasis.DRAFT;
  const response = await withSession(options, {}, ({ ask: client }) =>
    client.ask({ text, basis, hostId: options.host, limit: options.limit }),
  );
  const { outcome } = response;
  if (output.format === "json") output.json(toJson(AskResponseSchema, response));
  switch (outcome.case) {
    case "answer":
      if (output.format !== "json") output.text(formatAnswer(output, outcome.value));
      return exitCodeOf(outcome.value);
    case "askBack":
      if (output.format !== "json")
        output.text(`${visible(outcome.value.message)}\n${formatChoices(outcome.value.choices)}`);
      return EXIT.wrongUsage;
    default: {
      const found = outcome.value;
      if (output.format === "json" || !found) return EXIT.wrongUsage;
      const meant = found.didYouMean.length > 0 ? `Did you mean:\n${formatChoices(found.didYouMean)}` : "";
      const examples = found.examples.map((example) => `  ${example}\n`).join("");
      output.text(`${visible(found.message)}\n${meant || `These are understood:\n${examples}`}`);
      return EXIT.wrongUsage;
    }
  }
}

function exitCodeOf({ verdict, rows }: Answer): ExitCode {
  if (verdict === AnswerVerdict.YES) return EXIT.done;
  return verdict === AnswerVerdict.LIST && rows.length > 0 ? EXIT.done : EXIT.problems;
}

function formatChoices(choices: readonly AskChoice[]): string {
  return choices
    .map(({ text, meaning }) => `  ${visible(text)}${meaning ? `   (${visible(meaning)})` : ""}\n`)
    .join("");
}

const WORDS: Partial<Record<AnswerVerdict, string>> = {
  [AnswerVerdict.YES]: "YES",
  [AnswerVerdict.NO]: "NO",
  [AnswerVerdict.PARTLY]: "PARTLY",
  [AnswerVerdict.NOBODY]: "NOBODY",
};

function formatAnswer(output: Output, answer: Answer): string {
  const { style } = output;
  const word = WORDS[answer.verdict] ?? "";
  const paint =
    answer.verdict === AnswerVerdict.YES ? style.green : answer.verdict === AnswerVerdict.NO ? style.red : style.yellow;
  const head = `${word === "" ? "" : `${paint(word)}  `}${visible(answer.sentence)}\n`;
  const asked = style.dim(`${visible(answer.question)}  ${formatBasis(answer)}\n`);
  const notes = answer.notes.map((note) => `${style.dim("note:")} ${visible(note)}\n`).join("");
  const more = answer.rowsLeftOut > 0 ? `${answer.rowsLeftOut} more rows are not shown (--limit).\n` : "";
  const rows = answer.rows.length === 0 ? "" : `\n${formatRows(output, answer.rows)}${more}`;
  const examples = answer.examples
    .slice(0, 2)
    .map((example) => formatExample(output, example))
    .join("");
  return `${head}${asked}${notes}${rows}${examples}`;
}

function formatBasis({ basis, before }: Answer): string {
  if (!basis) return "";
  return before ? `(from ${describeBasis(before)} to ${describeBasis(basis)})` : `(${describeBasis(basis)})`;
}

function describeBasis({ kind, hostName, generation, since }: AnswerBasis): string {
  const when = since ? `, ${timestampDate(since).toISOString().replace("T", " ").slice(0, 19)} UTC` : "";
  if (kind === AskBasis.ENFORCED) return `enforced on ${visible(hostName)}, generation ${generation}${when}`;
  if (kind === AskBasis.VERSION) return generation === 0n ? "nothing" : `version ${generation}${when}`;
  return `the draft${when}`;
}

const KINDS: Record<AnswerRowKind, string> = {
  [AnswerRowKind.UNSPECIFIED]: "",
  [AnswerRowKind.ALLOWED]: "allowed",
  [AnswerRowKind.DENIED]: "denied",
  [AnswerRowKind.GAINED]: "+ gained",
  [AnswerRowKind.LOST]: "- lost",
  [AnswerRowKind.POLICY]: "policy",
  [AnswerRowKind.RULE]: "rule",
  [AnswerRowKind.ENDPOINT]: "no policy",
};

function formatRows(output: Output, rows: readonly AnswerRow[]): string {
  const { dim } = output.style;
  const lines = rows.map((row) => [
    KINDS[row.kind],
    row.key === "" ? `${row.from} → ${row.to}` : [row.key, row.rule].filter(Boolean).join(", "),
    row.ports,
    { text: row.detail === "" ? formatReasons(row.reasons) : row.detail, paint: dim },
    { text: row.file === "" ? "" : `${row.file}:${row.line}`, paint: dim },
  ]);
  return formatTable(["", "WHAT", "PORTS", "WHY", "WHERE"], lines);
}

/** What decides; an end that nothing restricts only where the other is no different. */
function formatReasons(reasons: readonly AnswerReason[]): string {
  const deciding = reasons.filter(({ decision }) => decision?.reason !== DecisionReason.NOT_ISOLATED);
  return (deciding.length > 0 ? deciding : reasons.slice(-1)).map(formatReason).filter(Boolean).join(" and ");
}

function formatReason({ decision, before }: AnswerReason): string {
  if (!decision) return "";
  return before ? `${before.summary} → ${decision.summary}` : decision.summary;
}

function formatExample(output: Output, example: AnswerExample): string {
  const { style } = output;
  const end = (key: string, address: string): string => (key === "" ? address : `${visible(key)} (${address})`);
  const verdict = example.enforced === Verdict.ALLOW ? style.green("allowed") : style.red("denied");
  const connection = `${end(example.fromKey, example.fromAddress)} → ${end(example.toKey, example.toAddress)} ${example.portText}`;
  const sides = (example.evaluation?.directions ?? []).map((side) => formatSide(side)).join("");
  return `\n${style.bold("For example")} ${connection} is ${verdict}:\n${sides}`;
}

function formatSide({ direction, subjectKey, decision, steps }: DirectionEvaluation): string {
  const whose = direction === Direction.EGRESS ? "out of" : "into";
  const head = `  ${whose} ${subjectKey === "" ? "an address that nobody has" : visible(subjectKey)}: ${visible(decision?.summary ?? "")}${placeOf(decision?.source)}\n`;
  const passed = steps
    .filter(({ outcome }) => outcome === WalkthroughOutcome.PASSED || outcome === WalkthroughOutcome.NO_MATCH)
    .slice(0, 6)
    .map(
      ({ policyKey, rule, reason, source }) =>
        `    ${visible(policyKey)}${rule ? `, ${visible(rule)}` : ""}: ${visible(reason)}${placeOf(source)}\n`,
    );
  return head + passed.join("");
}

function placeOf(source: { readonly file: string; readonly line: number } | undefined): string {
  return source && source.file !== "" ? ` (${visible(source.file)}:${source.line})` : "";
}
