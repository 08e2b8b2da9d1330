/** Readers of values from a daemon that is not trusted. Each throws `AdminError` "shape" with the name of what is not as it should be. */
import { AdminError } from "./adminSocket.ts";

export type Fields = Readonly<Record<string, unknown>>;

export function wrongShape(what: string): AdminError {
  return new AdminError("shape", `${what} is not as any known release has it`);
}

export function record(value: unknown, what: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw wrongShape(what);
}

export function list(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw wrongShape(what);
}

export function text(value: unknown, what: string, mostLength = 1_024): string {
  if (typeof value === "string" && value.length <= mostLength) return value;
  throw wrongShape(what);
}

export function flag(value: unknown, what: string): boolean {
  if (typeof value === "boolean") return value;
  throw wrongShape(what);
}

/** What Go can hold, and every span of time that a message can. */
const LARGEST = 2 ** 64;

/** A whole number that is not negative, as a counter or a port. */
export function count(value: unknown, what: string): number {
  if (typeof value === "number" && value >= 0 && value <= LARGEST && Math.floor(value) === value) return value;
  throw wrongShape(what);
}

/** A span of time: not negative. */
export function amount(value: unknown, what: string): number {
  if (typeof value === "number" && value >= 0 && value <= LARGEST) return value;
  throw wrongShape(what);
}

/** `null` where the daemon left the field out. */
export function optional<T>(value: unknown, what: string, read: (value: unknown, what: string) => T): T | null {
  return value === undefined ? null : read(value, what);
}

/** Words of the daemon for people: one line, nothing that hides, nothing behind a question mark (it may be a password). */
export function words(value: string, mostLength: number): string {
  const shown = value
    .replaceAll(/\?[^\s"']*/g, "")
    .replaceAll(/\/\/[^\s/@"']*@/g, "//")
    .replaceAll(/[^\x20-\x7e]+/g, " ")
    .trim();
  return shown.length > mostLength ? `${shown.slice(0, mostLength - 1)}…` : shown;
}
