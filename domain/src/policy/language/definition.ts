/** Where the thing under the cursor is defined, and where it is used: labels, hosts, namespaces, services, policies, rules, port names. */
import { ruleLabel } from "../decision.ts";
import type { SourceFile, SourceRange } from "../model.ts";
import type { DocumentInfo } from "../read.ts";
import { findPolicy } from "./hover.ts";
import { placeAt } from "./place.ts";
import { namespaceOf, roleOf } from "./role.ts";
import { documentFields, meaningsAt } from "./shapes.ts";
import type { Vocabulary } from "./vocabulary.ts";

export interface Reference {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** What stands there. */
  readonly text: string;
}

export interface References {
  /** `label app=web`, `host web-1`. */
  readonly subject: string;
  readonly definitions: readonly Reference[];
  readonly uses: readonly Reference[];
  /** Whether there are more than are listed. */
  readonly isCut: boolean;
}

const MAX_FOUND = 500;

export interface DefinitionInput {
  readonly text: string;
  readonly offset: number;
  readonly files: readonly SourceFile[];
  readonly documents: readonly DocumentInfo[];
}

interface Sought {
  readonly subject: string;
  readonly definitions: readonly SourceRange[];
  /** Finds uses in a line. */
  readonly pattern: RegExp;
}

/** `null` where nothing is named. Uses are lines of all files in which the name stands as a value. */
export function referencesAt(input: DefinitionInput, vocabulary: Vocabulary): References | null {
  const sought = soughtAt(input, vocabulary);
  if (!sought) return null;
  const texts = new Map(input.files.map(({ path, text }) => [path, text]));
  const definitions = sought.definitions.slice(0, MAX_FOUND).map((source) => referenceTo(source, texts));
  const isDefinition = new Set(definitions.map(({ file, line }) => `${file} ${line}`));
  const uses: Reference[] = [];
  let isCut = sought.definitions.length > MAX_FOUND;
  for (const { path, text } of input.files) {
    for (const { index } of text.matchAll(sought.pattern)) {
      if (uses.length >= MAX_FOUND) {
        isCut = true;
        break;
      }
      const place = placeOf(path, text, index);
      if (!isDefinition.has(`${place.file} ${place.line}`)) uses.push(place);
    }
  }
  return { subject: sought.subject, definitions, uses, isCut };
}

function soughtAt({ text, offset, documents }: DefinitionInput, vocabulary: Vocabulary): Sought | null {
  const place = placeAt(text, offset, false);
  const path = place.slot === "key" && place.entry ? [...place.path, place.entry.key] : place.path;
  const parent = path.at(-2);
  const value = place.slot === "value" ? text.slice(place.from, place.to).replace(/^["']|["']$/g, "") : "";
  const { world } = vocabulary;
  if (parent === "matchLabels" || (parent === "labels" && path[0] === "metadata")) {
    const key = String(path.at(-1));
    const wanted = place.entry?.value.text ?? "";
    const holders = world.inventory.endpoints.filter(({ labels }) => labels.get(key) === wanted);
    return {
      subject: `label ${key}=${wanted}`,
      definitions: holders.flatMap(({ source }) => source ?? []),
      pattern: new RegExp(
        `(?<=^|[\\s{,"'])["']?${escaped(key)}["']?:\\s*["']?${escaped(wanted)}["']?(?=\\s*($|[,}#]))`,
        "gm",
      ),
    };
  }
  if (value === "") return null;
  const named = new RegExp(`(?<=[\\s:[,"'/])${escaped(value)}(?=["'\\s,\\]}]|$)`, "gm");
  const kinds = (wanted: readonly string[], name = value) =>
    documents
      .filter((document) => wanted.includes(document.kind) && document.name === name)
      .map(({ source }) => source);
  const role = roleOf(place, meaningsAt(documentFields(place.apiVersion, place.kind), path));
  switch (role?.kind) {
    case "host":
      return { subject: `host ${value}`, definitions: kinds(["Host", "Node"]), pattern: named };
    case "namespace":
      return { subject: `namespace ${value}`, definitions: kinds(["Namespace"]), pattern: named };
    case "service":
      return { subject: `service ${value}`, definitions: kinds(["Service"]), pattern: named };
    case "policy":
    case "rule": {
      const policy = findPolicy(world.policies, role.kind === "rule" ? role.policy : value, namespaceOf(place));
      const rule = role.kind === "rule" ? policy?.rules.find((each) => ruleLabel(each) === value) : null;
      const source = rule?.source ?? policy?.source;
      return { subject: `${role.kind} ${value}`, definitions: source ? [source] : [], pattern: named };
    }
    case "port": {
      if (/^\d+$/.test(value)) return null;
      const holders = world.inventory.endpoints.filter(({ ports }) => ports.some(({ name }) => name === value));
      return { subject: `port ${value}`, definitions: holders.flatMap(({ source }) => source ?? []), pattern: named };
    }
    default: {
      if (path.at(-1) !== "name" || parent !== "metadata") return null;
      return { subject: `${place.kind} ${value}`, definitions: kinds([place.kind]), pattern: named };
    }
  }
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
}

function placeOf(file: string, text: string, index: number): Reference {
  let line = 1;
  let start = 0;
  for (let at = text.indexOf("\n"); at >= 0 && at < index; at = text.indexOf("\n", at + 1)) {
    line += 1;
    start = at + 1;
  }
  return { file, line, column: index - start + 1, text: lineText(text, start) };
}

function referenceTo({ file, line, column }: SourceRange, texts: ReadonlyMap<string, string>): Reference {
  const text = texts.get(file) ?? "";
  let start = 0;
  for (let current = 1; current < line; current += 1) {
    const next = text.indexOf("\n", start);
    if (next < 0) break;
    start = next + 1;
  }
  return { file, line, column, text: lineText(text, start) };
}

function lineText(text: string, start: number): string {
  const end = text.indexOf("\n", start);
  return text.slice(start, Math.min(end < 0 ? text.length : end, start + 160)).trim();
}
