import { type Flow, FlowHook } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import type { FlowQuery } from "../../../data/flow-buffer.ts";
import { protocolName, shortKey } from "../../../ui/index.ts";

/** One condition, as a chip shows it. */
export type FilterTerm =
  | { readonly part: "verdict"; readonly value: "allow" | "deny" }
  | { readonly part: "direction"; readonly value: "ingress" | "egress" }
  | { readonly part: "protocol"; readonly value: number }
  | { readonly part: "port"; readonly value: number; readonly isExcluded: boolean }
  | { readonly part: "address"; readonly value: string; readonly isExcluded: boolean }
  | { readonly part: "policy"; readonly value: string; readonly isExcluded: boolean }
  | { readonly part: "process"; readonly value: string; readonly isExcluded: boolean }
  | { readonly part: "user"; readonly value: string; readonly isExcluded: boolean }
  | { readonly part: "text"; readonly value: string };

const with_ = <Value>(list: readonly Value[], value: Value) => (list.includes(value) ? list : [...list, value]);
const without = <Value>(list: readonly Value[], value: Value) => list.filter((other) => other !== value);

type ListPart = "ports" | "addresses" | "policyKeys" | "processes" | "users";
const EXCLUDED = {
  ports: "excludePorts",
  addresses: "excludeAddresses",
  policyKeys: "excludePolicyKeys",
  processes: "excludeProcesses",
  users: "excludeUsers",
} as const;

function setTerm<Part extends ListPart>(
  query: FlowQuery,
  part: Part,
  value: FlowQuery[Part][number],
  isExcluded: boolean,
): FlowQuery {
  const other = EXCLUDED[part];
  const included: readonly unknown[] = query[part];
  const excluded: readonly unknown[] = query[other];
  return isExcluded
    ? { ...query, [part]: without(included, value), [other]: with_(excluded, value) }
    : { ...query, [part]: with_(included, value), [other]: without(excluded, value) };
}

/** Adds a condition; including what was excluded (or the other way round) replaces it. */
export function addTerm(query: FlowQuery, term: FilterTerm): FlowQuery {
  switch (term.part) {
    case "verdict":
      return { ...query, verdicts: [term.value] };
    case "direction":
      return { ...query, directions: [term.value] };
    case "protocol":
      return { ...query, protocols: with_(query.protocols, term.value) };
    case "port":
      return setTerm(query, "ports", term.value, term.isExcluded);
    case "address":
      return setTerm(query, "addresses", term.value, term.isExcluded);
    case "policy":
      return setTerm(query, "policyKeys", term.value, term.isExcluded);
    case "process":
      return setTerm(query, "processes", term.value, term.isExcluded);
    case "user":
      return setTerm(query, "users", term.value, term.isExcluded);
    case "text":
      return { ...query, text: term.value };
  }
}

export function removeTerm(query: FlowQuery, term: FilterTerm): FlowQuery {
  switch (term.part) {
    case "verdict":
      return { ...query, verdicts: without(query.verdicts, term.value) };
    case "direction":
      return { ...query, directions: without(query.directions, term.value) };
    case "protocol":
      return { ...query, protocols: without(query.protocols, term.value) };
    case "port":
      return term.isExcluded
        ? { ...query, excludePorts: without(query.excludePorts, term.value) }
        : { ...query, ports: without(query.ports, term.value) };
    case "address":
      return term.isExcluded
        ? { ...query, excludeAddresses: without(query.excludeAddresses, term.value) }
        : { ...query, addresses: without(query.addresses, term.value) };
    case "policy":
      return term.isExcluded
        ? { ...query, excludePolicyKeys: without(query.excludePolicyKeys, term.value) }
        : { ...query, policyKeys: without(query.policyKeys, term.value) };
    case "process":
      return term.isExcluded
        ? { ...query, excludeProcesses: without(query.excludeProcesses, term.value) }
        : { ...query, processes: without(query.processes, term.value) };
    case "user":
      return term.isExcluded
        ? { ...query, excludeUsers: without(query.excludeUsers, term.value) }
        : { ...query, users: without(query.users, term.value) };
    case "text":
      return { ...query, text: "" };
  }
}

