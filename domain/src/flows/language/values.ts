/** What each field takes: text to the value in the query, or what is wrong with it. */
import { formatAddress, formatCidr, parseAddress, parseCidr } from "../../policy/address.ts";
import { nearestWord } from "../../policy/formats/suggest.ts";
import { labelProblem } from "../../policy/label-syntax.ts";
import type { QueryField } from "../query.ts";
import { shown } from "./diagnostics.ts";
import { PROTOCOL_NAMES, protocolNumber } from "./protocols.ts";

export type ReadValue =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly message: string; readonly replacement?: string };

/** @param text not empty */
export function readFieldValue(field: QueryField, text: string): ReadValue {
  switch (field) {
    case "address":
    case "src":
    case "dst":
    case "peer":
      return readAddress(text);
    case "port":
      return readPorts(text);
    case "protocol":
      return readProtocol(text);
    case "verdict":
    case "enforced":
      return readWord(text, VERDICTS, "allow or deny");
    case "direction":
      return readWord(text, DIRECTIONS, "in or out");
    case "label":
      return readLabel(text);
    case "cgroup":
      return { ok: true, value: text.length > 1 ? text.replace(/\/+$/, "") || "/" : text };
    default:
      return { ok: true, value: text };
  }
}

/** `10.0.0.1`, `10.0.0.0/8`, canonical: a CIDR of one address is that address. */
export function readAddress(text: string): ReadValue {
  if (!text.includes("/")) {
    const address = parseAddress(text);
    if (address.ok) return { ok: true, value: formatAddress(address.bytes) };
    return { ok: false, message: `${shown(text)} ${address.message}.` };
  }
  const parsed = parseCidr(text);
  if (!parsed.ok) return { ok: false, message: `${shown(text)} ${parsed.message}.` };
  const { cidr } = parsed;
  const isOne = cidr.prefixLength === cidr.bytes.length * 8;
  return { ok: true, value: isOne ? formatAddress(cidr.bytes) : formatCidr(cidr) };
}

const MAX_PORT = 65_535;
const USUAL_PORTS: ReadonlyMap<string, number> = new Map([
  ["ssh", 22],
  ["smtp", 25],
  ["dns", 53],
  ["domain", 53],
  ["http", 80],
  ["ntp", 123],
  ["https", 443],
  ["mysql", 3306],
  ["postgres", 5432],
  ["postgresql", 5432],
  ["redis", 6379],
]);

function readPorts(text: string): ReadValue {
  const parts = /^(\d{1,5})(?:(?:-|\.\.)(\d{1,5}))?$/.exec(text);
  const usual = USUAL_PORTS.get(text.toLowerCase());
  if (!parts) {
    return {
      ok: false,
      message: `${shown(text)} is not a port. Ports are numbers from 0 to ${MAX_PORT} or ranges: 443, 8000-8999.`,
      ...(usual === undefined ? {} : { replacement: String(usual) }),
    };
  }
  const first = Number(parts[1]);
  const last = parts[2] === undefined ? first : Number(parts[2]);
  if (first > MAX_PORT || last > MAX_PORT) return { ok: false, message: `Ports go up to ${MAX_PORT}.` };
  if (last < first) {
    return { ok: false, message: `The range ${text} ends before it begins.`, replacement: `${last}-${first}` };
  }
  return { ok: true, value: formatPortRange(first, last) };
}

export function formatPortRange(first: number, last: number): string {
  return first === last ? String(first) : `${first}-${last}`;
}

/** `port>1023` as the range of ports that it is. */
export function readPortComparison(operator: "<" | "<=" | ">" | ">=", text: string): ReadValue {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= MAX_PORT)) return { ok: false, message: `${shown(text)} is not a port from 0 to ${MAX_PORT}.` };
  const first = operator === ">" ? port + 1 : operator === ">=" ? port : 0;
  const last = operator === "<" ? port - 1 : operator === "<=" ? port : MAX_PORT;
  if (first > last) return { ok: false, message: `No port is ${operator} ${port}.` };
  return { ok: true, value: formatPortRange(first, last) };
}

function readProtocol(text: string): ReadValue {
  const number = protocolNumber(text);
  if (number !== null) return { ok: true, value: String(number) };
  const near = nearestWord(text, PROTOCOL_NAMES);
  return {
    ok: false,
    message: `${shown(text)} is not a protocol. Write ${PROTOCOL_NAMES.slice(0, 4).join(", ")}, … or a number up to 255.`,
    ...(near ? { replacement: near } : {}),
  };
}

export const VERDICTS: ReadonlyMap<string, string> = new Map([
  ...["allow", "allowed", "accept", "accepted", "forwarded", "pass"].map((word) => [word, "allow"] as const),
  ...["deny", "denied", "drop", "dropped", "block", "blocked", "reject", "rejected"].map(
    (word) => [word, "deny"] as const,
  ),
]);
const DIRECTIONS: ReadonlyMap<string, string> = new Map([
  ...["in", "ingress", "incoming", "inbound"].map((word) => [word, "ingress"] as const),
  ...["out", "egress", "outgoing", "outbound"].map((word) => [word, "egress"] as const),
]);

function readWord(text: string, words: ReadonlyMap<string, string>, expected: string): ReadValue {
  const value = words.get(text.toLowerCase());
  if (value !== undefined) return { ok: true, value };
  const near = nearestWord(text, words.keys());
  return { ok: false, message: `${shown(text)} is not ${expected}.`, ...(near ? { replacement: near } : {}) };
}

function readLabel(text: string): ReadValue {
  const equals = text.indexOf("=");
  const key = equals < 0 ? text : text.slice(0, equals);
  const value = equals < 0 ? "" : text.slice(equals + 1);
  if (key.endsWith("!")) {
    return {
      ok: false,
      message: `A label that a record must not have is written -label:${key.slice(0, -1)}=${value}.`,
    };
  }
  const wanted = value === "*" ? "" : value;
  const problem = labelProblem(key, wanted);
  if (problem !== null) return { ok: false, message: `${problem} Labels are written app=web, or app for any value.` };
  return { ok: true, value: value === "*" ? key : text };
}
