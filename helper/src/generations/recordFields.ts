/** Reading fields of a record, each checked. */

/** A file of the state directory that cannot be trusted. The message says which and why. */
export class CorruptStateError extends Error {}

export type Fields = Readonly<Record<string, unknown>>;

export function fields(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CorruptStateError(`${what} is not an object`);
  }
  return value as Fields;
}

export function text(from: Fields, name: string): string {
  const value = from[name];
  if (typeof value !== "string") throw new CorruptStateError(`"${name}" is not text`);
  return value;
}

export function count(from: Fields, name: string): number {
  const value = from[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new CorruptStateError(`"${name}" is not a whole number`);
  }
  return value;
}

export function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new CorruptStateError(`${what} is not a list`);
  return value as readonly unknown[];
}
