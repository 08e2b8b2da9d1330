/**
 * What hosts say is a stranger's: before anything of it is kept or shown, lists and texts are cut to what is sensible and
 * characters that would act instead of being seen are written out. The message itself is changed.
 */
import type { DescMessage, Message } from "@bufbuild/protobuf";
import { hasInvisible, replaceInvisible } from "@wardline/domain/text";

export interface MessageBounds {
  /** Items of a list without a bound of its own. */
  readonly maxItems: number;
  /** Characters of one text. */
  readonly maxTextLength: number;
  /** Characters of all texts together; what comes after is left out. */
  readonly maxTotalLength: number;
  /** By name of the field. */
  readonly itemsOf: Readonly<Record<string, number>>;
}

const USUAL: MessageBounds = { maxItems: 1_000, maxTextLength: 1_024, maxTotalLength: 4 * 1024 * 1024, itemsOf: {} };
/** Messages of the contract are no deeper than half of this. */
const MAX_DEPTH = 16;
/** 9999-12-31T23:59:59Z, and 10,000 years (timestamp.proto, duration.proto). */
const LAST_SECOND = 253_402_300_799n;
const LONGEST_DURATION_S = 315_576_000_000n;

export function boundMessage<Shape extends Message>(
  schema: DescMessage,
  message: Shape,
  given: Partial<MessageBounds> = {},
): Shape {
  const bounds = { ...USUAL, ...given };
  bound(schema, message as unknown as Fields, bounds, { leftLength: bounds.maxTotalLength }, 0);
  return message;
}

type Fields = Record<string, unknown> & { $unknown?: unknown };

interface Budget {
  leftLength: number;
}

function bound(schema: DescMessage, fields: Fields, bounds: MessageBounds, budget: Budget, depth: number): void {
  // Fields that this console does not know would be kept and written back as they came.
  delete fields.$unknown;
  for (const field of schema.fields) {
    // A group of alternatives holds its value one level down; none of the messages read here has one.
    const value = fields[field.localName];
    if (value === undefined) continue;
    if (field.fieldKind === "list" && Array.isArray(value)) {
      const most = bounds.itemsOf[field.localName] ?? bounds.maxItems;
      if (value.length > most) value.length = most;
      for (const [index, item] of value.entries()) {
        if (typeof item === "string") value[index] = boundText(item, bounds, budget);
        else if (field.listKind === "message") bound(field.message, item as Fields, bounds, budget, depth + 1);
      }
    } else if (typeof value === "string") fields[field.localName] = boundText(value, bounds, budget);
    else if (field.fieldKind === "message" && isNoTime(field.message.typeName, value as Fields)) {
      delete fields[field.localName];
    } else if (field.fieldKind === "message" && depth < MAX_DEPTH) {
      bound(field.message, value as Fields, bounds, budget, depth + 1);
    }
  }
}

/** A time that nobody could write down: it would break each answer that it is passed on in. */
function isNoTime(typeName: string, { seconds, nanos }: Fields): boolean {
  const isTimestamp = typeName === "google.protobuf.Timestamp";
  if (!isTimestamp && typeName !== "google.protobuf.Duration") return false;
  if (typeof seconds !== "bigint" || typeof nanos !== "number") return true;
  return seconds < 0n || seconds > (isTimestamp ? LAST_SECOND : LONGEST_DURATION_S) || nanos < 0 || nanos > 999_999_999;
}

function boundText(text: string, { maxTextLength }: MessageBounds, budget: Budget): string {
  if (text === "") return text;
  const length = Math.min(maxTextLength, budget.leftLength);
  const cut = text.length > length ? `${text.slice(0, Math.max(0, length - 1))}…` : text;
  budget.leftLength = Math.max(0, budget.leftLength - cut.length);
  return hasInvisible(cut) ? replaceInvisible(cut, (codePoint) => `\\u{${codePoint.toString(16)}}`) : cut;
}
