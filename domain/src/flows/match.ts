/**
 * What a flow query means: the readable reference that every store is held to, never optimised.
 *
 * Texts compare exactly, except that ASCII letters of `host`, `name`, `user` and `text` compare without case. `*` stands
 * for any part of the texts of `host`, `name`, `process`, `user`, `policy`, `rule`, `subject`, `cgroup` and `text`. A text that
 * is empty in the record (unknown) matches nothing, also not `*`.
 */
import { cidrContainsAddress, parseAddress, parseCidr } from "../policy/address.ts";
import { PROTOCOL } from "../policy/model.ts";
import type { FlowQuery, QueryField, QueryMeasure, QueryNode } from "./query.ts";
import { bytesOf, type FlowRecord, remoteAddressOf } from "./record.ts";

/** Labels are not in records: `key=value` or `key` gives the endpoints and addresses that have it now. */
export type LabelResolver = (label: string) => {
  readonly subjectKeys: readonly string[];
  /** Canonical. */
  readonly addresses: readonly string[];
};

export const NO_LABELS: LabelResolver = () => ({ subjectKeys: [], addresses: [] });

/** A record is in a window that its own window shares a moment with: a rolled-up hour is in every part of it. */
export function matchesQuery(query: FlowQuery, record: FlowRecord, labels: LabelResolver): boolean {
  const { where, sinceMs, untilMs } = query;
  if (sinceMs !== null && record.windowStartMs + record.windowMs <= sinceMs) return false;
  if (untilMs !== null && record.windowStartMs >= untilMs) return false;
  return matchesNode(where, record, labels);
}

export function matchesNode(node: QueryNode, record: FlowRecord, labels: LabelResolver): boolean {
  switch (node.kind) {
    case "all":
      return true;
    case "and":
      return node.parts.every((part) => matchesNode(part, record, labels));
    case "or":
      return node.parts.some((part) => matchesNode(part, record, labels));
    case "not":
      return !matchesNode(node.part, record, labels);
    case "field":
      return node.values.some((value) => matchesValue(node.field, value, record, labels));
    case "measure":
      return compares(measureOf(node.measure, record), node.comparison, node.value);
  }
}

function matchesValue(field: QueryField, value: string, record: FlowRecord, labels: LabelResolver): boolean {
  const { sourceAddress, destinationAddress, process } = record;
  switch (field) {
    case "host":
      return matchesName(value, record.host);
    case "label":
      return hasLabel(labels(value), record);
    case "address":
      return isWithin(value, sourceAddress) || isWithin(value, destinationAddress);
    case "src":
      return isWithin(value, sourceAddress);
    case "dst":
      return isWithin(value, destinationAddress);
    case "peer":
      return isWithin(value, remoteAddressOf(record));
    case "name":
      return [record.sourceName, record.destinationName, record.observedName].some((name) => matchesName(value, name));
    case "port":
      return hasPorts(record.protocol) && inRange(value, record.destinationPort);
    case "protocol":
      return record.protocol === Number(value);
    case "process":
      return matchesProcess(value, record);
    case "user":
      return matchesName(value, process.userName) || (isKnownProcess(record) && String(process.userId) === value);
    case "verdict":
      return record.verdict === value;
    case "enforced":
      return record.enforced === value;
    case "policy":
      return record.policyKeys.some((key) => matchesKey(value, key));
    case "rule":
      return matchesPattern(value, record.decisionSummary);
    case "direction":
      return record.direction === value;
    case "subject":
      return matchesKey(value, record.subjectKey);
    case "cgroup":
      return matchesPath(value, record.cgroupPath);
    case "text":
      return textsOf(record).some((text) => matchesPattern(`*${foldCase(value)}*`, foldCase(text)));
  }
}

function hasLabel({ subjectKeys, addresses }: ReturnType<LabelResolver>, record: FlowRecord): boolean {
  return (
    subjectKeys.includes(record.subjectKey) ||
    addresses.includes(record.sourceAddress) ||
    addresses.includes(record.destinationAddress)
  );
}

