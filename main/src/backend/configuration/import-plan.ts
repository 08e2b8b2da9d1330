/** What an archive would make of a configuration: worked out on texts, before anything changes. */
import { ChangeKind } from "@wardline/api/wardline/console/v1/ship";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { decodePolicyBytes } from "@wardline/domain/policy";
import { workspacePath } from "../policies/workspace-path.ts";
import { stableJson } from "./archive/stable-json.ts";
import type { ConfigurationPart, PartItem } from "./parts/part.ts";

export const WORKSPACE_TITLE = "policies and inventory";
const WORKSPACE_FOLDER = "workspace/";

export interface SourceText {
  readonly path: string;
  readonly text: string;
}

/** Everything that is exported, in the order in which it is written. */
export interface Content {
  readonly files: readonly SourceText[];
  readonly parts: ReadonlyMap<string, readonly PartItem[]>;
}

export interface PlannedChange {
  readonly part: string;
  readonly name: string;
  readonly kind: ChangeKind;
  readonly oldText: string;
  readonly newText: string;
}

export interface ImportPlan {
  readonly next: Content;
  readonly changes: readonly PlannedChange[];
  readonly sameCount: number;
}

export function readContent(parts: readonly ConfigurationPart[], files: readonly SourceText[]): Content {
  return {
    files: files.map(({ path, text }) => ({ path, text })),
    parts: new Map(parts.map((part) => [part.fileName, part.items()])),
  };
}

/** As files of an archive. */
export function contentToFiles({ files, parts }: Content): Map<string, Uint8Array> {
  const all = new Map<string, Uint8Array>();
  for (const { path, text } of files) all.set(WORKSPACE_FOLDER + path, Buffer.from(text));
  for (const [fileName, items] of parts) all.set(fileName, Buffer.from(stableJson(items.map(({ value }) => value))));
  return all;
}

/** @throws Failure INVALID_ARGUMENT, NOT_TEXT: which file, and what is wrong with it */
export function filesToContent(parts: readonly ConfigurationPart[], files: ReadonlyMap<string, Uint8Array>): Content {
  const texts: SourceText[] = [];
  const read = new Map<string, readonly PartItem[]>();
  for (const [name, content] of files) {
    const part = parts.find(({ fileName }) => fileName === name);
    if (part) read.set(name, readPart(part, content));
    else if (name.startsWith(WORKSPACE_FOLDER)) texts.push(readText(name.slice(WORKSPACE_FOLDER.length), content));
    else {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: `The archive has a file ${JSON.stringify(name.slice(0, 120))} that this console does not know. Nothing was changed.`,
        hint: "Import it with the version of Wardline that exported it, or a newer one.",
      });
    }
  }
  return { files: texts, parts: read };
}

function readText(given: string, content: Uint8Array): SourceText {
  const path = workspacePath(given);
  if (path !== given) throw damaged(given, "its name is not written in its one form");
  const decoded = decodePolicyBytes(content, path);
  if ("diagnostic" in decoded) throw damaged(path, decoded.diagnostic.message);
  return { path, text: decoded.text };
}

function readPart(part: ConfigurationPart, content: Uint8Array): readonly PartItem[] {
  let list: unknown;
  try {
    list = JSON.parse(Buffer.from(content).toString("utf8"));
  } catch {
    throw damaged(part.fileName, "it is no JSON");
  }
  if (!Array.isArray(list)) throw damaged(part.fileName, "it is no list");
  const names = new Set<string>();
  return list.map((value: unknown, index) => {
    try {
      const item = part.check(value);
      if (names.has(item.name))
        throw damaged(part.fileName, `${JSON.stringify(item.name.slice(0, 80))} is in it twice`);
      names.add(item.name);
      return item;
    } catch (error) {
      if (!(error instanceof Failure)) throw damaged(part.fileName, `entry ${index + 1} cannot be read`);
      throw damaged(part.fileName, `entry ${index + 1}: ${error.message}`);
    }
  });
}

function damaged(name: string, why: string): Failure {
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `${JSON.stringify(name.slice(0, 120))} of the archive cannot be imported: ${why}. Nothing was changed.`,
  });
}

/** @param removesMissing what the archive has not goes; a part that the archive has not at all stays in any case */
export function planImport(
  current: Content,
  archive: Content,
  parts: readonly ConfigurationPart[],
  removesMissing: boolean,
): ImportPlan {
  const changes: PlannedChange[] = [];
  let sameCount = 0;
  const merge = (part: string, before: readonly Named[], after: readonly Named[]): Named[] => {
    const old = new Map(before.map((item) => [item.name, item]));
    const given = new Map(after.map((item) => [item.name, item]));
    for (const item of after) {
      const known = old.get(item.name);
      if (known?.text === item.text) sameCount += 1;
      else {
        const kind = known ? ChangeKind.CHANGED : ChangeKind.ADDED;
        changes.push({ part, name: item.name, kind, oldText: known?.text ?? "", newText: item.text });
      }
    }
    const left = before.filter(({ name }) => !given.has(name));
    if (!removesMissing)
      return [...before.map((item) => given.get(item.name) ?? item), ...after.filter(({ name }) => !old.has(name))];
    for (const { name, text } of left)
      changes.push({ part, name, kind: ChangeKind.REMOVED, oldText: text, newText: "" });
    return [...after];
  };
  const files = merge(WORKSPACE_TITLE, current.files.map(namedFile), archive.files.map(namedFile));
  const next = new Map<string, readonly PartItem[]>();
  for (const part of parts) {
    const before = current.parts.get(part.fileName) ?? [];
    const after = archive.parts.get(part.fileName);
    const merged = after ? merge(part.title, before.map(namedItem), after.map(namedItem)) : before.map(namedItem);
    next.set(
      part.fileName,
      merged.map(({ name, value }) => ({ name, value })),
    );
  }
  return {
    next: { files: files.map(({ name, text }) => ({ path: name, text })), parts: next },
    changes,
    sameCount,
  };
}

interface Named {
  readonly name: string;
  readonly text: string;
  readonly value: unknown;
}

const namedFile = ({ path, text }: SourceText): Named => ({ name: path, text, value: null });
const namedItem = ({ name, value }: PartItem): Named => ({ name, value, text: stableJson(value) });