/** The conditions of a query, in the order in which chips are shown. */
export function termsOf(query: FlowQuery): FilterTerm[] {
  const both = <Part extends "port" | "address" | "policy" | "process" | "user", Value extends string | number>(
    part: Part,
    included: readonly Value[],
    excluded: readonly Value[],
  ) => [
    ...included.map((value) => ({ part, value, isExcluded: false })),
    ...excluded.map((value) => ({ part, value, isExcluded: true })),
  ];
  return [
    ...query.verdicts.map((value) => ({ part: "verdict" as const, value })),
    ...query.directions.map((value) => ({ part: "direction" as const, value })),
    ...query.protocols.map((value) => ({ part: "protocol" as const, value })),
    ...both("port", query.ports, query.excludePorts),
    ...both("address", query.addresses, query.excludeAddresses),
    ...both("policy", query.policyKeys, query.excludePolicyKeys),
    ...both("process", query.processes, query.excludeProcesses),
    ...both("user", query.users, query.excludeUsers),
    ...(query.text === "" ? [] : [{ part: "text" as const, value: query.text }]),
  ];
}

const VERDICT_TEXT = { allow: "allowed", deny: "denied" } as const;

/** `denied`, `port is not 53`, `address is 10.0.0.0/8`. */
export function termText(term: FilterTerm): string {
  switch (term.part) {
    case "verdict":
      return VERDICT_TEXT[term.value];
    case "direction":
      return term.value === "ingress" ? "incoming" : "outgoing";
    case "protocol":
      return protocolName(term.value);
    case "port":
      return `port ${term.isExcluded ? "is not" : "is"} ${term.value}`;
    case "address":
      return `address ${term.isExcluded ? "is not" : "is"} ${term.value}`;
    case "policy":
      return `policy ${term.isExcluded ? "is not" : "is"} ${shortKey(term.value)}`;
    case "process":
      return `process ${term.isExcluded ? "is not" : "is"} ${term.value}`;
    case "user":
      return `user ${term.isExcluded ? "is not" : "is"} ${term.value}`;
    case "text":
      return `“${term.value}”`;
  }
}

const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f:.]*)(\/\d{1,3})?$/i;

/** What a person types in the search: an address or CIDR, `port:443`, `policy:web`, `process:curl`, `user:root`, `!` in front to exclude, or text. */
export function parseSearch(text: string): FilterTerm | null {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  const isExcluded = trimmed.startsWith("!");
  const body = isExcluded ? trimmed.slice(1) : trimmed;
  const port = /^(?:port:|:)(\d{1,5})$/.exec(body)?.[1];
  if (port !== undefined && Number(port) <= 65_535) return { part: "port", value: Number(port), isExcluded };
  const policy = /^policy:(\S+)$/.exec(body)?.[1];
  if (policy !== undefined) return { part: "policy", value: policy, isExcluded };
  const owner = /^(process|user):\s*(\S.*)$/.exec(body);
  if (owner?.[2]) return { part: owner[1] === "user" ? "user" : "process", value: owner[2], isExcluded };
  if (ADDRESS.test(body)) return { part: "address", value: body, isExcluded };
  return { part: "text", value: trimmed };
}

export function flowPeer(flow: Flow): { readonly own: FlowEndText; readonly peer: FlowEndText } {
  const source = { name: flow.sourceName, address: hasChosenSource(flow) ? flow.sourceAddress : "" };
  const destination = { name: flow.destinationName, address: flow.destinationAddress };
  return flow.direction === Direction.INGRESS ? { own: destination, peer: source } : { own: source, peer: destination };
}

/** A connection that was refused at connect() had not been given an address of its own yet. */
export function hasChosenSource({ hook, sourceAddress }: Flow): boolean {
  return hook !== FlowHook.CONNECT || (sourceAddress !== "0.0.0.0" && sourceAddress !== "::");
}

export interface FlowEndText {
  readonly name: string;
  /** Empty when none was chosen yet. */
  readonly address: string;
}

export function verdictTerm(flow: Flow): FilterTerm {
  return { part: "verdict", value: flow.verdict === Verdict.DENY ? "deny" : "allow" };
}
