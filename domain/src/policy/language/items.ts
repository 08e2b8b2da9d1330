/** Pieces of a completion. */
import type { ObjectShape } from "../formats/schema/shape.ts";

export interface Suggestion {
  readonly label: string;
  readonly kind: "key" | "word" | "label" | "name" | "port" | "address" | "snippet";
  readonly detail: string;
  readonly info: string;
  /** What is written, where it is not the label. */
  readonly text?: string;
  /** What typed letters are compared with, where it is not the label. */
  readonly match?: string;
  /** Whether it is a key of a mapping. */
  readonly isKey?: boolean;
  /** False for numbers and words that must not be quoted. */
  readonly isText?: boolean;
}

/** 0 = begins with what was typed, 1 = holds it; `null` = neither. */
export function matchRank(label: string, typed: string): number | null {
  const word = typed.toLowerCase();
  const lower = label.toLowerCase();
  if (lower.startsWith(word)) return 0;
  return lower.includes(word) ? 1 : null;
}

/** Whether a field may stand beside those that are there. */
export function isOffered(shape: ObjectShape | null, name: string, present: ReadonlySet<string>): boolean {
  if (!shape) return true;
  const groups = shape.exactlyOneOf.length > 0 ? shape.exactlyOneOf.map((one) => [one]) : shape.alternatives;
  const own = groups.find((group) => group.includes(name));
  const used = groups.find((group) => group.some((each) => present.has(each)));
  return own === undefined || used === undefined || own === used;
}
