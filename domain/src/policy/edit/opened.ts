/** A file opened for changes: its documents, the values in them, and the proof that a change changed nothing else. */
import { DiagnosticSink } from "../check/sink.ts";
import { DEFAULT_READ_LIMITS } from "../yaml/limits.ts";
import { LineIndex } from "../yaml/line-index.ts";
import type { YamlNode } from "../yaml/node.ts";
import { readYaml } from "../yaml/read-yaml.ts";
import { Reporter } from "../yaml/reporter.ts";
import { type DocumentText, wholeText } from "../yaml/split.ts";
import type { Holder, Page } from "./changes.ts";
import type { ValuePath } from "./value.ts";

export const TOO_LARGE = "The file is too large to be read.";
export const HAS_DIRECTIVES = "Files with directives or document end marks cannot be edited.";

const MAX_TOKENS = DEFAULT_READ_LIMITS.maxFullParserTokensPerFile;

export interface Reading {
  /** `null` for a document without a value, and for one with mistakes. */
  readonly root: YamlNode | null;
  /** The first mistake in the syntax. Its line counts from 1 in the text that was read. */
  readonly mistake: { readonly message: string; readonly line: number } | null;
}

/** Reads the text of one document. */
export function readOneDocument(text: string): Reading {
  const sink = new DiagnosticSink(1);
  const report = new Reporter(sink, new LineIndex("", text));
  const { roots } = readYaml(wholeText(text), report, DEFAULT_READ_LIMITS, MAX_TOKENS, false);
  if (sink.errorCount === 0) return { root: roots[0] ?? null, mistake: null };
  const first = sink.finish(new Map())[0];
  return { root: null, mistake: { message: first?.message ?? "", line: first?.source?.line ?? 1 } };
}

/** JSON is YAML in brackets whose keys are in double quotes. */
export function isJson(text: string, root: YamlNode): boolean {
  if (root.kind === "map") return text[root.start] === "{" && text[root.entries[0]?.keySpan.start ?? -1] === '"';
  return root.kind === "list" && text[root.start] === "[" && root.items.some((item) => isJson(text, item));
}

export interface Found {
  readonly node: YamlNode | null;
  readonly parent: YamlNode | null;
  readonly step: string | number | undefined;
  readonly holder: Holder;
}

/** The value at the path; a key that the last mapping lacks gives a `null` node. `null` when the path leads nowhere. */
export function findValue({ text }: Page, root: YamlNode, path: ValuePath): Found | null {
  let found: Found = { node: root, parent: null, step: undefined, holder: { entry: null, isInFlow: false } };
  for (const step of path) {
    const parent = found.node;
    if (!parent || parent.kind === "scalar") return null;
    const isInFlow = found.holder.isInFlow || text[parent.start] === "{" || text[parent.start] === "[";
    if (parent.kind === "list") {
      const node = typeof step === "number" ? parent.items[step] : undefined;
      if (!node) return null;
      found = { node, parent, step, holder: { entry: null, isInFlow } };
    } else {
      const entry = parent.entries.find(({ key }) => key === step) ?? null;
      found = { node: entry?.value ?? null, parent, step, holder: { entry, isInFlow } };
    }
  }
  return found;
}

export function describePath(path: ValuePath): string {
  return path.length === 0 ? "the root" : path.map(String).join(".").slice(0, 200);
}

/** Whether the texts of all documents but one are as they were. */
export function areOthersKept(before: readonly DocumentText[], after: readonly DocumentText[], changed: number) {
  return (
    before.length === after.length &&
    before.every((part, index) => index === changed || part.text === after[index]?.text)
  );
}
