/** A file as a form sees it: its documents with the places of their values, what is switched off, and what is broken. */
import { DEFAULT_READ_LIMITS } from "../yaml/limits.ts";
import type { YamlNode } from "../yaml/node.ts";
import { splitDocuments } from "../yaml/split.ts";
import { blocksBelowKey, listBlocks, switchedOn } from "./blocks.ts";
import { isSwitchedOff } from "./document-edits.ts";
import { columnOf } from "./lines.ts";
import { findValue, HAS_DIRECTIVES, readOneDocument, TOO_LARGE } from "./opened.ts";
import { readValue, type ValuePath, type YamlValue } from "./value.ts";

export interface FormPart {
  /** Among the pieces between the `---`, from 0. */
  readonly index: number;
  /** Where the text starts in the file, in UTF-16 code units. */
  readonly offset: number;
  readonly text: string;
  /** Lines of the file before it. */
  readonly linesBefore: number;
  /** `empty`: nothing but comments. */
  readonly state: "document" | "off" | "broken" | "empty";
  /** Of a document; of one that is switched off, as it would be (then places mean nothing). */
  readonly root: YamlNode | null;
  /** What is wrong with the syntax; the line counts from 1 in the file. */
  readonly mistake: { readonly message: string; readonly line: number } | null;
}

export interface FormFile {
  readonly text: string;
  readonly parts: readonly FormPart[];
  /** Why the form cannot change anything in this file, as a sentence. */
  readonly obstacle: string | null;
}

/** Reads a file. Pieces that are as they were in `previous` are not read again. Never throws. */
export function readFormFile(text: string, previous: FormFile | null = null): FormFile {
  if (text.length > DEFAULT_READ_LIMITS.maxFileLength) return { text, parts: [], obstacle: TOO_LARGE };
  const documents = splitDocuments(text);
  if (!documents) return { text, parts: [], obstacle: HAS_DIRECTIVES };
  const known = new Map(previous?.parts.map((part) => [part.text, part]));
  const parts = documents.map((document, index): FormPart => {
    const place = { index, offset: document.offset, linesBefore: document.firstLine - 1, text: document.text };
    const same = known.get(document.text);
    if (!same) return { ...place, ...readPart(document.text, place.linesBefore) };
    const { state, root, mistake } = same;
    const line = (mistake?.line ?? 0) - same.linesBefore + place.linesBefore;
    return { ...place, state, root, mistake: mistake && { ...mistake, line } };
  });
  return { text, parts, obstacle: null };
}

function readPart(text: string, linesBefore: number): Pick<FormPart, "state" | "root" | "mistake"> {
  if (isSwitchedOff(text)) return { state: "off", root: readOneDocument(switchedOn(text)).root, mistake: null };
  const { root, mistake } = readOneDocument(text);
  if (mistake) return { state: "broken", root: null, mistake: { ...mistake, line: mistake.line + linesBefore } };
  return { state: root ? "document" : "empty", root, mistake: null };
}

/** What is switched off in the list at the path, with the number of items that stand before each. */
export function disabledItems(
  part: FormPart,
  path: ValuePath,
): readonly { readonly value: YamlValue | null; readonly before: number; readonly start: number }[] {
  if (part.state !== "document" || !part.root || !part.text.includes("#off ")) return [];
  const page = { text: part.text, style: { isJson: false, lineEnd: "\n" } };
  const found = findValue(page, part.root, path);
  const { node, holder } = found ?? {};
  if (!node) return [];
  const { entry } = holder ?? {};
  const list =
    node.kind === "list" && node.items.length > 0
      ? listBlocks(part.text, node)
      : entry &&
        blocksBelowKey(part.text, Math.max(entry.keySpan.end, node.end), columnOf(part.text, entry.keySpan.start));
  return (list?.blocks ?? []).flatMap((block, at, blocks) => {
    if (!block.isOff) return [];
    const lines = switchedOn(part.text.slice(block.start, block.end)).split("\n");
    const body = lines.map((line) => line.slice(Math.min(list?.column ?? 0, line.search(/[^ ]|$/)))).join("\n");
    const { root } = readOneDocument(body);
    const value = root?.kind === "list" && root.items.length === 1 ? readValue(root.items[0]!) : null;
    return [{ value, before: blocks.slice(0, at).filter(({ isOff }) => !isOff).length, start: block.start }];
  });
}

/** The part that an offset of the file is in. */
export function partAt(file: FormFile, offset: number): FormPart | null {
  return file.parts.findLast((part) => part.offset <= offset) ?? null;
}

/** The path of the deepest value (or key) that an offset of the part's text is in. */
export function pathAt(root: YamlNode, offset: number): ValuePath {
  const path: (string | number)[] = [];
  for (let node: YamlNode = root; ; ) {
    const next: { step: string | number; node: YamlNode } | null = childAt(node, offset);
    if (!next) return path;
    path.push(next.step);
    node = next.node;
  }
}

function childAt(node: YamlNode, offset: number): { readonly step: string | number; readonly node: YamlNode } | null {
  if (node.kind === "map") {
    const entry = node.entries.findLast(({ keySpan }) => keySpan.start <= offset);
    const isIn = entry && offset <= Math.max(entry.keySpan.end, entry.value.end);
    return isIn ? { step: entry.key, node: entry.value } : null;
  }
  if (node.kind !== "list") return null;
  const index = node.items.findLastIndex((item) => item.start <= offset && offset <= item.end);
  return index < 0 ? null : { step: index, node: node.items[index]! };
}

/** Where the value at the path stands in the part's text: its own span, or that of its key when it has none. */
export function spanAt(root: YamlNode, path: ValuePath): { readonly start: number; readonly end: number } | null {
  let node = root;
  let span = { start: root.start, end: root.end };
  for (const step of path) {
    if (node.kind === "list" && typeof step === "number" && node.items[step]) {
      node = node.items[step];
      span = { start: node.start, end: node.end };
    } else if (node.kind === "map") {
      const entry = node.entries.find(({ key }) => key === step);
      if (!entry) return null;
      node = entry.value;
      span = {
        start: entry.value.end > entry.keySpan.end ? node.start : entry.keySpan.start,
        end: Math.max(node.end, entry.keySpan.end),
      };
    } else return null;
  }
  return span;
}

/** Where the key of the entry at the path begins. */
export function keyStartAt(root: YamlNode, path: ValuePath): number | null {
  let node: YamlNode | undefined = root;
  for (const step of path.slice(0, -1)) {
    node =
      node?.kind === "list" && typeof step === "number"
        ? node.items[step]
        : node?.kind === "map"
          ? node.entries.find(({ key }) => key === step)?.value
          : undefined;
  }
  if (node?.kind !== "map") return null;
  return node.entries.find(({ key }) => key === path.at(-1))?.keySpan.start ?? null;
}
