/** Answers about connections: can, who, what, why. */
import {
  type AccessModel,
  type AccessQuestion,
  type ConnectionExample,
  findConnection,
  formatPortSet,
  membersOf,
  type ReachRow,
  reach,
} from "../access/index.ts";
import { type DecisionContent, describeDecision } from "../decision.ts";
import { evaluate } from "../evaluate.ts";
import type { FlowEnd } from "../evaluation.ts";
import { type PolicyWorld, PROTOCOL, type SourceRange, type Verdict } from "../model.ts";
import type { Answer, AnswerExample, AnswerReason, AnswerRow, AnswerVerdict, AskSources } from "./answer.ts";
import { flowQueryOf } from "./flow-query.ts";
import { modelOf } from "./model-book.ts";
import type { AskPorts, AskSubject, Question } from "./question.ts";

const ANYONE: AskSubject = { text: "anyone", ends: [{ kind: "any" }], testEnds: [{ kind: "any" }], serviceKey: null };
const DEFAULT_ROWS = 100;
const USED_PORTS = [PROTOCOL.tcp, PROTOCOL.udp, PROTOCOL.sctp].map((protocol) => ({
  kind: "range" as const,
  protocol,
  low: 1,
  high: 0xffff,
  source: { file: "", line: 1, column: 1, endLine: 1, endColumn: 1 },
}));

type ReachQuestion = Extract<Question, { kind: "can-reach" | "who-can-reach" | "what-can-reach" | "why" }>;

interface Asked {
  readonly from: AskSubject;
  readonly to: AskSubject;
  readonly ports: AskPorts | null;
}

export function askedOf(question: ReachQuestion): Asked {
  if (question.kind === "who-can-reach") return { from: ANYONE, to: question.to, ports: question.ports };
  if (question.kind === "what-can-reach") return { from: question.from, to: ANYONE, ports: question.ports };
  return question;
}

/** Each pair of what the two sides stand for. */
export function pairsOf({ from, to, ports }: Asked): readonly AccessQuestion[] {
  return from.ends.flatMap((source) =>
    to.ends.map((target) => ({ from: source, to: target, ports: ports?.matches ?? null })),
  );
}

export interface Found {
  readonly allowed: ConnectionExample | null;
  readonly denied: ConnectionExample | null;
  /** Denied only by policies in observe mode. */
  readonly observed: ConnectionExample | null;
}

/** One connection of each kind, as far as there are any: none is a proof that there are none. */
export function findExamples(model: AccessModel, asked: Asked, checkpoint: () => void): Found {
  const first = (wanted: Parameters<typeof findConnection>[2]): ConnectionExample | null => {
    // Port 0 is the smallest and shows nobody anything: it stands only for what nothing else shows.
    for (const ports of asked.ports === null ? [USED_PORTS, null] : [asked.ports.matches]) {
      for (const question of pairsOf(asked)) {
        checkpoint();
        const found = findConnection(model, { ...question, ports }, wanted);
        if (found) return found;
      }
    }
    return null;
  };
  return {
    allowed: first(({ enforced }) => enforced === "allow"),
    denied: first(({ enforced }) => enforced === "deny"),
    observed: first(({ enforced, reported }) => enforced === "allow" && reported === "deny"),
  };
}

export function verdictOf({ allowed, denied }: Found): Exclude<AnswerVerdict, "list"> {
  if (allowed === null && denied === null) return "nobody";
  if (denied === null) return "yes";
  return allowed === null ? "no" : "partly";
}

export function answerReach(question: ReachQuestion, sources: AskSources): Answer {
  const model = modelOf(sources.world);
  const checkpoint = sources.checkpoint ?? (() => {});
  const asked = askedOf(question);
  const found = findExamples(model, asked, checkpoint);
  const verdict = verdictOf(found);
  const shown = rowVerdicts(question, verdict);
  const limit = sources.limit ?? DEFAULT_ROWS;
  const rows: AnswerRow[] = [];
  let leftOut = 0;
  for (const wanted of shown) {
    for (const pair of pairsOf(asked)) {
      checkpoint();
      const answer = reach(model, { ...pair, verdict: wanted, limit: Math.max(1, limit - rows.length) });
      const room = limit - rows.length;
      rows.push(...answer.rows.slice(0, room).map((row) => rowOf(row, wanted)));
      leftOut += answer.leftOut + Math.max(0, answer.rows.length - room);
    }
  }
  const isList = question.kind === "who-can-reach" || question.kind === "what-can-reach";
  const examples = examplesOf(question, found).map((connection) => exampleOf(sources.world, connection));
  checkpoint();
  return {
    question,
    verdict: isList && verdict !== "nobody" ? "list" : verdict,
    sentence: sentenceOf(question, verdict, found),
    notes: notesOf(model, asked, found),
    rows,
    rowsLeftOut: leftOut,
    examples,
    flowQuery: flowQueryOf(sources.world.inventory, asked),
  };
}

function rowVerdicts(question: ReachQuestion, verdict: AnswerVerdict): readonly Verdict[] {
  if (verdict === "nobody") return [];
  if (question.kind === "who-can-reach" || question.kind === "what-can-reach") return ["allow"];
  if (question.kind === "why") return [question.verdict];
  if (verdict === "partly") return ["allow", "deny"];
  return [verdict === "yes" ? "allow" : "deny"];
}

/** What contradicts a plain answer first; of what is asked "why" about, that. */
function examplesOf(question: ReachQuestion, { allowed, denied, observed }: Found): readonly ConnectionExample[] {
  const isAboutAllowed = question.kind === "why" && question.verdict === "allow";
  const found: ConnectionExample[] = [];
  for (const one of [...(isAboutAllowed ? [allowed, denied] : [denied, allowed]), observed]) {
    if (one !== null && !found.some((each) => sameFlow(each, one))) found.push(one);
  }
  return found;
}

