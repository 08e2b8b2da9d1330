import type { MapSetting, SettingDefinition, SettingValue } from "./definition.ts";
import { definitionOf, isSettingKey, SETTING_KEYS, type SettingKey, type SettingsValues } from "./table.ts";

export const DEFAULT_SETTINGS: SettingsValues = Object.freeze(
  Object.fromEntries(SETTING_KEYS.map((key) => [key, definitionOf(key).default])),
) as unknown as SettingsValues;

/** Why a value does not fit, as a sentence with what would; `null` when it does. */
export function refuseValue(key: SettingKey, value: unknown): string | null {
  const definition = definitionOf(key);
  if (fits(definition, value)) return null;
  const problem = definition.type === "map" ? refuseMap(definition, value) : `is ${describe(value)}`;
  return `${key} ${problem}; it takes ${describeRange(definition)}.`;
}

function fits(definition: SettingDefinition, value: unknown): boolean {
  switch (definition.type) {
    case "choice":
      return typeof value === "string" && definition.choices.includes(value);
    case "switch":
      return typeof value === "boolean";
    case "number":
      return Number.isInteger(value) && Number(value) >= definition.minimum && Number(value) <= definition.maximum;
    case "text":
      return typeof value === "string" && definition.pattern.test(value);
    case "map":
      return refuseMap(definition, value) === "";
  }
}

function refuseMap({ keyPattern, valuePattern, mostEntries }: MapSetting, value: unknown): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return `is ${describe(value)}`;
  const entries = Object.entries(value);
  if (entries.length > mostEntries) return `has ${entries.length} entries and takes at most ${mostEntries}`;
  const wrong = entries.find(
    ([key, text]) => key.length > 100 || !keyPattern.test(key) || typeof text !== "string" || !valuePattern.test(text),
  );
  return wrong ? `has an entry that does not fit: ${describe(wrong[0])}` : "";
}

/** What a setting takes: `system, dark, light or contrast`, `50 to 200 %`. */
export function describeRange(definition: SettingDefinition): string {
  switch (definition.type) {
    case "choice":
      return `${definition.choices.slice(0, -1).join(", ")} or ${definition.choices.at(-1)}`;
    case "switch":
      return "true or false";
    case "number":
      return `a whole number from ${definition.minimum} to ${definition.maximum} ${definition.unit}`.trim();
    case "text":
    case "map":
      return definition.form;
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return "empty";
  if (typeof value === "string") return `"${value.length > 60 ? `${value.slice(0, 60)}…` : value}"`;
  if (typeof value === "object") return Array.isArray(value) ? "a list" : "a mapping";
  return String(value);
}

/** What of the values is known and fits; the rest is left out. For copies whose origin nobody vouches for. */
export function goodValues(values: unknown): Partial<SettingsValues> {
  if (typeof values !== "object" || values === null) return {};
  const good = Object.entries(values).filter(([key, value]) => isSettingKey(key) && refuseValue(key, value) === null);
  return Object.fromEntries(good) as Partial<SettingsValues>;
}

/** Defaults for what is not given. */
export function withDefaults(values: Partial<SettingsValues>): SettingsValues {
  return { ...DEFAULT_SETTINGS, ...values };
}

export function isSameSetting(one: SettingValue, other: SettingValue): boolean {
  if (typeof one !== "object" || typeof other !== "object") return one === other;
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}
