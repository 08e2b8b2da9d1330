/** What a change opened and closed: the access diff, as far as it is about the group that is asked about. */

import { ErrorCode, Failure } from "../../errors/index.ts";
import {
  type AccessDifference,
  type AccessModel,
  diffAccess,
  formatPortSet,
  membersOf,
  type Party,
} from "../access/index.ts";
import { cidrContains } from "../address.ts";
import type { Answer, AnswerRow, AskSources } from "./answer.ts";
import { modelOf } from "./model-book.ts";
import type { AskSubject, Question } from "./question.ts";
import { listed } from "./reach-answers.ts";

type ChangedQuestion = Extract<Question, { kind: "changed" }>;

const DEFAULT_ROWS = 100;
/** Compared before rows are chosen: a change of more kinds than this is counted as far as this. */
const MOST_ROWS = 20_000;

export function answerChanged(question: ChangedQuestion, sources: AskSources): Answer {
  if (!sources.change) {
    throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "There are no two states to compare here." });
  }
  const { before, after } = sources.change();
  sources.checkpoint?.();
  const old = modelOf(before);
  const next = modelOf(after);
  const { rows, leftOut } = diffAccess(old, next, { limit: MOST_ROWS });
  sources.checkpoint?.();
  const touches = question.about === null ? () => true : touching([old, next], question.about);
  const sides = question.side === "both" ? ["lost", "gained"] : [question.side === "opened" ? "gained" : "lost"];
  const wanted = rows.filter((row) => sides.includes(row.change) && touches(row));
  const others = rows.filter((row) => !sides.includes(row.change) && touches(row));
  const shown = wanted.slice(0, sources.limit ?? DEFAULT_ROWS);
  const notes = [
    ...(leftOut > 0
      ? [`The change is larger than ${MOST_ROWS.toLocaleString("en")} rows; the rest was not looked at.`]
      : []),
    ...(others.length > 0
      ? [
          `It also ${question.side === "opened" ? "closed" : "opened"} something for ${listed(
            others.map(({ from }) => from.text),
            3,
          )}.`,
        ]
      : []),
    ...(question.about !== null && wanted.length > 0 ? ["Rows that are about several groups name all of them."] : []),
  ];
  return {
    question,
    verdict: "list",
    sentence: sentenceOf(question, wanted.length, rows.length === 0),
    notes,
    rows: shown.map(rowOf),
    rowsLeftOut: wanted.length - shown.length,
    examples: [],
    flowQuery: null,
  };
}

function sentenceOf({ side, span, about }: ChangedQuestion, count: number, isNothing: boolean): string {
  const what =
    span.kind === "draft" ? "The draft" : span.kind === "version" ? `Version ${span.number}` : "The last change";
  const would = span.kind === "draft";
  const verb = {
    opened: would ? "opens" : "opened",
    closed: would ? "closes" : "closed",
    both: would ? "changes" : "changed",
  }[side];
  const whom = about === null ? "" : ` for ${about.text}`;
  if (isNothing) return `${what} ${would ? "changes" : "changed"} no access at all: the same packets pass.`;
  if (count === 0) return `${what} ${verb} nothing${whom}.`;
  return `${what} ${verb} this${whom}.`;
}

function rowOf({ change, from, to, ports, sides }: AccessDifference): AnswerRow {
  const reasons = sides.map(({ direction, before, after }) => ({ direction, decision: after, before }));
  const places = sides.flatMap(({ before, after }) => [after.source, before.source]);
  return {
    kind: change,
    from: from.text,
    to: to.text,
    ports: formatPortSet(ports),
    reasons,
    key: "",
    rule: "",
    detail: "",
    source: places.find((place) => place !== null && place.file !== "") ?? null,
  };
}

/** Whether a member of the group is on either side. */
function touching(models: readonly AccessModel[], subject: AskSubject): (row: AccessDifference) => boolean {
  const members = models.flatMap((model) => subject.ends.map((end) => membersOf(model, end)));
  const keys = new Set(members.flatMap(({ endpoints }) => endpoints));
  const hasOutside = members.some((one) => one.hasOutside);
  const prefixes = subject.ends.flatMap((end) => (end.kind === "addresses" ? [end.cidr] : []));
  const isWhole = subject.ends.some(({ kind }) => kind === "any" || kind === "entity");
  const meets = (party: Party): boolean => {
    if (party.endpoints.some(({ key }) => keys.has(key))) return true;
    if (!hasOutside || party.regions.length === 0) return false;
    if (isWhole) return true;
    return party.regions.some(({ prefix }) =>
      prefixes.some((own) => own.family === prefix.family && (cidrContains(own, prefix) || cidrContains(prefix, own))),
    );
  };
  return ({ from, to }) => meets(from) || meets(to);
}
