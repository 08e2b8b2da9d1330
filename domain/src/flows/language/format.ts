/** A query in its canonical form: reading it gives the same query. */
import type { FlowQuery, QueryField, QueryMeasure, QueryNode } from "../query.ts";
import { protocolName } from "./protocols.ts";
import { formatValue } from "./quoting.ts";
import { formatSize } from "./sizes.ts";
import { formatLength } from "./times.ts";

/** Empty for everything. Moments are written whole, in UTC. */
export function formatFlowQuery({ where, sinceMs, untilMs }: FlowQuery): string {
  const parts: string[] = [];
  // Around alternatives, because terms side by side bind tighter than OR.
  if (where.kind !== "all")
    parts.push(where.kind === "or" && hasWindow() ? `(${formatNode(where)})` : formatNode(where));
  if (sinceMs !== null) parts.push(`since:${formatMoment(sinceMs)}`);
  if (untilMs !== null) parts.push(`until:${formatMoment(untilMs)}`);
  return parts.join(" ");

  function hasWindow(): boolean {
    return sinceMs !== null || untilMs !== null;
  }
}

export function formatNode(node: QueryNode): string {
  switch (node.kind) {
    case "all":
      return "";
    case "and":
      return node.parts.map((part) => (part.kind === "or" ? `(${formatNode(part)})` : formatNode(part))).join(" ");
    case "or":
      return node.parts.map(formatNode).join(" OR ");
    case "not":
      return node.part.kind === "and" || node.part.kind === "or"
        ? `-(${formatNode(node.part)})`
        : `-${formatNode(node.part)}`;
    case "field":
      return `${node.field}:${node.values.map((value) => formatFieldValue(node.field, value)).join(",")}`;
    case "measure":
      return `${node.measure}${node.comparison}${formatMeasure(node.measure, node.value)}`;
  }
}

function formatFieldValue(field: QueryField, value: string): string {
  if (field === "protocol") return protocolName(Number(value));
  if (field === "direction") return value === "ingress" ? "in" : "out";
  return formatValue(value);
}

function formatMeasure(measure: QueryMeasure, value: number): string {
  return measure === "duration" ? formatLength(value) : formatSize(value);
}

/** `2026-11-20T10:00Z`: seconds only where there are any. */
export function formatMoment(ms: number): string {
  return new Date(ms).toISOString().replace(/(:00)?\.000Z$/, "Z");
}
