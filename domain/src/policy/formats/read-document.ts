import type { SourceRange, Tier } from "../model.ts";
import type { ScalarNode, YamlNode } from "../yaml/node.ts";
import type { Reporter } from "../yaml/reporter.ts";
import type { DocumentReader, ReadObject } from "./document.ts";
import { readMetadata } from "./names.ts";
import {
  type Located,
  ObjectReader,
  quoteLike,
  readList,
  readText,
  reportWrongType,
  spanToShow,
} from "./object-reader.ts";
import { DOCUMENT_READERS, findReader, isListType } from "./registry.ts";
import { nearestWord } from "./suggest.ts";

/** What a file holds, for lists of documents. */
export interface DocumentInfo {
  readonly key: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** `null` for kinds without one. */
  readonly namespace: string | null;
  /** `null` for documents that are no policies. */
  readonly tier: Tier | null;
  readonly ruleCount: number;
  readonly source: SourceRange;
  readonly file: string;
}

export interface ReadDocument {
  readonly info: DocumentInfo;
  /** Where the name stands. */
  readonly nameSource: SourceRange;
  /** `null` when too little of it could be read; policies with an error are `null` too. */
  readonly object: ReadObject | null;
}

/** Reads one YAML document: one object, or the items of a List. */
export function readDocument(root: YamlNode, report: Reporter): readonly ReadDocument[] {
  const value: Located = { node: root, path: "", anchor: spanToShow(root) };
  if (root.kind !== "map") {
    report.report("WL215", spanToShow(root), "A document is a mapping with apiVersion, kind and metadata.");
    return [];
  }
  return readObject(value, report, true);
}

function readObject(value: Located, report: Reporter, mayBeList: boolean): readonly ReadDocument[] {
  const type = readType(value, report);
  if (!type) return [];
  if (mayBeList && isListType(type.apiVersion, type.kind)) return readItems(value, report);
  const reader = findReader(type.apiVersion, type.kind);
  if (!reader) {
    reportUnsupported(report, type);
    return [];
  }
  return readWith(reader, value, report);
}

interface DocumentType {
  readonly apiVersion: string;
  readonly kind: string;
  readonly apiVersionNode: ScalarNode;
  readonly kindNode: ScalarNode;
}

/** The type is read on its own first: until it is known, every other field might be right. */
function readType(value: Located, report: Reporter): DocumentType | null {
  if (value.node.kind !== "map") {
    reportWrongType(report, value, "a mapping");
    return null;
  }
  const header = ObjectReader.unchecked(report, value.node, value);
  if (value.node.entries.some(({ key }) => isNearMiss(key))) {
    const ignored = value.node.entries.map(({ key }) => key).filter((key) => !isNearMiss(key));
    ObjectReader.open(report, value, { fields: ["apiVersion", "kind"], ignored });
    return null;
  }
  const apiVersionField = header.require("apiVersion");
  const kindField = header.require("kind");
  const apiVersion = apiVersionField && readText(report, apiVersionField);
  const kind = kindField && readText(report, kindField);
  if (apiVersion === null || kind === null) return null;
  return {
    apiVersion,
    kind,
    apiVersionNode: apiVersionField!.node as ScalarNode,
    kindNode: kindField!.node as ScalarNode,
  };
}

/** Whether the key would be one of the two that say the type, if it were written as they are. */
function isNearMiss(key: string): boolean {
  if (key === "apiVersion" || key === "kind" || !MAY_BE_TYPE_KEY.has(key.length)) return false;
  const lower = key.toLowerCase();
  return lower === "kind" || lower === "apiversion" || lower === "api_version";
}

const MAY_BE_TYPE_KEY: ReadonlySet<number> = new Set(["kind", "apiVersion", "api_version"].map(({ length }) => length));

function readItems(value: Located, report: Reporter): readonly ReadDocument[] {
  const list = ObjectReader.open(report, value, { fields: ["apiVersion", "kind", "items"], ignored: ["metadata"] });
  const field = list?.require("items");
  const items = field ? (readList(report, field) ?? []) : [];
  return items.flatMap((item) => readObject({ ...item, path: "" }, report, false));
}

function readWith(reader: DocumentReader, value: Located, report: Reporter): readonly ReadDocument[] {
  const errorsBefore = report.errorCount;
  const document = ObjectReader.open(report, value, { fields: ["apiVersion", "kind", "metadata", ...reader.fields] });
  const metadata = document && readMetadata(document, reader.metadata);
  if (!document || !metadata) {
    // The rest is still read, so that every problem is listed at once.
    if (document) reader.read({ report, document, metadata: UNNAMED, source: report.range(value.node) });
    return [];
  }
  const source = report.range(value.node);
  const object = reader.read({ report, document, metadata, source });
  const isWhole = report.errorCount === errorsBefore;
  const describe = (key: string, part: ReadObject | null): ReadDocument => ({
    info: {
      key,
      apiVersion: reader.apiVersion,
      kind: reader.kind,
      name: metadata.name,
      namespace: metadata.namespace,
      tier: part?.kind === "policy" ? part.policy.tier : reader.tier,
      ruleCount: part?.kind === "policy" ? part.policy.rules.length : 0,
      source,
      file: report.file,
    },
    nameSource: nameSource(document, report),
    object: (part?.kind === "policy" || part?.kind === "test") && !isWhole ? null : part,
  });
  if (object?.kind !== "policies") return [describe(reader.key(metadata), object)];
  return object.parts.map((part) => describe(part.policy.key, { kind: "policy", ...part }));
}

const UNNAMED = { name: "unnamed", namespace: "default", labels: new Map<string, string>() };

function nameSource(document: ObjectReader, report: Reporter): SourceRange {
  const metadata = document.getNullable("metadata")?.node;
  const name = metadata?.kind === "map" ? metadata.entries.find(({ key }) => key === "name")?.value : undefined;
  return report.range(name ?? document.anchor);
}

function reportUnsupported(report: Reporter, type: DocumentType): void {
  const { apiVersion, kind, apiVersionNode, kindNode } = type;
  const kinds = DOCUMENT_READERS.filter((reader) => reader.apiVersion === apiVersion).map((reader) => reader.kind);
  const versions = DOCUMENT_READERS.filter((reader) => reader.kind === kind).map((reader) => reader.apiVersion);
  if (kinds.length > 0 || versions.length === 0) {
    const supported =
      kinds.length > 0
        ? kinds.join(", ")
        : [...new Set(DOCUMENT_READERS.map((reader) => reader.apiVersion))].join(", ");
    const what = `The kind "${short(kind)}" of "${short(apiVersion)}" is not supported so far.`;
    suggestReplacement(report, "WL213", kindNode, `${what} Supported: ${supported}.`, nearestWord(kind, kinds));
    return;
  }
  const only = versions.length === 1 ? versions[0]! : null;
  const nearest = nearestWord(apiVersion, versions) ?? only;
  const message = `"${short(apiVersion)}" is not a supported apiVersion of ${kind}. Supported: ${versions.join(", ")}.`;
  suggestReplacement(report, "WL214", apiVersionNode, message, nearest);
}

function suggestReplacement(
  report: Reporter,
  code: "WL213" | "WL214",
  node: ScalarNode,
  message: string,
  replacement: string | null,
): void {
  if (replacement === null) report.report(code, node, message);
  else report.reportFixable(code, node, message, `Change to ${replacement}`, quoteLike(node, replacement));
}

function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
