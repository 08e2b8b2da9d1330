/**
 * What hosts say is a stranger's: before anything of it is kept or shown, lists and texts are cut to what is sensible and
 * characters that would act instead of being seen are written out. The message itself is changed.
 */
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
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

type MapField = DescField & { fieldKind: "map" };

interface Budget {
  leftLength: number;
}

function bound(schema: DescMessage, fields: Fields, bounds: MessageBounds, budget: Budget, depth: number): void {
  // Fields that this console does not know would be kept and written back as they came.
  delete fields.$unknown;
  for (const field of schema.fields) {
    if (field.oneof) {
      boundAlternative(field, fields[field.oneof.localName], bounds, budget, depth);
      continue;
    }
    const value = fields[field.localName];
    if (value === undefined) continue;
    if (field.fieldKind === "list" && Array.isArray(value)) {
      const most = bounds.itemsOf[field.localName] ?? bounds.maxItems;
      if (value.length > most) value.length = most;
      for (const [index, item] of value.entries()) {
        if (typeof item === "string") value[index] = boundText(item, bounds, budget);
        else if (field.listKind === "message") bound(field.message, item as Fields, bounds, budget, depth + 1);
      }
    } else if (field.fieldKind === "map")
      fields[field.localName] = boundMap(field, value as Fields, bounds, budget, depth);
    else if (typeof value === "string") fields[field.localName] = boundText(value, bounds, budget);
    else if (field.fieldKind === "message" && isNoTime(field.message.typeName, value as Fields)) {
      delete fields[field.localName];
    } else if (field.fieldKind === "message" && depth < MAX_DEPTH) {
      bound(field.message, value as Fields, bounds, budget, depth + 1);
    }
  }
}

/** A group of alternatives holds its value one level down. */
function boundAlternative(
  { localName, ...field }: DescField,
  group: unknown,
  bounds: MessageBounds,
  budget: Budget,
  depth: number,
): void {
  const chosen = group as { case?: string; value?: unknown } | undefined;
  if (chosen === undefined || chosen.case !== localName) return;
  if (typeof chosen.value === "string") chosen.value = boundText(chosen.value, bounds, budget);
  else if (field.fieldKind === "message" && depth < MAX_DEPTH)
    bound(field.message, chosen.value as Fields, bounds, budget, depth + 1);
}

/** Keys are texts too, and none of them is a property of the object's own kind. */
function boundMap(field: MapField, entries: Fields, bounds: MessageBounds, budget: Budget, depth: number): object {
  const most = bounds.itemsOf[field.localName] ?? bounds.maxItems;
  const kept = Object.entries(entries).slice(0, most);
  return Object.fromEntries(
    kept.map(([key, value]) => {
      if (field.mapKind === "message") bound(field.message, value as Fields, bounds, budget, depth + 1);
      const isText = typeof value === "string";
      return [boundText(key, bounds, budget), isText ? boundText(value, bounds, budget) : value];
    }),
  );
}

/** A time that nobody could write down: it would break each answer that it is passed on in. */
function isNoTime(typeName: string, { seconds, nanos }: Fields): boolean {
  const isTimestamp = typeName === "google.protobuf.Timestamp";
  if (!isTimestamp && typeName !== "google.protobuf.Duration") return false;
  if (typeof seconds !== "bigint" || typeof nanos !== "number") return true;
  if (isTimestamp) return seconds < 0n || seconds > LAST_SECOND || nanos < 0 || nanos > 999_999_999;
  // Clocks differ in both directions; a duration below zero has both its parts there.
  const isOfOneSign = seconds === 0n || nanos === 0 || seconds < 0n === nanos < 0;
  const length = seconds < 0n ? -seconds : seconds;
  return length > LONGEST_DURATION_S || Math.abs(nanos) > 999_999_999 || !isOfOneSign;
}

function boundText(text: string, { maxTextLength }: MessageBounds, budget: Budget): string {
  if (text === "") return text;
  const length = Math.min(maxTextLength, budget.leftLength);
  const cut = text.length > length ? `${text.slice(0, Math.max(0, length - 1))}…` : text;
  budget.leftLength = Math.max(0, budget.leftLength - cut.length);
  return hasInvisible(cut) ? replaceInvisible(cut, (codePoint) => `\\u{${codePoint.toString(16)}}`) : cut;
}
