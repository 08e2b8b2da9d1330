/** Answers on the wire; apart from the other converters, so that only who answers questions loads the engine for them. */
import { create } from "@bufbuild/protobuf";
import * as wire from "@wardline/api/wardline/console/v1/ask";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { toWireDecision, toWireEvaluation } from "../../../wire/decision.ts";
import type { Inventory, PolicyWorld } from "../../model.ts";
import {
  type Answer,
  type AnswerExample,
  type AnswerRow,
  type AnswerRowKind,
  type AnswerVerdict,
  type AskVocabulary,
  completeQuestion,
  findRules,
  formatQuestion,
  type ParsedQuestion,
  parseQuestion,
  portText,
  type Question,
  testOfAnswer,
} from "../index.ts";

const VERDICTS: Record<AnswerVerdict, wire.AnswerVerdict> = {
  yes: wire.AnswerVerdict.YES,
  no: wire.AnswerVerdict.NO,
  partly: wire.AnswerVerdict.PARTLY,
  nobody: wire.AnswerVerdict.NOBODY,
  list: wire.AnswerVerdict.LIST,
};

const KINDS: Record<Question["kind"], wire.AskKind> = {
  "can-reach": wire.AskKind.CAN_REACH,
  "who-can-reach": wire.AskKind.WHO_CAN_REACH,
  "what-can-reach": wire.AskKind.WHAT_CAN_REACH,
  why: wire.AskKind.WHY,
  "why-flow": wire.AskKind.WHY_FLOW,
  changed: wire.AskKind.CHANGED,
  "no-policy": wire.AskKind.NO_POLICY,
  "selected-by": wire.AskKind.SELECTED_BY,
  "never-hit": wire.AskKind.NEVER_HIT,
  "uses-port": wire.AskKind.USES_PORT,
};

const ROW_KINDS: Record<AnswerRowKind, wire.AnswerRowKind> = {
  allowed: wire.AnswerRowKind.ALLOWED,
  denied: wire.AnswerRowKind.DENIED,
  gained: wire.AnswerRowKind.GAINED,
  lost: wire.AnswerRowKind.LOST,
  policy: wire.AnswerRowKind.POLICY,
  rule: wire.AnswerRowKind.RULE,
  endpoint: wire.AnswerRowKind.ENDPOINT,
};

/** What an answer is about besides what it says. */
export interface AnswerFrame {
  readonly inventory: Inventory;
  readonly basis: wire.AnswerBasis;
  readonly before: wire.AnswerBasis | null;
}

export function toWireAnswer(answer: Answer, { inventory, basis, before }: AnswerFrame): wire.Answer {
  const kept = testOfAnswer(answer, inventory);
  const message = create(wire.AnswerSchema, {
    question: formatQuestion(answer.question),
    kind: KINDS[answer.question.kind],
    verdict: VERDICTS[answer.verdict],
    sentence: answer.sentence,
    notes: [...answer.notes],
    basis,
    rows: answer.rows.map(toWireRow),
    rowsLeftOut: answer.rowsLeftOut,
    examples: answer.examples.map(toWireExample),
    testDocument: kept.ok ? kept.text : "",
    noTestReason: kept.ok ? "" : kept.reason,
    flowQuery: answer.flowQuery ?? "",
    command: commandOf(formatQuestion(answer.question), basis),
  });
  if (before) message.before = before;
  return message;
}

export function toWireParsed(parsed: Exclude<ParsedQuestion, { kind: "question" }>): wire.AskResponse {
  const { message, start, end } = parsed;
  if (parsed.kind === "ambiguous") {
    const choices = parsed.choices.map((choice) => create(wire.AskChoiceSchema, choice));
    const value = create(wire.AskBackSchema, { message, start, end, choices });
    return create(wire.AskResponseSchema, { outcome: { case: "askBack", value } });
  }
  const didYouMean = parsed.didYouMean.map((choice) => create(wire.AskChoiceSchema, choice));
  const examples = [...parsed.examples];
  const value = create(wire.NotUnderstoodSchema, { message, start, end, didYouMean, examples });
  return create(wire.AskResponseSchema, { outcome: { case: "notUnderstood", value } });
}

/** What a text means so far, and what could stand at the cursor. */
export function completeOnWire(text: string, cursor: number, vocabulary: AskVocabulary): wire.CompleteResponse {
  const { completions, isBeginning } = completeQuestion(text, cursor, vocabulary);
  const parsed = parseQuestion(text, vocabulary);
  const open = isBeginning ? wire.AskReading.BEGINNING : wire.AskReading.OTHER;
  const whole = parsed.kind === "question" ? wire.AskReading.QUESTION : wire.AskReading.AMBIGUOUS;
  return create(wire.CompleteResponseSchema, {
    reading: parsed.kind === "unknown" ? open : whole,
    question: parsed.kind === "question" ? parsed.text : "",
    message: parsed.kind === "question" ? "" : parsed.message,
    completions: completions.map((one) => create(wire.AskCompletionSchema, one)),
  });
}

/** @param limit most rules */
export function findRulesOnWire(world: PolicyWorld, text: string, limit: number): wire.FindRulesResponse {
  const { rules, matching } = findRules(world, text, limit);
  return create(wire.FindRulesResponseSchema, {
    rules: rules.map(({ policyKey, rule, meaning, source: { file, line, column } }) =>
      create(wire.FoundRuleSchema, { policyKey, rule, meaning, file, line, column }),
    ),
    matching,
  });
}

/** One word of a shell, whatever is in it. */
function shellWord(text: string): string {
  return /^[\w./:@=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function commandOf(question: string, { kind, hostId, hostName }: wire.AnswerBasis): string {
  const basis = kind === wire.AskBasis.ENFORCED ? " --basis enforced" : "";
  const host =
    kind === wire.AskBasis.ENFORCED && hostId !== "" && hostId !== "local" ? ` --host ${shellWord(hostName)}` : "";
  return `wardline ask ${shellWord(question)}${basis}${host}`;
}

function toWireRow(row: AnswerRow): wire.AnswerRow {
  const { from, to, ports, key, rule, detail, source } = row;
  return create(wire.AnswerRowSchema, {
    kind: ROW_KINDS[row.kind],
    ...{ from, to, ports, key, rule, detail },
    reasons: row.reasons.map(({ direction, decision, before }) => {
      const reason = create(wire.AnswerReasonSchema, {
        direction: direction === "egress" ? Direction.EGRESS : Direction.INGRESS,
        decision: toWireDecision(decision, direction),
      });
      if (before) reason.before = toWireDecision(before, direction);
      return reason;
    }),
    file: source?.file ?? "",
    line: source?.file ? source.line : 0,
    column: source?.file ? source.column : 0,
  });
}

function toWireExample({ connection, walkthrough }: AnswerExample): wire.AnswerExample {
  const { from, to, protocol, port, enforced } = connection;
  return create(wire.AnswerExampleSchema, {
    fromKey: from.endpointKey ?? "",
    fromAddress: from.address,
    toKey: to.endpointKey ?? "",
    toAddress: to.address,
    protocol,
    port,
    portText: portText(protocol, port),
    enforced: enforced === "allow" ? Verdict.ALLOW : Verdict.DENY,
    evaluation: toWireEvaluation(walkthrough()),
  });
}
