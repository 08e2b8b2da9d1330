/** The form in which queries are kept: no group of one part, no group directly in one of its kind, no double negation. */
import type { QueryNode } from "../query.ts";

/** `null` when there is no part. */
export function combine(kind: "and" | "or", given: readonly (QueryNode | null)[]): QueryNode | null {
  const parts: QueryNode[] = [];
  for (const part of given) {
    if (part === null) continue;
    if (part.kind === kind) parts.push(...part.parts);
    else parts.push(part);
  }
  const [first] = parts;
  if (!first) return null;
  return parts.length === 1 ? first : { kind, parts };
}

export function negate(node: QueryNode): QueryNode {
  return node.kind === "not" ? node.part : { kind: "not", part: node };
}
