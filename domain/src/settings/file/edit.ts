/** Changes of settings in the text of their file: only the nodes that change are written, every other byte stays. */
import {
  deleteFromDocument,
  type EditResult,
  editDocument,
  type ValuePath,
  type YamlValue,
} from "../../policy/edit/index.ts";
import { lineEndOf } from "../../policy/edit/lines.ts";
import { renderEntry } from "../../policy/edit/render.ts";
import type { SourceFile } from "../../policy/model.ts";
import type { SettingValue } from "../definition.ts";
import { definitionOf, type SettingKey } from "../table.ts";
import { isSameSetting } from "../values.ts";
import { readSettings } from "./read.ts";

/** `null` takes the setting out of the file. */
export type SettingsEdits = ReadonlyMap<SettingKey, SettingValue | null>;

export type EditedSettings =
  | { readonly ok: true; readonly text: string }
  /** Why nothing was changed, as a sentence. */
  | { readonly ok: false; readonly reason: string };

export function editSettings(file: SourceFile, edits: SettingsEdits): EditedSettings {
  if (readSettings(file).isBroken) return { ok: false, reason: "The file cannot be read; mend it first." };
  let { text } = file;
  for (const [key, value] of edits) {
    const result = value === null ? remove(file.path, text, key) : put(file.path, text, key, value);
    if (!result.ok) return { ok: false, reason: `${key}: ${result.reason}` };
    text = result.text;
  }
  return { ok: true, text };
}

function put(path: string, text: string, key: SettingKey, value: SettingValue): EditedSettings {
  const known = readSettings({ path, text }).settings.get(key);
  if (known && isSameSetting(known.value, value)) return { ok: true, text };
  // Entry by entry, so that what a person wrote beside them stays.
  if (known && definitionOf(key).type === "map")
    return putEntries(path, text, key, known.value as Entries, value as Entries);
  return set({ path, text }, pathOf(key), value as YamlValue);
}

type Entries = Readonly<Record<string, string>>;

function putEntries(path: string, text: string, key: SettingKey, before: Entries, after: Entries): EditedSettings {
  if (Object.keys(after).length === 0 || Object.keys(before).length === 0)
    return set({ path, text }, pathOf(key), after);
  let result: EditedSettings = { ok: true, text };
  for (const [name, value] of Object.entries(after)) {
    if (!result.ok) return result;
    if (before[name] !== value) result = set({ path, text: result.text }, [...pathOf(key), name], value);
  }
  for (const name of Object.keys(before)) {
    if (!result.ok) return result;
    if (!Object.hasOwn(after, name))
      result = textOf(deleteFromDocument({ path, text: result.text }, 0, [...pathOf(key), name]));
  }
  return result;
}

function remove(path: string, text: string, key: SettingKey): EditedSettings {
  const reading = readSettings({ path, text });
  if (!reading.settings.has(key) && !reading.unfit.has(key)) return { ok: true, text };
  const result = textOf(deleteFromDocument({ path, text }, 0, pathOf(key)));
  // A value that stands where the group belongs has no setting in it to take out.
  return result.ok || !reading.unfit.has(key)
    ? result
    : textOf(editDocument({ path, text }, 0, pathOf(key).slice(0, 1), null));
}

/** Sets a value; makes the group, and the document, where there is none yet. */
function set(file: SourceFile, [group = "", ...rest]: ValuePath, value: YamlValue): EditedSettings {
  const direct = textOf(editDocument(file, 0, [group, ...rest], value));
  if (direct.ok) return direct;
  const asGroup = rest.reduceRight<YamlValue>((inner, name) => ({ [String(name)]: inner }), value);
  const whole = textOf(editDocument(file, 0, [group], asGroup));
  if (whole.ok) return whole;
  const appended = append(file.text, String(group), asGroup);
  const after = readSettings({ path: file.path, text: appended });
  return !after.isBroken && after.settings.size > readSettings(file).settings.size
    ? { ok: true, text: appended }
    : direct;
}

/** Behind everything that the file says so far, which is nothing but comments. */
function append(text: string, group: string, value: YamlValue): string {
  const lineEnd = lineEndOf(text);
  const lead = text === "" || text.endsWith("\n") ? text : text + lineEnd;
  return lead + renderEntry(group, value, 0, { isJson: false, lineEnd }) + lineEnd;
}

function pathOf(key: SettingKey): ValuePath {
  return key.split(".");
}

function textOf(result: EditResult): EditedSettings {
  return result.ok ? { ok: true, text: result.text } : result;
}
