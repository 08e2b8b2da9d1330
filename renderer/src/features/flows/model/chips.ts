/** The conditions of a query as chips. The text is the truth: chips are read from it and write it. */
import { type FlowQuery, formatFlowQuery, parseFlowQuery, type QueryNode } from "@wardline/domain/flows";
import type { ShownFailure } from "../../../data/failure.ts";

export interface Chip {
  /** In the canonical form, without the sign of an exclusion. */
  readonly text: string;
  readonly isExcluded: boolean;
}

/** A relative moment (`since:-2h`) is written as the moment that it is now, once a chip is changed. */
function read(text: string): FlowQuery | null {
  return parseFlowQuery(text, { nowMs: Date.now() }).query ?? null;
}

function partsOf({ where }: FlowQuery): readonly QueryNode[] {
  if (where.kind === "all") return [];
  return where.kind === "and" ? where.parts : [where];
}

function textOf(parts: readonly QueryNode[], query: FlowQuery): string {
  const [only] = parts;
  const where: QueryNode =
    parts.length === 0 ? { kind: "all" } : parts.length === 1 && only ? only : { kind: "and", parts };
  return formatFlowQuery({ ...query, where });
}

const plain = (node: QueryNode) => formatFlowQuery({ where: node, sinceMs: null, untilMs: null });

/** `null` while the text cannot be read. */
export function chipsOf(text: string): readonly Chip[] | null {
  const query = read(text);
  if (!query) return null;
  return partsOf(query).map((node) =>
    node.kind === "not" ? { text: plain(node.part), isExcluded: true } : { text: plain(node), isExcluded: false },
  );
}

export function withoutChip(text: string, index: number): string {
  const query = read(text);
  if (!query) return text;
  return textOf(
    partsOf(query).filter((_, at) => at !== index),
    query,
  );
}

/** What was included is excluded, and the other way round. */
export function withChipTurned(text: string, index: number): string {
  const query = read(text);
  if (!query) return text;
  return textOf(
    partsOf(query).map((node, at) =>
      at !== index ? node : node.kind === "not" ? node.part : { kind: "not", part: node },
    ),
    query,
  );
}

/**
 * One more condition. Values of one field are alternatives of one chip; what is included is excluded no longer. A text that
 * cannot be read is replaced: nobody could say what both together mean.
 */
export function withCondition(text: string, term: string, isExcluded: boolean): string {
  const query = read(text) ?? { where: { kind: "all" as const }, sinceMs: null, untilMs: null };
  const added = read(term);
  if (!added) return text;
  let parts = partsOf(query);
  const more = partsOf(added);
  const together: QueryNode = more.length === 1 && more[0] ? more[0] : { kind: "and", parts: more };
  if (isExcluded) return textOf(addPart(parts, negated(together)), query);
  for (const part of more) parts = addPart(parts, part);
  return textOf(parts, query);
}

function negated(node: QueryNode): QueryNode {
  return node.kind === "not" ? node.part : { kind: "not", part: node };
}

function addPart(parts: readonly QueryNode[], part: QueryNode): readonly QueryNode[] {
  const isNot = part.kind === "not";
  const inner = isNot ? part.part : part;
  if (inner.kind !== "field") return parts.some((each) => plain(each) === plain(part)) ? parts : [...parts, part];
  const { field, values } = inner;
  const left = parts.flatMap((each): readonly QueryNode[] => without(each, field, values, !isNot));
  const index = left.findIndex((each) => {
    const known = each.kind === "not" ? each.part : each;
    return (each.kind === "not") === isNot && known.kind === "field" && known.field === field;
  });
  const former = left[index];
  const known = former?.kind === "not" ? former.part : former;
  if (known?.kind !== "field") return [...left, part];
  const merged: QueryNode = { kind: "field", field, values: [...new Set([...known.values, ...values])] };
  return left.map((each, at) => (at === index ? (isNot ? { kind: "not", part: merged } : merged) : each));
}

/** Takes values out of a condition of the other sign. */
function without(node: QueryNode, field: string, values: readonly string[], isNot: boolean): readonly QueryNode[] {
  const inner = node.kind === "not" ? node.part : node;
  if ((node.kind === "not") !== isNot || inner.kind !== "field" || inner.field !== field) return [node];
  const left = inner.values.filter((value) => !values.includes(value));
  if (left.length === inner.values.length) return [node];
  if (left.length === 0) return [];
  const kept: QueryNode = { ...inner, values: left };
  return [isNot ? { kind: "not", part: kept } : kept];
}

/** What people mostly do not want to see. Each is one excluded condition. */
export const NOISE = [
  { name: "Broadcast and multicast", term: "dst:255.255.255.255,224.0.0.0/4,ff00::/8" },
  { name: "DNS", term: "port:53,5353,853" },
  { name: "This console and its agents", term: "process:wardline*" },
  { name: "Clock", term: "port:123" },
] as const;

export function hasNoise(text: string, term: string): boolean {
  const query = read(text);
  const wanted = read(term);
  if (!query || !wanted || wanted.where.kind !== "field") return false;
  const { field, values } = wanted.where;
  return partsOf(query).some(
    (node) =>
      node.kind === "not" &&
      node.part.kind === "field" &&
      node.part.field === field &&
      values.every((value) => node.part.kind === "field" && node.part.values.includes(value)),
  );
}

export function withNoise(text: string, term: string, isHidden: boolean): string {
  if (isHidden) return withCondition(text, term, true);
  const query = read(text);
  const shown = read(term);
  if (!query || shown?.where.kind !== "field") return text;
  const { field, values } = shown.where;
  return textOf(
    partsOf(query).flatMap((node) => without(node, field, values, true)),
    query,
  );
}

/** Whether the field of the term is asked for, and for nothing but its value. */
export function isOnly(text: string, term: string): boolean {
  const query = read(text);
  const wanted = read(term);
  return Boolean(query && wanted && partsOf(query).some((node) => plain(node) === plain(wanted.where)));
}

/** The field of the term with its value and no other; or without any condition on it. */
export function withOnly(text: string, term: string, isWanted: boolean): string {
  const query = read(text);
  const wanted = read(term);
  if (!query || wanted?.where.kind !== "field") return isWanted ? term : text;
  const { field } = wanted.where;
  const others = partsOf(query).filter((node) => {
    const inner = node.kind === "not" ? node.part : node;
    return inner.kind !== "field" || inner.field !== field;
  });
  return textOf(isWanted ? [...others, wanted.where] : others, query);
}

/** Why flows cannot be followed by this text; `null` = they can. */
export function liveObstacle(text: string): ShownFailure | null {
  if (text.trim() === "") return null;
  const { query, diagnostics } = parseFlowQuery(text, { nowMs: Date.now() });
  if (query) return null;
  const [first] = diagnostics.filter(({ severity }) => severity === "error");
  const message = first?.message ?? "The query cannot be read.";
  return { code: first?.code ?? "QUERY_INVALID", message, hint: "", retryable: false, diagnostics: [] };
}

/** The text and the term together: what either leaves out stays out. A text that cannot be read is replaced. */
export function narrowed(text: string, term: string): string {
  const query = read(text) ?? { where: { kind: "all" as const }, sinceMs: null, untilMs: null };
  const added = read(term);
  if (!added) return text;
  const parts = partsOf(query);
  const known = new Set(parts.map(plain));
  return textOf([...parts, ...partsOf(added).filter((part) => !known.has(plain(part)))], query);
}
