/** A settings file as text, to values that fit and problems with their places. Never throws. */
import { DiagnosticSink } from "../../policy/check/sink.ts";
import type { Diagnostic } from "../../policy/diagnostic.ts";
import { readValue } from "../../policy/edit/value.ts";
import type { SourceFile } from "../../policy/model.ts";
import { DEFAULT_READ_LIMITS, type ReadLimits } from "../../policy/yaml/limits.ts";
import { LineIndex } from "../../policy/yaml/line-index.ts";
import { isNull, type MapNode, type Span, type YamlNode } from "../../policy/yaml/node.ts";
import { readYaml } from "../../policy/yaml/read-yaml.ts";
import { Reporter } from "../../policy/yaml/reporter.ts";
import { splitDocuments, wholeText } from "../../policy/yaml/split.ts";
import type { SettingValue } from "../definition.ts";
import { isSettingKey, SETTING_KEYS, type SettingKey } from "../table.ts";
import { refuseValue } from "../values.ts";
import { SETTINGS_PROBLEMS, type SettingsProblemCode } from "./codes.ts";

/** A file of settings is a page or two; what is larger is something else. */
export const MAX_SETTINGS_LENGTH = 256 * 1024;
const LIMITS: ReadLimits = {
  ...DEFAULT_READ_LIMITS,
  maxFileLength: MAX_SETTINGS_LENGTH,
  maxDepth: 16,
  maxDiagnostics: 100,
};

export interface ReadSetting {
  readonly value: SettingValue;
  /** From 1. */
  readonly line: number;
}

export interface SettingsReading {
  /** Nothing of the file can be trusted: a mistake in its syntax, or no mapping. */
  readonly isBroken: boolean;
  readonly settings: ReadonlyMap<SettingKey, ReadSetting>;
  /** Settings that the file names with a value that does not fit, by their line. */
  readonly unfit: ReadonlyMap<SettingKey, number>;
  /** Errors first, then by place. */
  readonly problems: readonly Diagnostic[];
}

export function readSettings(file: SourceFile): SettingsReading {
  const lines = new LineIndex(file.path, file.text);
  const sink = new DiagnosticSink(LIMITS.maxDiagnostics);
  const reader = new SettingsReader(lines);
  if (file.text.length > MAX_SETTINGS_LENGTH)
    return reader.broken("SET206", "The file is larger than 256 KiB: it is not read.");
  const { roots } = readYaml(
    wholeText(file.text),
    new Reporter(sink, lines),
    LIMITS,
    LIMITS.maxFullParserTokensPerFile,
    splitDocuments(file.text)?.length !== 1,
  );
  const syntax = sink.finish(new Map());
  if (sink.errorCount > 0) return reader.finish(true, syntax);
  if (roots.length > 1)
    return reader.broken("SET204", "The file has more than one document; settings are one.", roots[1]);
  const [root] = roots;
  if (!root || isNull(root)) return reader.finish(false, syntax);
  if (root.kind !== "map")
    return reader.broken("SET204", "The file is no mapping of groups, such as `display:`, to their settings.", root);
  reader.readGroups(root);
  return reader.finish(false, syntax);
}

class SettingsReader {
  readonly #lines: LineIndex;
  readonly #settings = new Map<SettingKey, ReadSetting>();
  readonly #unfit = new Map<SettingKey, number>();
  readonly #problems: Diagnostic[] = [];

  constructor(lines: LineIndex) {
    this.#lines = lines;
  }

  broken(code: SettingsProblemCode, message: string, span: Span = { start: 0, end: 0 }): SettingsReading {
    this.#report(code, span, message);
    return this.finish(true, []);
  }

  finish(isBroken: boolean, syntax: readonly Diagnostic[]): SettingsReading {
    const problems = [...syntax, ...this.#problems].slice(0, LIMITS.maxDiagnostics);
    const rank = ({ severity }: Diagnostic) => (severity === "error" ? 0 : 1);
    return {
      isBroken,
      settings: isBroken ? new Map() : this.#settings,
      unfit: isBroken ? new Map() : this.#unfit,
      problems: problems.toSorted((one, other) => rank(one) - rank(other)),
    };
  }

  readGroups(root: MapNode): void {
    for (const { key: group, keySpan, value } of root.entries) {
      if (!SETTING_KEYS.some((key) => key.startsWith(`${group}.`))) {
        this.#report("SET201", keySpan, `There are no settings under ${quoted(group)} in this version; they are kept.`);
      } else if (value.kind === "map") {
        for (const entry of value.entries) this.#readSetting(`${group}.${entry.key}`, entry.keySpan, entry.value);
      } else if (!isNull(value)) {
        this.#report("SET203", value, `${quoted(group)} is a group: its settings stand below it, indented.`);
        const { line } = this.#lines.range(value);
        for (const key of SETTING_KEYS) if (key.startsWith(`${group}.`)) this.#unfit.set(key, line);
      }
    }
  }

  #readSetting(key: string, keySpan: Span, node: YamlNode): void {
    if (!isSettingKey(key)) {
      this.#report("SET201", keySpan, `There is no setting ${quoted(key)} in this version; it is kept.`);
      return;
    }
    const value = readValue(node);
    const { line } = this.#lines.range(keySpan);
    const refusal = refuseValue(key, value);
    if (refusal === null) {
      this.#settings.set(key, { value: value as SettingValue, line });
      return;
    }
    this.#unfit.set(key, line);
    this.#report("SET202", node, refusal);
  }

  #report(code: SettingsProblemCode, span: Span, message: string): void {
    const { severity } = SETTINGS_PROBLEMS[code];
    this.#problems.push({ code, severity, message, source: this.#lines.range(span), fix: null });
  }
}

function quoted(text: string): string {
  return `"${text.length > 80 ? `${text.slice(0, 80)}…` : text}"`;
}
