/**
 * Files cut into the documents of the desired set. A document is what one YAML document says, with its exact text: comments,
 * line breaks and all. Its key comes from that text alone, read as the policy engine reads it.
 */
import { DiagnosticSink } from "../policy/check/sink.ts";
import type { Diagnostic } from "../policy/diagnostic.ts";
import { type DocumentInfo, type ReadDocument, readDocument } from "../policy/formats/read-document.ts";
import { isListType } from "../policy/formats/registry.ts";
import type { SourceFile } from "../policy/model.ts";
import { DEFAULT_READ_LIMITS, type ReadLimits } from "../policy/yaml/limits.ts";
import { LineIndex } from "../policy/yaml/line-index.ts";
import type { YamlNode } from "../policy/yaml/node.ts";
import { reportTooManyDocuments } from "../policy/yaml/parse.ts";
import { readYaml } from "../policy/yaml/read-yaml.ts";
import { Reporter } from "../policy/yaml/reporter.ts";
import { type DocumentText, splitDocuments, wholeText } from "../policy/yaml/split.ts";
import { reportBadCharacters } from "../policy/yaml/syntax-errors.ts";

export interface ClusterDocument {
  /** `policy/default/web`: kind in lower case, namespace (`-` for kinds without), name. */
  readonly key: string;
  /** Holds this one document and nothing else. */
  readonly text: string;
  /** What stood between it and the document before: `---` and a line break, or nothing. */
  readonly separator: string;
  /** Line of the file, from 1, that `text` starts in. */
  readonly firstLine: number;
}

export interface DocumentsReading {
  /** Those that can be told by a key, in the order of the file. */
  readonly documents: readonly ClusterDocument[];
  /** In the order of the lines. What documents mean together is not looked at. */
  readonly diagnostics: readonly Diagnostic[];
  /** True when there is no error: then nothing of the file is missing. */
  readonly ok: boolean;
}

