import { type Document, isAlias, isMap, isScalar, isSeq, type Pair, type Scalar } from "yaml";
import type { ReadLimits } from "./limits.ts";
import type { ListNode, MapEntry, MapNode, ScalarNode, Span, YamlNode } from "./node.ts";
import type { Reporter } from "./reporter.ts";

const CORE_TAG = /^tag:yaml\.org,2002:(str|int|float|bool|null|map|seq)$/;

/** The root value of a document, or `null` when it is empty or was refused (then that is reported). */
export function convertDocument(document: Document.Parsed, report: Reporter, limits: ReadLimits): YamlNode | null {
  if (!document.contents) return null;
  if (isScalar(document.contents) && document.contents.value === null && !document.contents.source) return null;
  return new Converter(report, limits).convertRoot(document.contents);
}

/** Thrown inside this file only: the document is given up, and the reason is already reported. */
class Refused extends Error {}

/** What the library's nodes have in common here; its own types differ between parsed and built trees. */
interface LibraryNode {
  readonly range?: readonly [number, number, number] | null | undefined;
  readonly anchor?: string | undefined;
  readonly tag?: string | undefined;
}

class Converter {
  readonly #report: Reporter;
  readonly #limits: ReadLimits;
  readonly #anchors = new Map<string, { node: YamlNode; nodeCount: number }>();
  /** Anchors whose value is being read: an alias to one of them would contain itself. */
  readonly #openAnchors = new Set<string>();
  #nodeCount = 0;
  #aliasCount = 0;

  constructor(report: Reporter, limits: ReadLimits) {
    this.#report = report;
    this.#limits = limits;
  }

  convertRoot(root: unknown): YamlNode | null {
    try {
      return this.#convert(root, { start: 0, end: 0 });
    } catch (error) {
      if (error instanceof Refused) return null;
      throw error;
    }
  }

  #convert(node: unknown, fallback: Span): YamlNode {
    if (isAlias(node)) return this.#followAlias(node.source, spanOf(node, fallback));
    const library = (node ?? {}) as LibraryNode;
    const span = spanOf(library, fallback);
    const before = this.#nodeCount;
    this.#count(1, span);
    if (library.anchor) this.#openAnchors.add(library.anchor);
    if (library.tag && !CORE_TAG.test(library.tag)) {
      this.#report.report("WL112", span, `The tag ${shortTag(library.tag)} is not supported; write the plain value.`);
    }
    const converted = this.#convertValue(node, span);
    if (library.anchor) {
      this.#openAnchors.delete(library.anchor);
      this.#anchors.set(library.anchor, { node: converted, nodeCount: this.#nodeCount - before });
    }
    return converted;
  }

  #convertValue(node: unknown, span: Span): YamlNode {
    if (isMap(node)) return this.#convertMap(node.items as readonly Pair[], node.flow === true, span);
    if (isSeq(node)) {
      const items = node.items.map((item) => this.#convert(item, span));
      return {
        kind: "list",
        items,
        start: span.start,
        end: endOf(items.at(-1), node.flow === true, span),
      } satisfies ListNode;
    }
    return convertScalar(isScalar(node) ? node : null, span);
  }

  #convertMap(pairs: readonly Pair[], flow: boolean, span: Span): MapNode {
    const entries: MapEntry[] = [];
    const seen = new Map<string, Span>();
    for (const pair of pairs) {
      const entry = this.#convertPair(pair, span);
      if (!entry) continue;
      const first = seen.get(entry.key);
      if (first) {
        const line = this.#report.range(first).line;
        const message = `The key "${entry.key}" is already set in line ${line}; one of the two would be lost.`;
        this.#report.report("WL103", entry.keySpan, message);
        continue;
      }
      seen.set(entry.key, entry.keySpan);
      entries.push(entry);
    }
    const last = entries.at(-1);
    const end = last ? Math.max(last.keySpan.end, endOf(last.value, flow, span)) : span.end;
    return { kind: "map", entries, start: span.start, end: flow ? span.end : end };
  }

  #convertPair(pair: Pair, span: Span): MapEntry | null {
    const key = pair.key;
    const keySpan = spanOf((key ?? {}) as LibraryNode, span);
    const value = this.#convert(pair.value, { start: keySpan.end, end: keySpan.end });
    if (!isScalar(key) || key.value === null || (key.source ?? "") === "") {
      this.#report.report("WL113", keySpan, "A key must be a plain name.");
      return null;
    }
    const name = typeof key.value === "string" ? key.value : (key.source ?? String(key.value));
    if (name === "<<" && key.type === "PLAIN") {
      const message = "Merge keys (<<) are not part of YAML 1.2 and are not read; write the fields out.";
      this.#report.report("WL118", keySpan, message);
      return null;
    }
    return { key: name, keySpan, value };
  }

  #followAlias(name: string, span: Span): YamlNode {
    this.#aliasCount += 1;
    if (this.#aliasCount > this.#limits.maxAliasesPerDocument) {
      const message = `The document has more than ${this.#limits.maxAliasesPerDocument} aliases; it is not read.`;
      this.#report.report("WL107", span, message);
      throw new Refused();
    }
    if (this.#openAnchors.has(name)) {
      this.#report.report(
        "WL106",
        span,
        `The alias *${shortName(name)} stands inside the value that it names, without an end.`,
      );
      throw new Refused();
    }
    const anchor = this.#anchors.get(name);
    if (!anchor) {
      this.#report.report("WL106", span, `The alias *${shortName(name)} names no anchor before it in this document.`);
      throw new Refused();
    }
    this.#count(anchor.nodeCount, span);
    return anchor.node;
  }

  #count(nodes: number, span: Span): void {
    this.#nodeCount += nodes;
    if (this.#nodeCount <= this.#limits.maxNodesPerDocument) return;
    const limit = this.#limits.maxNodesPerDocument;
    this.#report.report("WL107", span, `The document stands for more than ${limit} values; it is not read.`);
    throw new Refused();
  }
}

/** An alias may be as long as the file; a message is for people. */
function shortName(name: string): string {
  return name.length > 60 ? `${name.slice(0, 60)}…` : name;
}

function shortTag(tag: string): string {
  return tag.replace("tag:yaml.org,2002:", "!!").slice(0, 60);
}

function spanOf(node: LibraryNode, fallback: Span): Span {
  return node.range ? { start: node.range[0], end: node.range[1] } : fallback;
}

/** Block collections end for the library where the next token starts; for people, where their last value ends. */
function endOf(last: YamlNode | undefined, flow: boolean, span: Span): number {
  if (flow || !last) return span.end;
  // An alias stands for a value elsewhere, so its end says nothing here.
  return last.end >= span.start && last.end <= span.end ? last.end : span.end;
}

function convertScalar(scalar: Scalar | null, span: Span): ScalarNode {
  if (!scalar) return { kind: "scalar", value: null, source: "", quoted: false, ...span };
  const { value } = scalar;
  const quoted = scalar.type === "QUOTE_DOUBLE" || scalar.type === "QUOTE_SINGLE";
  const source = scalar.source ?? "";
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
    return { kind: "scalar", value, source, quoted, ...span };
  }
  return { kind: "scalar", value: String(value), source, quoted, ...span };
}
