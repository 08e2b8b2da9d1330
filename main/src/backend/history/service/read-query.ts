/** The query of a request, read, with its window and with hosts by the names that records have. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { HistoryQuery } from "@wardline/api/wardline/console/v1/history";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type FlowQuery, parseFlowQuery, type QueryNode } from "@wardline/domain/flows";
import type { EndpointFacts } from "./endpoint-book.ts";

/** @throws Failure QUERY_INVALID with diagnostics, INVALID_ARGUMENT for a window that is none */
export function readQuery(given: HistoryQuery | undefined, nowMs: number, facts: EndpointFacts): FlowQuery {
  const query = readText(given?.text ?? "", nowMs);
  const sinceMs = query.sinceMs ?? (given?.since ? timestampMs(given.since) : null);
  const untilMs = query.untilMs ?? (given?.until ? timestampMs(given.until) : null);
  if (sinceMs !== null && untilMs !== null && untilMs <= sinceMs) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: "The window of time ends before it begins.",
      hint: "`since` and `until` in the query count before the window that is chosen beside it.",
    });
  }
  return { where: withHostNames(query.where, facts), sinceMs, untilMs };
}

/** @throws Failure QUERY_INVALID with all diagnostics */
export function readText(text: string, nowMs: number): FlowQuery {
  const { query, diagnostics } = parseFlowQuery(text, { nowMs });
  if (query) return query;
  const [first] = diagnostics.filter(({ severity }) => severity === "error");
  throw new Failure({
    code: ErrorCode.QUERY_INVALID,
    message: first?.message ?? "The query cannot be read.",
    hint: "docs/flows.md has the language, with examples.",
    source: first?.source ?? null,
    diagnostics,
  });
}

function withHostNames(node: QueryNode, facts: EndpointFacts): QueryNode {
  switch (node.kind) {
    case "and":
    case "or":
      return { ...node, parts: node.parts.map((part) => withHostNames(part, facts)) };
    case "not":
      return { ...node, part: withHostNames(node.part, facts) };
    case "field":
      if (node.field !== "host") return node;
      return { ...node, values: [...new Set(node.values.flatMap((value) => facts.hostNames(value)))] };
    default:
      return node;
  }
}
