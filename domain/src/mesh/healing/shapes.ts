/** Checks of plain data that somebody else may have written: each says whether a value has a shape, within bounds. */

export type Check<Shape> = (value: unknown) => value is Shape;
type Shaped<Fields> = { [Name in keyof Fields]: Fields[Name] extends Check<infer Value> ? Value : never };

export function isShape<Fields extends Record<string, Check<unknown>>>(fields: Fields): Check<Shaped<Fields>> {
  const entries = Object.entries(fields);
  return (value): value is Shaped<Fields> => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    const content = value as Record<string, unknown>;
    return entries.every(([name, check]) => check(Object.hasOwn(content, name) ? content[name] : undefined));
  };
}

export function isList<Item>(most: number, check: Check<Item>): Check<Item[]> {
  return (value): value is Item[] => Array.isArray(value) && value.length <= most && value.every(check);
}

export function isText(mostSigns: number): Check<string> {
  return (value): value is string => typeof value === "string" && value.length <= mostSigns;
}

export function isNullOr<Value>(check: Check<Value>): Check<Value | null> {
  return (value): value is Value | null => value === null || check(value);
}

export function isAbsentOr<Value>(check: Check<Value>): Check<Value | undefined> {
  return (value): value is Value | undefined => value === undefined || check(value);
}

/** Of the numbers of an enum as the generated code has it. */
export function isOneOf(numbers: object): Check<number> {
  const known = new Set<unknown>(Object.values(numbers).filter((each) => typeof each === "number"));
  return (value): value is number => known.has(value);
}

export const isBoolean: Check<boolean> = (value): value is boolean => typeof value === "boolean";
export const isNumber: Check<number> = (value): value is number =>
  typeof value === "number" && Number.isFinite(value) && value >= 0;
export const isFraction: Check<number> = (value): value is number => isNumber(value) && value <= 1;
export const isDigits: Check<string> = (value): value is string =>
  typeof value === "string" && /^\d{1,20}$/.test(value);
