/** One kind of thing that a configuration has: how it is read here, checked when it comes from elsewhere, and written. */
import { ErrorCode, Failure } from "@wardline/domain/errors";

export interface PartItem {
  /** A path, an alias, the name of a rule. */
  readonly name: string;
  /** JSON that says all of it, without secrets. */
  readonly value: unknown;
}

export interface ConfigurationPart {
  /** For people. */
  readonly title: string;
  /** Its file in the archive. */
  readonly fileName: string;
  /** What is here now, in the order in which it is written down. */
  items(): readonly PartItem[];
  /** What the value means, and nothing else of it. @throws Failure INVALID_ARGUMENT */
  check(value: unknown): PartItem;
  /** Inside the transaction of the import. `next` is all of it, `before` what was there. @throws Failure */
  write(next: readonly PartItem[], before: readonly PartItem[]): void;
  /** What a person has to do after such a change: secrets are not in archives. */
  leftToDo?(next: readonly PartItem[], before: readonly PartItem[]): readonly string[];
}

export function asObject(value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid("An entry is no object.");
}

export function textIn(value: Record<string, unknown>, key: string): string {
  const text = value[key];
  if (typeof text === "string" && text.length <= 10_000) return text;
  throw invalid(`${JSON.stringify(key)} of an entry is no text.`);
}

export function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}
