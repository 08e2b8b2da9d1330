import {
  definitionOf,
  describeRange,
  isSettingKey,
  SETTING_KEYS,
  type SettingDefinition,
  type SettingKey,
  type SettingValue,
} from "@wardline/domain/settings";
import { defaultSettingsPath, defaultStateDir, LOCKED_SETTINGS_PATH } from "../../backend/paths.ts";
import { silentLogger, systemClock } from "../../backend/ports.ts";
import { readSettingsFile } from "../../backend/settings/read-file.ts";
import { type SettingFact, SettingsFiles, type SettingsSnapshot } from "../../backend/settings/settings-files.ts";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { countDiagnostics, formatDiagnostics } from "../terminal/diagnostics.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { SettingsCommandOptions } from "./settings.options.ts";

/** The files themselves: a console that runs, here or in another window, follows what is written. */
function openFiles(): SettingsFiles {
  return new SettingsFiles({
    path: defaultSettingsPath(),
    lockedPath: LOCKED_SETTINGS_PATH,
    stateDir: process.env.WARDLINE_STATE_DIR ?? defaultStateDir(),
    isSafeMode: false,
    clock: systemClock,
    logger: silentLogger,
  });
}

/** `wardline settings list`. */
export function settingsList(output: Output, { changed }: { changed: boolean }): ExitCode {
  const snapshot = openFiles().snapshot();
  const facts = new Map(snapshot.facts.map((fact) => [fact.key, fact]));
  const keys = changed ? SETTING_KEYS.filter((key) => facts.has(key)) : SETTING_KEYS;
  if (output.format === "json") {
    const settings = keys.map((key) => toJson(key, snapshot, facts.get(key)));
    output.json({ path: snapshot.path, lockedPath: snapshot.lockedPath, problems: snapshot.problems, settings });
    return EXIT.done;
  }
  if (keys.length === 0) output.text("Every setting is at its default.\n");
  else
    output.text(
      formatTable(
        ["SETTING", "VALUE", "FROM", "TAKES"],
        keys.map((key) => [
          key,
          write(snapshot.values[key]),
          describeOrigin(facts.get(key)),
          describeRange(definitionOf(key)),
        ]),
      ),
    );
  noteProblems(output, snapshot);
  return EXIT.done;
}

/** `wardline settings get KEY`. */
export function settingsGet(output: Output, name: string): ExitCode {
  const key = known(name);
  const snapshot = openFiles().snapshot();
  const fact = snapshot.facts.find((candidate) => candidate.key === key);
  if (output.format === "json") output.json(toJson(key, snapshot, fact));
  else output.text(`${visible(write(snapshot.values[key]))}\n`);
  noteProblems(output, snapshot);
  return EXIT.done;
}

/** `wardline settings set KEY VALUE`. */
export function settingsSet(output: Output, options: SettingsCommandOptions, name: string, text: string) {
  const key = known(name);
  return change(output, options, new Map([[key, parse(key, definitionOf(key), text)]]));
}

/** `wardline settings reset KEY…`. */
export function settingsReset(output: Output, options: SettingsCommandOptions, names: readonly string[]) {
  return change(output, options, new Map(names.map((name) => [known(name), null])));
}

async function change(
  output: Output,
  { replaceBroken = false }: SettingsCommandOptions,
  edits: ReadonlyMap<SettingKey, SettingValue | null>,
): Promise<ExitCode> {
  requireChangesAllowed();
  const files = openFiles();
  const movedTo = await files.change(edits, { replaceBroken });
  const snapshot = files.snapshot();
  const facts = new Map(snapshot.facts.map((fact) => [fact.key, fact]));
  if (output.format === "json")
    output.json({ movedTo, settings: [...edits.keys()].map((key) => toJson(key, snapshot, facts.get(key))) });
  else for (const key of edits.keys()) output.text(`${key} is ${visible(write(snapshot.values[key]))}\n`);
  if (movedTo) output.note(`What could not be read is kept in ${visible(movedTo)}.`);
  for (const key of edits.keys())
    if (definitionOf(key).needsRestart) output.note(`${key} counts from the next start of Wardline on.`);
  return EXIT.done;
}

/** `wardline settings path`. */
export function settingsPath(output: Output): ExitCode {
  const { path, exists, lockedPath } = openFiles().snapshot();
  if (output.format === "json") output.json({ path, exists, lockedPath });
  else output.text(`${visible(path)}\n`);
  if (output.format === "text" && !exists) output.note("There is no file yet: every setting is at its default.");
  if (output.format === "text" && lockedPath) output.note(`An administrator locks settings in ${lockedPath}.`);
  return EXIT.done;
}

/** `wardline settings check [FILE]`. Exit code 1 when something does not count. */
export function settingsCheck(output: Output, file: string | undefined): ExitCode {
  const snapshot = file === undefined ? openFiles().snapshot() : null;
  const { path, exists, text, reading } = readSettingsFile(file ?? defaultSettingsPath());
  if (file !== undefined && !exists) throw new UsageError(`There is no file ${file}.`);
  const problems = snapshot?.problems ?? reading.problems;
  if (output.format === "json") output.json({ path, exists, problems });
  else if (problems.length === 0)
    output.text(exists ? `${visible(path)} is good.\n` : `There is no ${visible(path)}: nothing to check.\n`);
  else {
    const textOf = (name: string) => (name === path ? text : undefined);
    output.text(formatDiagnostics(problems, { style: output.style, textOf }));
    output.note(countDiagnostics(problems));
  }
  return problems.some(({ severity }) => severity === "error") ? EXIT.problems : EXIT.done;
}

function noteProblems(output: Output, { problems, path }: SettingsSnapshot): void {
  if (problems.length > 0)
    output.note(`${countDiagnostics(problems)} in ${visible(path)}; \`wardline settings check\` names them.`);
}

function known(name: string): SettingKey {
  if (isSettingKey(name)) return name;
  throw new UsageError(`There is no setting "${visible(name)}".`, "`wardline settings list` names them all.");
}

function parse(key: SettingKey, definition: SettingDefinition, text: string): SettingValue {
  if (definition.type === "switch") {
    if (text === "true" || text === "on") return true;
    if (text === "false" || text === "off") return false;
  }
  if (definition.type === "number" && /^-?\d{1,9}$/.test(text)) return Number(text);
  if (definition.type !== "map") return text;
  try {
    return JSON.parse(text) as SettingValue;
  } catch {
    throw new UsageError(`${key} is given as JSON: '{"palette.open": "Ctrl+P"}'.`);
  }
}

function write(value: SettingValue): string {
  if (typeof value === "object") return JSON.stringify(value);
  return value === "" ? '""' : String(value);
}

function describeOrigin(fact: SettingFact | undefined): string {
  if (!fact) return "default";
  const place = fact.line > 0 ? `, line ${fact.line}` : "";
  if (fact.origin === "locked") return `locked (${fact.file}${place})`;
  return fact.origin === "kept" ? "kept from before" : `file${place}`;
}

function toJson(key: SettingKey, { values }: SettingsSnapshot, fact: SettingFact | undefined) {
  const definition = definitionOf(key);
  return {
    key,
    value: values[key],
    origin: fact?.origin ?? "default",
    file: fact?.file ?? "",
    line: fact?.line ?? 0,
    default: definition.default,
    takes: describeRange(definition),
    help: definition.help,
  };
}
