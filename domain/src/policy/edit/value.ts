/** What a document says, without how it is written. */
import type { YamlNode } from "../yaml/node.ts";

export type YamlValue = string | number | boolean | null | readonly YamlValue[] | { readonly [key: string]: YamlValue };

/** From the root of a document to one of its values: keys of mappings, positions in lists from 0. */
export type ValuePath = readonly (string | number)[];

export function isList(value: YamlValue): value is readonly YamlValue[] {
  return Array.isArray(value);
}

export function isMapping(value: YamlValue): value is { readonly [key: string]: YamlValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function readValue(node: YamlNode): YamlValue {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(readValue);
  return mappingOf(node.entries.map((entry) => [entry.key, readValue(entry.value)]));
}

/** Any key is allowed, `__proto__` included. */
export function mappingOf(entries: readonly (readonly [string, YamlValue])[]): { readonly [key: string]: YamlValue } {
  const mapping: Record<string, YamlValue> = Object.create(null);
  for (const [key, value] of entries) mapping[key] = value;
  return mapping;
}

/** Equal in every part; the order of the keys counts. NaN is itself, and 0 is not -0. */
export function isSameValue(one: YamlValue, other: YamlValue): boolean {
  if (isList(one)) {
    return isList(other) && one.length === other.length && one.every((item, index) => isSameValue(item, other[index]!));
  }
  if (isMapping(one)) {
    if (!isMapping(other)) return false;
    const keys = Object.keys(one);
    const otherKeys = Object.keys(other);
    return (
      keys.length === otherKeys.length &&
      keys.every((key, index) => key === otherKeys[index] && isSameValue(one[key]!, other[key]!))
    );
  }
  return Object.is(one, other);
}

/** Equal in every part, whatever the order of the keys. NaN is itself, and 0 is not -0. */
export function isEqualValue(one: YamlValue, other: YamlValue): boolean {
  if (isList(one)) {
    return (
      isList(other) && one.length === other.length && one.every((item, index) => isEqualValue(item, other[index]!))
    );
  }
  if (!isMapping(one)) return Object.is(one, other);
  if (!isMapping(other)) return false;
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && isEqualValue(one[key]!, other[key]!))
  );
}

export function mappingWith(key: string, value: YamlValue): { readonly [key: string]: YamlValue } {
  return mappingOf([[key, value]]);
}

/** The value with that at the path changed; a key that the last mapping lacks is added (then `old` is undefined). */
export function withValueAt(
  value: YamlValue,
  path: ValuePath,
  change: (old: YamlValue | undefined) => YamlValue,
): YamlValue {
  const [step, ...rest] = path;
  if (step === undefined) return change(value);
  if (isList(value)) return value.map((item, index) => (index === step ? withValueAt(item, rest, change) : item));
  if (!isMapping(value)) return value;
  const entries = Object.entries(value);
  if (!Object.hasOwn(value, step)) return mappingOf([...entries, [String(step), change(undefined)]]);
  return mappingOf(entries.map(([key, item]) => [key, key === step ? withValueAt(item, rest, change) : item]));
}