/** @param value an address or a CIDR */
function isWithin(value: string, address: string): boolean {
  const parsed = parseAddress(address);
  if (!parsed.ok) return false;
  if (!value.includes("/")) return value === address;
  const prefix = parseCidr(value);
  return prefix.ok && cidrContainsAddress(prefix.cidr, parsed.bytes);
}

/** Of ICMP, `destinationPort` is type and code. */
export function hasPorts(protocol: number): boolean {
  return protocol !== PROTOCOL.icmp && protocol !== PROTOCOL.icmpv6;
}

/** @param value `443` or `1000-2000` */
function inRange(value: string, port: number): boolean {
  const [first = "", last = first] = value.split("-");
  return port >= Number(first) && port <= Number(last);
}

/** What the kernel appends to the path of a program whose file was replaced or removed since it started. */
const DELETED = " (deleted)";

/** A number is also a process id; what has a slash is a path; anything else the kernel's name or the program's file name. */
function matchesProcess(value: string, { process }: FlowRecord): boolean {
  const { pid, command } = process;
  const executable = process.executable.endsWith(DELETED)
    ? process.executable.slice(0, -DELETED.length)
    : process.executable;
  if (value.includes("/")) return matchesPattern(value, executable);
  const fileName = executable.slice(executable.lastIndexOf("/") + 1);
  return matchesPattern(value, command) || matchesPattern(value, fileName) || (pid > 0 && String(pid) === value);
}

/** Of an unknown one, the number of the user says nothing. */
export function isKnownProcess({ process }: FlowRecord): boolean {
  return process.pid > 0 || process.command !== "" || process.executable !== "" || process.userName !== "";
}

/** A key, or its last parts: `web` and `default/web` are both `NetworkPolicy/default/web`. */
function matchesKey(value: string, key: string): boolean {
  return matchesPattern(value, key) || matchesPattern(`*/${value}`, key);
}

/** The cgroup or one below it. */
function matchesPath(value: string, path: string): boolean {
  return matchesPattern(value, path) || matchesPattern(`${value}/*`, path);
}

function matchesName(value: string, name: string): boolean {
  return matchesPattern(foldCase(value), foldCase(name));
}

/** `*` stands for any part, also none. An empty text matches nothing. Takes time in proportion to both lengths. */
export function matchesPattern(pattern: string, text: string): boolean {
  if (text === "") return false;
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return pattern === text;
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/** ASCII letters only, as databases do it. */
export function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Every text that `text` looks in, each by itself. */
export function textsOf(record: FlowRecord): readonly string[] {
  const { process } = record;
  return [
    record.host,
    record.sourceAddress,
    record.destinationAddress,
    record.sourceName,
    record.destinationName,
    record.observedName,
    hasPorts(record.protocol) ? String(record.destinationPort) : "",
    record.subjectKey,
    record.cgroupPath,
    process.command,
    process.executable,
    process.userName,
    record.decisionSummary,
    ...record.policyKeys,
  ];
}

/** Of one record: bytes, packets, counts, milliseconds from the first to the last moment in which it was seen. */
export function measureOf(measure: QueryMeasure, record: FlowRecord): number {
  switch (measure) {
    case "bytes":
      return record.originatorBytes + record.responderBytes;
    case "sent":
      return bytesOf(record).sent;
    case "received":
      return bytesOf(record).received;
    case "packets":
      return record.packets;
    case "connections":
      return record.started;
    case "denied":
      return record.deniedPackets;
    case "duration":
      return record.lastSeenMs - record.firstSeenMs;
  }
}

function compares(left: number, comparison: "<" | "<=" | ">" | ">=" | "=", right: number): boolean {
  switch (comparison) {
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case ">":
      return left > right;
    case ">=":
      return left >= right;
    case "=":
      return left === right;
  }
}