/** Three parts; namespaces and names are as Kubernetes allows them. */
const KEY_PATTERN = /^[a-z]{1,63}\/(?:-|[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)\/[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;

export function isDocumentKey(text: string): boolean {
  return KEY_PATTERN.test(text);
}

/** The name that a document of the set has as a file: `cluster/policy/default/web.yaml`. No side ever opens it. */
export function documentPath(key: string): string {
  return `cluster/${key}.yaml`;
}

/** The key behind such a name; `null` for every other file. */
export function keyOfPath(path: string): string | null {
  const key = path.startsWith("cluster/") && path.endsWith(".yaml") ? path.slice(8, -5) : "";
  return isDocumentKey(key) ? key : null;
}

/** What the engine is given, ordered by key: the same documents always give the same files. */
export function toSourceFiles(documents: Iterable<Pick<ClusterDocument, "key" | "text">>): SourceFile[] {
  const sorted = [...documents].sort((one, other) => (one.key < other.key ? -1 : 1));
  return sorted.map(({ key, text }) => ({ path: documentPath(key), text }));
}

/** The file again, to the byte, from all its documents. */
export function joinDocuments(documents: readonly Pick<ClusterDocument, "separator" | "text">[]): string {
  return documents.map(({ separator, text }) => separator + text).join("");
}

/**
 * Cuts a file into its documents. A part that holds only comments goes with the document after it, the last one with the
 * document before. A List is refused, for it has no name of its own, and so is the second of two documents with one key.
 * Never throws on any text; the work is bounded by the limits.
 */
export function readClusterDocuments(file: SourceFile, limits: ReadLimits = DEFAULT_READ_LIMITS): DocumentsReading {
  const sink = new DiagnosticSink(limits.maxDiagnostics);
  const report = new Reporter(sink, new LineIndex(file.path, file.text));
  const start = { start: 0, end: 0 };
  const documents: ClusterDocument[] = [];
  if (file.text.length > limits.maxFileLength) {
    report.report(
      "WL109",
      start,
      `The file has ${file.text.length} characters; ${limits.maxFileLength} are the limit.`,
    );
  } else {
    const cut = cutFile(file, limits, report, sink);
    if (cut.length === 0 && sink.errorCount === 0) report.report("WL319", start, "The file holds no document.");
    documents.push(...withoutDuplicates(cut, sink));
  }
  const ok = sink.errorCount === 0;
  return { documents, diagnostics: sink.finish(new Map([[file.path, 0]])), ok };
}

/**
 * The one document of a text. `key` is `null` when there is none, more than one, or one without a name; the diagnostics
 * then say so. `path` stands in the places of the diagnostics.
 */
export function readClusterDocument(text: string, path: string, limits: ReadLimits = DEFAULT_READ_LIMITS) {
  const reading = readClusterDocuments({ path, text }, limits);
  const [only, second] = reading.documents;
  const key = only && !second && reading.ok ? only.key : null;
  return { key, documentCount: reading.documents.length, diagnostics: reading.diagnostics };
}

interface Piece {
  readonly text: string;
  readonly firstLine: number;
  readonly read: readonly ReadDocument[];
}

function cutFile(file: SourceFile, limits: ReadLimits, report: Reporter, sink: DiagnosticSink) {
  const clean = reportBadCharacters(file.text, report);
  const split = splitDocuments(clean);
  const pieces: Piece[] = [];
  let tokensLeft = limits.maxFullParserTokensPerFile;
  let documentCount = 0;
  // Comments before a document, with their line.
  let before: { text: string; firstLine: number } | null = null;
  for (const part of split ?? [wholeText(clean)]) {
    if (documentCount >= limits.maxDocumentsPerFile) {
      reportTooManyDocuments(report, limits, part.offset);
      break;
    }
    const exact = file.text.slice(part.offset, part.offset + part.text.length);
    const partReport = new Reporter(sink, new LineIndex(file.path, part.text, part.firstLine));
    const { roots, fullParserTokens, isRefused } = readYaml(part, partReport, limits, tokensLeft, split === null);
    tokensLeft = Math.max(0, tokensLeft - fullParserTokens);
    const isComment = roots.length === 0 && partReport.errorCount === 0 && !isRefused;
    const text: string = (before?.text ?? "") + exact;
    const firstLine: number = before?.firstLine ?? part.firstLine;
    if (isComment) {
      before = { text, firstLine };
      continue;
    }
    before = null;
    documentCount += 1;
    pieces.push({ text, firstLine, read: readPart(part, roots, partReport) });
  }
  if (before !== null) appendToLast(pieces, before.text);
  return pieces;
}

function appendToLast(pieces: Piece[], text: string): void {
  const last = pieces.pop();
  if (last) pieces.push({ ...last, text: last.text + text });
}

function readPart(part: DocumentText, roots: readonly YamlNode[], report: Reporter): readonly ReadDocument[] {
  const [root, second] = roots;
  if (!root) return [];
  if (second) {
    const message =
      "A file with a directive or an end marker can hold one document only: its documents cannot be parted.";
    report.report("WL112", { start: 0, end: Math.min(3, part.text.length) }, message);
    return [];
  }
  if (isList(root)) {
    const message =
      "A List has no name of its own and cannot stand in a cluster: write its items as documents, with --- between.";
    report.report("WL213", { start: root.start, end: Math.min(root.end, root.start + 1) }, message);
    return [];
  }
  return readDocument(root, report);
}

function isList(root: YamlNode): boolean {
  if (root.kind !== "map") return false;
  const textOf = (name: string) => {
    const value = root.entries.find(({ key }) => key === name)?.value;
    return value?.kind === "scalar" && typeof value.value === "string" ? value.value : "";
  };
  return isListType(textOf("apiVersion"), textOf("kind"));
}

/** From the engine's own key, so that what is one for the engine is one here: names of hosts are unique without a namespace. */
function documentKey({ key, namespace, name }: DocumentInfo): string {
  const [kind = "", ...rest] = key.split("/");
  return `${kind.toLowerCase()}/${rest.length > 1 ? (namespace ?? "-") : "-"}/${name}`;
}

function withoutDuplicates(pieces: readonly Piece[], sink: DiagnosticSink): readonly ClusterDocument[] {
  const firstByKey = new Map<string, ReadDocument>();
  const documents: ClusterDocument[] = [];
  for (const piece of pieces) {
    const [named] = piece.read;
    if (!named) continue;
    const { kind, tier, source } = named.info;
    const key = documentKey(named.info);
    const first = firstByKey.get(key);
    if (first) {
      const code = tier !== null ? "WL303" : kind === "Namespace" ? "WL305" : "WL304";
      const message = `${key} is already defined in line ${first.info.source.line}; one of the two would be lost.`;
      sink.report(code, named.nameSource ?? source, message);
      continue;
    }
    firstByKey.set(key, named);
    documents.push({ key, ...partedFromSeparator(piece) });
  }
  return documents;
}

/** A marker that stands alone in its line belongs to the file and not to the document. */
function partedFromSeparator({ text, firstLine }: Piece): Omit<ClusterDocument, "key"> {
  const separator = /^---[ \t]*\r?\n/.exec(text)?.[0] ?? "";
  const lines = separator === "" ? 0 : 1;
  return { text: text.slice(separator.length), separator, firstLine: firstLine + lines };
}

/** Values that are compared of two documents; what has more, by aliases in aliases, is taken for different. */
const MAX_COMPARED_VALUES = 100_000;

/** Whether two texts of one document each hold the same values: comments, layout and the order of fields do not count. */
export function sayTheSame(one: string, other: string): boolean {
  const left = rootOf(one);
  const right = rootOf(other);
  let compared = 0;
  const isSame = (mine: YamlNode, yours: YamlNode): boolean => {
    if (++compared > MAX_COMPARED_VALUES) return false;
    if (mine.kind === "scalar") return yours.kind === "scalar" && mine.value === yours.value;
    if (mine.kind === "list") {
      if (yours.kind !== "list" || mine.items.length !== yours.items.length) return false;
      return mine.items.every((item, index) => {
        const counterpart = yours.items[index];
        return counterpart !== undefined && isSame(item, counterpart);
      });
    }
    if (yours.kind !== "map" || mine.entries.length !== yours.entries.length) return false;
    const values = new Map(yours.entries.map(({ key, value }) => [key, value]));
    return mine.entries.every(({ key, value }) => {
      const counterpart = values.get(key);
      return counterpart !== undefined && isSame(value, counterpart);
    });
  };
  return left !== null && right !== null && isSame(left, right);
}

function rootOf(text: string): YamlNode | null {
  const report = new Reporter(new DiagnosticSink(1), new LineIndex("", text, 1));
  const limits = DEFAULT_READ_LIMITS;
  const { roots } = readYaml(wholeText(text), report, limits, limits.maxFullParserTokensPerFile, true);
  return roots.length === 1 && report.errorCount === 0 ? (roots[0] ?? null) : null;
}