function sameFlow(one: ConnectionExample, other: ConnectionExample): boolean {
  const text = ({ from, to, protocol, port }: ConnectionExample): string => JSON.stringify([from, to, protocol, port]);
  return text(one) === text(other);
}

export function exampleOf(world: PolicyWorld, connection: ConnectionExample): AnswerExample {
  return { connection, walkthrough: () => evaluate(world, connection) };
}

function rowOf(row: ReachRow, verdict: Verdict): AnswerRow {
  const reasons: AnswerReason[] = [
    { direction: "egress", decision: row.egress, before: null },
    { direction: "ingress", decision: row.ingress, before: null },
  ];
  return {
    kind: verdict === "allow" ? "allowed" : "denied",
    from: row.from.text,
    to: row.to.text,
    ports: formatPortSet(row.ports),
    reasons,
    key: "",
    rule: "",
    detail: "",
    source: placeOf(reasons, verdict),
  };
}

/** Of the rule that decides: of what denies, else of what allows at the destination, else at the source. */
function placeOf(reasons: readonly AnswerReason[], verdict: Verdict): SourceRange | null {
  const deciding = reasons.filter(({ decision }) => decision.source !== null && decision.source.file !== "");
  const wanted = deciding.filter(({ decision }) => decision.verdict === verdict);
  return (wanted.at(-1) ?? deciding.at(-1))?.decision.source ?? null;
}

export function portText(protocol: number, port: number): string {
  return formatPortSet([{ protocol, exceptProtocols: [], low: port, high: port }]);
}

export function endText({ endpointKey, address }: FlowEnd): string {
  return endpointKey === null ? address : `${endpointKey} (${address})`;
}

/** `Host/a (10.0.0.1) → Host/b (10.0.0.2) 80/tcp`. */
export function connectionText({ from, to, protocol, port }: ConnectionExample): string {
  return `${endText(from)} → ${endText(to)} ${portText(protocol, port)}`;
}

/** What decides a connection, in words with its place. */
export function reasonText({ enforced, egress, ingress }: ConnectionExample): string {
  const sides: readonly (readonly ["egress" | "ingress", DecisionContent])[] = [
    ["egress", egress],
    ["ingress", ingress],
  ];
  const deciding = sides.filter(
    ([, decision]) => decision.reason !== "not-isolated" && (decision.verdict === enforced || decision.observeOnly),
  );
  if (deciding.length === 0) return "no policy restricts it";
  return deciding
    .map(([direction, decision]) => {
      const { source } = decision;
      const place = source === null || source.file === "" ? "" : ` (${source.file}:${source.line})`;
      return `${describeDecision(decision, direction)}${place}`;
    })
    .join(" and ");
}

function sentenceOf(question: ReachQuestion, verdict: AnswerVerdict, { allowed, denied }: Found): string {
  const { from, to, ports } = askedOf(question);
  const on = ports === null ? "" : ` on ${ports.text}`;
  if (verdict === "nobody") return `There is no connection from ${from.text} to ${to.text}${on} to say anything about.`;
  const why = (example: ConnectionExample | null): string =>
    example === null ? "" : ` ${connectionText(example)}: ${reasonText(example)}.`;
  switch (question.kind) {
    case "can-reach":
      if (verdict === "yes")
        return `Yes, every connection from ${from.text} to ${to.text}${on} is allowed.${why(allowed)}`;
      if (verdict === "no") return `No, none from ${from.text} to ${to.text}${on} is allowed.${why(denied)}`;
      return `Partly: some connections from ${from.text} to ${to.text}${on} are allowed and some are not. Not allowed:${why(denied)}`;
    case "who-can-reach":
      return allowed === null ? `Nobody can reach ${to.text}${on}.${why(denied)}` : `These can reach ${to.text}${on}.`;
    case "what-can-reach":
      return allowed === null
        ? `${from.text} can reach nobody${on}.${why(denied)}`
        : `${from.text} can reach these${on}.`;
    case "why":
      if (question.verdict === "deny") {
        return denied === null
          ? `Nothing stops ${from.text} from ${to.text}${on}: all of it is allowed.${why(allowed)}`
          : `${verdict === "partly" ? "Some of it is" : "It is"} denied.${why(denied)}`;
      }
      return allowed === null
        ? `Nothing lets ${from.text} reach ${to.text}${on}: all of it is denied.${why(denied)}`
        : `${verdict === "partly" ? "Some of it is" : "It is"} allowed.${why(allowed)}`;
  }
}

function notesOf(model: AccessModel, asked: Asked, { observed }: Found): readonly string[] {
  const notes: string[] = [];
  for (const [subject, word] of [
    [asked.from, "from"],
    [asked.to, "to"],
  ] as const) {
    const without = subject.ends.flatMap((end) => membersOf(model, end).withoutAddress);
    if (without.length > 0) notes.push(`Without an address, and so in no connection (${word}): ${listed(without)}.`);
  }
  if (observed !== null) {
    notes.push(
      `Policies in observe mode would deny some of what is allowed: ${connectionText(observed)}: ${reasonText(observed)}.`,
    );
  }
  return notes;
}

export function listed(names: readonly string[], most = 5): string {
  const unique = [...new Set(names)];
  const shown = unique.slice(0, most).join(", ");
  return unique.length > most ? `${shown} and ${unique.length - most} more` : shown;
}
