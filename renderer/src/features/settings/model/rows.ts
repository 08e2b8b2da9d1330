import { SettingOrigin, type SettingsState } from "@wardline/api/wardline/console/v1/settings";
import type { Diagnostic } from "@wardline/api/wardline/v1/error";
import {
  definitionOf,
  describeRange,
  SETTING_KEYS,
  type SettingDefinition,
  type SettingGroup,
  type SettingKey,
} from "@wardline/domain/settings";

export interface SettingRow {
  readonly key: SettingKey;
  readonly definition: SettingDefinition;
  readonly origin: SettingOrigin;
  /** Of the origin; empty and 0 when no file says it. */
  readonly file: string;
  readonly line: number;
  /** What the person's file says behind a lock, as JSON; empty = nothing. */
  readonly userValueJson: string;
  /** What is wrong with it in a file. */
  readonly problem: Diagnostic | null;
}

export interface SettingRowGroup {
  readonly group: SettingGroup;
  readonly rows: readonly SettingRow[];
}

/** All settings that a search finds, in the order of the table. */
export function settingRows(state: SettingsState | null, search: string): readonly SettingRowGroup[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map<SettingGroup, SettingRow[]>();
  for (const key of SETTING_KEYS) {
    const definition = definitionOf(key);
    if (!isFound(key, definition, words)) continue;
    const rows = groups.get(definition.group) ?? [];
    groups.set(definition.group, rows);
    rows.push(rowOf(key, definition, state));
  }
  return [...groups].map(([group, rows]) => ({ group, rows }));
}

function isFound(key: SettingKey, definition: SettingDefinition, words: readonly string[]): boolean {
  const { group, title, help } = definition;
  const text = `${key} ${group} ${title} ${help} ${describeRange(definition)}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

function rowOf(key: SettingKey, definition: SettingDefinition, state: SettingsState | null): SettingRow {
  const fact = state?.facts.find((candidate) => candidate.key === key);
  return {
    key,
    definition,
    origin: fact?.origin ?? SettingOrigin.DEFAULT,
    file: fact?.file ?? "",
    line: fact?.line ?? 0,
    userValueJson: fact?.userValueJson ?? "",
    problem: state?.problems.find(({ message }) => message.startsWith(`${key} `)) ?? null,
  };
}

/** `/home/eve/.config/wardline/settings.yaml:12:3`. */
export function placeOf({ source }: Diagnostic): string {
  return source ? `${source.file}:${source.line}:${source.column}` : "";
}
