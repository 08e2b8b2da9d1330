/** Conditions side by side that no record can meet: most often `port:80 port:443`, where either was meant. */
import type { QueryNode } from "../query.ts";
import type { Problems, Span } from "./diagnostics.ts";
import { formatNode } from "./format.ts";

/** A record has one of each. */
const SINGLE = new Set(["host", "protocol", "port", "verdict", "enforced", "direction"]);

export function sayContradictions(
  parts: readonly (QueryNode | null)[],
  spans: ReadonlyMap<QueryNode, Span>,
  problems: Problems,
): void {
  const first = new Map<string, QueryNode & { readonly kind: "field" }>();
  for (const part of parts) {
    if (part?.kind !== "field" || !SINGLE.has(part.field) || part.values.some((value) => isPattern(part.field, value)))
      continue;
    const other = first.get(part.field);
    if (!other) first.set(part.field, part);
    else if (!part.values.some((value) => other.values.includes(value))) {
      const span = spans.get(part);
      const either = formatNode({ kind: "field", field: part.field, values: [...other.values, ...part.values] });
      if (!span) continue;
      const message = `No record is ${formatNode(other)} and ${formatNode(part)} at once. For either write ${either}`;
      problems.add("WL610", span, message.slice(0, 300));
    }
  }
}

function isPattern(field: string, value: string): boolean {
  return value.includes("*") || (field === "port" && value.includes("-"));
}
