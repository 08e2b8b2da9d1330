/** What could stand at the cursor: fields, and values of what is known. */

import { FIELDS, type FieldInfo, fieldOf } from "./fields.ts";
import { tokenize } from "./lexer.ts";
import { PROTOCOL_NAMES } from "./protocols.ts";
import { formatValue } from "./quoting.ts";

/** What this console knows of, most useful first. */
export interface KnownValues {
  readonly hosts: readonly string[];
  /** Of endpoints, and observed ones. */
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  /** `key=value`. */
  readonly labels: readonly string[];
  readonly policies: readonly string[];
  readonly subjects: readonly string[];
  readonly processes: readonly string[];
  readonly users: readonly string[];
  readonly ports: readonly string[];
}

export const NOTHING_KNOWN: KnownValues = {
  ...{
    hosts: [],
    names: [],
    addresses: [],
    labels: [],
    policies: [],
    subjects: [],
    processes: [],
    users: [],
    ports: [],
  },
};

/** Replaces the text from `start` to `end` (UTF-16 code units). */
export interface QueryCompletion {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly detail: string;
}

const MAX_COMPLETIONS = 50;
/** Looked at, of each kind. */
const MAX_CANDIDATES = 20_000;
const MOMENTS = ["-15m", "-1h", "-24h", "-7d", "-30d", "today", "yesterday"];

/** Never throws; nothing for a cursor outside of the text. Best first, at most 50. */
export function completeFlowQuery(text: string, cursor: number, known: KnownValues): readonly QueryCompletion[] {
  if (text.length > 2_000 || !Number.isInteger(cursor) || cursor < 0 || cursor > text.length) return [];
  const token = tokenize(text).find(
    ({ kind, start, end }) => (kind === "word" || kind === "term") && start < cursor && cursor <= end,
  );
  if (token?.kind === "term" && cursor >= token.operatorSpan.end) {
    const field = fieldOf(token.field);
    if (!field) return [];
    const value = token.values.find(({ start, end }) => start <= cursor && cursor <= end);
    const written = value ? text.slice(value.start, cursor).replace(/^"/, "") : "";
    return valuesOf(field, known, written, { start: value?.start ?? cursor, end: value?.end ?? cursor });
  }
  if (token?.kind === "word" && token.value.isQuoted) return [];
  if (!token && cursor > 0 && !/[\s(!-]/.test(text[cursor - 1] ?? "")) return [];
  const start = token?.start ?? cursor;
  const end = token?.kind === "term" ? token.operatorSpan.end : (token?.end ?? cursor);
  return fieldsFor(text.slice(start, cursor), known, { start, end });
}

function fieldsFor(written: string, known: KnownValues, place: { start: number; end: number }): QueryCompletion[] {
  const word = written.toLowerCase();
  const fields = FIELDS.filter(({ name, aliases }) => [name, ...aliases].some((each) => each.startsWith(word)))
    .sort((left, right) => Number(right.name.startsWith(word)) - Number(left.name.startsWith(word)))
    .map((field) => ({ ...place, text: field.name + (field.kind === "measure" ? ">" : ":"), detail: field.meaning }));
  if (word === "") return fields.slice(0, MAX_COMPLETIONS);
  const values = (
    [
      ["host", known.hosts, "host"],
      ["name", known.names, "name"],
      ["process", known.processes, "process"],
      ["policy", known.policies, "policy"],
    ] as const
  ).flatMap(([field, values_, detail]) =>
    matching(values_, written)
      .slice(0, 5)
      .map((value) => ({ ...place, text: `${field}:${formatValue(value)}`, detail })),
  );
  return [...fields, ...values].slice(0, MAX_COMPLETIONS);
}

function valuesOf(
  field: FieldInfo,
  known: KnownValues,
  written: string,
  place: { start: number; end: number },
): QueryCompletion[] {
  return matching(candidatesOf(field, known), written)
    .slice(0, MAX_COMPLETIONS)
    .map((value) => ({ ...place, text: formatValue(value), detail: field.name }));
}

function candidatesOf(field: FieldInfo, known: KnownValues): readonly string[] {
  if (field.kind === "window") return MOMENTS;
  if (field.kind === "measure") return [];
  switch (field.name) {
    case "host":
      return known.hosts;
    case "label":
      return known.labels;
    case "address":
    case "src":
    case "dst":
    case "peer":
      return known.addresses;
    case "name":
      return known.names;
    case "port":
      return known.ports;
    case "protocol":
      return PROTOCOL_NAMES;
    case "process":
      return known.processes;
    case "user":
      return known.users;
    case "policy":
      return known.policies;
    case "subject":
      return known.subjects;
    case "direction":
      return ["in", "out"];
    case "verdict":
    case "enforced":
      return field.values ?? [];
    default:
      return [];
  }
}

/** What begins with it before what has it somewhere. */
function matching(candidates: readonly string[], written: string): string[] {
  const wanted = written.toLowerCase();
  const begins: string[] = [];
  const has: string[] = [];
  for (const candidate of candidates.slice(0, MAX_CANDIDATES)) {
    const at = candidate.toLowerCase().indexOf(wanted);
    if (at === 0) begins.push(candidate);
    else if (at > 0) has.push(candidate);
  }
  return [...new Set([...begins, ...has])];
}
