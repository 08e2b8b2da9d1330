/** One term of a query to its condition. */
import { nearestWord } from "../../policy/formats/suggest.ts";
import type { QueryMeasure, QueryNode } from "../query.ts";
import { type Problems, shown } from "./diagnostics.ts";
import { FIELD_WORDS, type FieldInfo, fieldOf } from "./fields.ts";
import { isAddressText, type QueryValue, type Token } from "./lexer.ts";
import { formatValue } from "./quoting.ts";
import { readSize } from "./sizes.ts";
import { readLength } from "./times.ts";
import { type ReadValue, readAddress, readFieldValue, readPortComparison } from "./values.ts";

export type Term = Token & { readonly kind: "term" };

/** `null` when the term says nothing that can be read; what is wrong is in `problems`. */
export function readTerm(term: Term, field: FieldInfo, problems: Problems): QueryNode | null {
  if (field.kind === "measure") return readMeasure(term, field.name, field.unit, problems);
  if (field.kind === "window") return null;
  const { operator } = term;
  if (operator === "<" || operator === "<=" || operator === ">" || operator === ">=") {
    if (field.name === "port") return readPortOrder(term, operator, problems);
    const numbers =
      "Only measures (bytes, sent, received, packets, connections, denied, duration) and port compare by size";
    problems.add("WL605", term.operatorSpan, `${field.name} does not have an order. ${numbers}.`, {
      title: "Ask for the value",
      text: ":",
    });
    return null;
  }
  const values = new Set<string>();
  for (const value of term.values) {
    const read = value.text.trim() === "" ? null : readFieldValue(field.name, value.text);
    if (read?.ok) values.add(read.value);
    else sayValue(value, field.name, field.example, read, problems);
  }
  if (values.size === 0) return null;
  const node: QueryNode = { kind: "field", field: field.name, values: [...values] };
  return operator === "!=" ? { kind: "not", part: node } : node;
}

function readPortOrder(term: Term, operator: "<" | "<=" | ">" | ">=", problems: Problems): QueryNode | null {
  const value = onlyValue(term, "port", problems);
  if (!value) return null;
  const read = readPortComparison(operator, value.text);
  if (read.ok) return { kind: "field", field: "port", values: [read.value] };
  sayValue(value, "port", "port>1023", read, problems);
  return null;
}

function readMeasure(
  term: Term,
  measure: QueryMeasure,
  unit: "bytes" | "count" | "time",
  problems: Problems,
): QueryNode | null {
  const value = onlyValue(term, measure, problems);
  if (!value) return null;
  const number = unit === "time" ? readLength(value.text.toLowerCase()) : readSize(value.text);
  if (number === null) {
    const examples = { bytes: "1500, 100k, 1.5M, 4GiB", count: "10, 5k", time: "500ms, 5s, 2m, 1h" }[unit];
    problems.add(
      "WL604",
      value,
      `${shown(value.text)} is not a number that ${measure} can be compared with: ${examples}.`,
    );
    return null;
  }
  const { operator } = term;
  const comparison = operator === ":" || operator === "!=" ? "=" : operator;
  const node: QueryNode = { kind: "measure", measure, comparison, value: number };
  return operator === "!=" ? { kind: "not", part: node } : node;
}

/** For fields that compare with one value. */
export function onlyValue(term: Term, field: string, problems: Problems): QueryValue | null {
  const [value, second] = term.values;
  if (second) {
    problems.add("WL604", second, `${field} takes one value.`);
    return null;
  }
  if (value && value.text.trim() !== "") return value;
  problems.add("WL603", term, `${field} has no value. For example: ${fieldOf(field)?.example ?? ""}`);
  return null;
}

function sayValue(value: QueryValue, field: string, example: string, read: ReadValue | null, problems: Problems): void {
  if (read === null) {
    problems.add(
      "WL603",
      { start: value.start, end: Math.max(value.end, value.start) },
      `${field} has no value. For example: ${example}`,
    );
  } else if (!read.ok) {
    const { message, replacement } = read;
    problems.add(
      "WL604",
      value,
      replacement === undefined ? message : `${message} Did you mean ${replacement}?`,
      replacement === undefined ? undefined : { title: `Write ${replacement}`, text: replacement },
    );
  }
}

/** What `field` in a query is called here, or `null` and a diagnostic that names the nearest. */
export function knownField(term: Term, text: string, problems: Problems): FieldInfo | null {
  const field = fieldOf(term.field);
  if (field) return field;
  const near = nearestWord(term.field, FIELD_WORDS);
  const missing = `There is no field ${shown(term.field)}.`;
  if (near) {
    const fix = { title: `Write ${near}`, text: near };
    problems.add("WL602", term.fieldSpan, `${missing} Did you mean ${near}?`, fix);
  } else if (term.operator === "=") {
    const fix = { title: "Ask for the label", text: `label:${term.field}` };
    problems.add("WL602", term.fieldSpan, `${missing} A label is written label:${term.field}=…`.slice(0, 300), fix);
  } else {
    const fix = { title: "Look for it as text", text: formatValue(text.slice(term.start, term.end), true) };
    problems.add("WL602", term, `${missing} To look for it as text, put it in quotes.`, fix);
  }
  return null;
}

const ADDRESS_AND_PORT = /^(?:\[([0-9A-Fa-f:.]+)\]|(\d{1,3}(?:\.\d{1,3}){3})):(\d{1,5})$/;
const LIKE_AN_ADDRESS = /^\d{1,3}(\.\d{1,3}){3}(\/\d*)?$|^[0-9a-f]{1,4}(:[0-9a-f]{0,4}){3,}(\/\d*)?$/i;

/** A bare word: an address, an address with a port, or text. */
export function readWord(value: QueryValue, problems: Problems): QueryNode | null {
  const { text } = value;
  if (value.isQuoted) return textNode(value, problems);
  if (isAddressText(text)) {
    const values = text.split(",").flatMap((part) => {
      const read = readAddress(part);
      return read.ok ? [read.value] : [];
    });
    return { kind: "field", field: "address", values: [...new Set(values)] };
  }
  const withPort = ADDRESS_AND_PORT.exec(text);
  const address = withPort ? readAddress(withPort[1] ?? withPort[2] ?? "") : null;
  const port = withPort ? readFieldValue("port", withPort[3] ?? "") : null;
  if (address?.ok && port?.ok) {
    return {
      kind: "and",
      parts: [
        { kind: "field", field: "address", values: [address.value] },
        { kind: "field", field: "port", values: [port.value] },
      ],
    };
  }
  if (LIKE_AN_ADDRESS.test(text)) {
    const read = readAddress(text);
    if (!read.ok) {
      problems.add("WL604", value, `${read.message} To look for it as text, put it in quotes.`);
      return null;
    }
  }
  return textNode(value, problems);
}

function textNode(value: QueryValue, problems: Problems): QueryNode | null {
  if (value.text.trim() !== "") return { kind: "field", field: "text", values: [value.text] };
  problems.add("WL603", value, "There is nothing between the quotes.");
  return null;
}
