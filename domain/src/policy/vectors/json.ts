/** Reading JSON that somebody else wrote: each value is checked where it is used, and a wrong one is named by its place. */
import { ErrorCode, Failure } from "../../errors/index.ts";

/** A value with the way to it from the start of its file: `[3].probes[12].port`. */
export interface Located {
  readonly value: unknown;
  readonly file: string;
  readonly path: string;
}

const SHOWN_LENGTH = 60;

/** The failure that says what is wrong where; `INVALID_ARGUMENT`. */
export function wrong(at: Located, reason: string): Failure {
  const place = at.path === "" ? "the file" : at.path;
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `${at.file}: ${place} ${reason.replace(/\.+$/, "")}.`,
    hint: "docs/conformance.md describes the format of vectors.",
  });
}

/** Parses a text of JSON. Throws `INVALID_ARGUMENT`. */
export function parseJson(file: string, text: string): Located {
  try {
    return { value: JSON.parse(text), file, path: "" };
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : String(error);
    throw wrong({ value: null, file, path: "" }, `is not JSON: ${reason}`);
  }
}

/** A short text of any value, for messages. Never walks into it. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, SHOWN_LENGTH));
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return String(value);
}

export interface ListBounds {
  readonly min?: number;
  readonly max: number;
}

export function asList(at: Located, { min = 0, max }: ListBounds): readonly Located[] {
  if (!Array.isArray(at.value)) throw wrong(at, `must be a list, not ${shown(at.value)}`);
  if (at.value.length < min) throw wrong(at, `must have at least ${min} member${min === 1 ? "" : "s"}`);
  if (at.value.length > max) throw wrong(at, `has ${at.value.length} members; up to ${max} are read`);
  return at.value.map((value: unknown, index) => ({ value, file: at.file, path: `${at.path}[${index}]` }));
}

const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_]*$/;

function member(at: Located, key: string, value: unknown): Located {
  const step = PLAIN_KEY.test(key) ? `${at.path === "" ? "" : "."}${key}` : `[${shown(key)}]`;
  return { value, file: at.file, path: `${at.path}${step}` };
}

function entriesOf(at: Located): readonly (readonly [string, unknown])[] {
  if (typeof at.value !== "object" || at.value === null || Array.isArray(at.value)) {
    throw wrong(at, `must be an object, not ${shown(at.value)}`);
  }
  return Object.entries(at.value);
}

/** An object whose keys are all known: those of `required` are there, those of `optional` may be. */
export function asObject<Required extends string, Optional extends string>(
  at: Located,
  required: readonly Required[],
  optional: readonly Optional[],
): Record<Required, Located> & Partial<Record<Optional, Located>> {
  const known = new Set<string>([...required, ...optional]);
  const found: Partial<Record<string, Located>> = {};
  for (const [key, value] of entriesOf(at)) {
    if (!known.has(key)) throw wrong(member(at, key, value), `is not known here; known are ${[...known].join(", ")}`);
    found[key] = member(at, key, value);
  }
  const missing = required.find((key) => found[key] === undefined);
  if (missing !== undefined) throw wrong(at, `has no "${missing}"`);
  return found as Record<Required, Located> & Partial<Record<Optional, Located>>;
}

/** An object whose keys are names that the file chooses. */
export function asMap(at: Located, max: number): readonly (readonly [string, Located])[] {
  const entries = entriesOf(at);
  if (entries.length > max) throw wrong(at, `has ${entries.length} members; up to ${max} are read`);
  return entries.map(([key, value]) => [key, member(at, key, value)]);
}

/** A text of up to `maxLength` UTF-16 code units. */
export function asText(at: Located, maxLength: number): string {
  if (typeof at.value !== "string") throw wrong(at, `must be a text, not ${shown(at.value)}`);
  if (at.value.length > maxLength) throw wrong(at, `has ${at.value.length} characters; up to ${maxLength} are read`);
  return at.value;
}

export function asInteger(at: Located, low: number, high: number): number {
  const { value } = at;
  if (typeof value === "number" && Number.isInteger(value) && value >= low && value <= high) return value;
  throw wrong(at, `must be a whole number from ${low} to ${high}, not ${shown(value)}`);
}

export function asBoolean(at: Located): boolean {
  if (typeof at.value === "boolean") return at.value;
  throw wrong(at, `must be true or false, not ${shown(at.value)}`);
}

export function asOneOf<Word extends string>(at: Located, words: readonly Word[]): Word {
  const found = words.find((word) => word === at.value);
  if (found === undefined) throw wrong(at, `must be ${words.join(" or ")}, not ${shown(at.value)}`);
  return found;
}
