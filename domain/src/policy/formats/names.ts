/** Names and labels, by the rules of Kubernetes (apimachinery validation). */
import type { DiagnosticCode } from "../check/registry.ts";
import type { MapEntry, ScalarNode } from "../yaml/node.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { type Located, ObjectReader, quoteLike, readText, reportWrongType } from "./object-reader.ts";
import { foldLookalikes, isAscii } from "./suggest.ts";

interface NameRule {
  readonly pattern: RegExp;
  readonly maxLength: number;
  readonly description: string;
}

export const NAME_RULES = {
  /** RFC 1123 label. */
  label: {
    pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
    maxLength: 63,
    description: "lower-case letters, digits and hyphens, with a letter or digit at both ends",
  },
  /** RFC 1123 subdomain. */
  subdomain: {
    pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    maxLength: 253,
    description: "lower-case letters, digits, hyphens and dots, with a letter or digit at both ends of each part",
  },
  /** IANA service name. */
  port: {
    pattern: /^(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/,
    maxLength: 15,
    description: "lower-case letters, digits and single hyphens, with at least one letter",
  },
  labelValue: {
    pattern: /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/,
    maxLength: 63,
    description: "letters, digits, hyphens, dots and underscores, with a letter or digit at both ends, or nothing",
  },
} as const satisfies Record<string, NameRule>;

export type NameKind = keyof typeof NAME_RULES;

export const LABEL_NAME_PART: NameRule = {
  pattern: /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/,
  maxLength: 63,
  description: "letters, digits, hyphens, dots and underscores, with a letter or digit at both ends",
};

/** A name by one of the rules, or `null` (reported). */
export function readName(report: Reporter, value: Located, kind: NameKind): string | null {
  const text = readText(report, value);
  if (text === null) return null;
  const code = kind === "labelValue" ? "WL209" : "WL207";
  return checkName(report, value, text, NAME_RULES[kind], code) ? text : null;
}

function checkName(report: Reporter, value: Located, text: string, rule: NameRule, code: DiagnosticCode): boolean {
  if (text.length <= rule.maxLength && rule.pattern.test(text)) return true;
  const span = value.node;
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  const folded = foldLookalikes(text);
  if (!isAscii(text) && folded.length <= rule.maxLength && rule.pattern.test(folded)) {
    const strange = [...text].find((character) => character > "\u007F")!;
    const name = `U+${strange.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
    const message = `${value.path} "${shown}" holds ${name}, which only looks like plain text; "${folded}" would be meant.`;
    report.reportFixable("WL220", span, message, `Change to ${folded}`, quoteLike(value.node as ScalarNode, folded));
    return false;
  }
  const message =
    text.length > rule.maxLength
      ? `${value.path} has ${text.length} characters; at most ${rule.maxLength} are allowed.`
      : `${value.path} "${shown}" is not allowed: it takes ${rule.description}.`;
  const lower = text.toLowerCase().replaceAll("_", "-");
  if (lower !== text && lower.length <= rule.maxLength && rule.pattern.test(lower)) {
    report.reportFixable(code, span, message, `Change to ${lower}`, quoteLike(value.node as ScalarNode, lower));
  } else {
    report.report(code, span, message);
  }
  return false;
}

/** Whether the text is a label key, `name` or `prefix/name`; reported when it is not. */
export function checkLabelKey(report: Reporter, value: Located, key: string): boolean {
  const slash = key.indexOf("/");
  const prefix = slash < 0 ? null : key.slice(0, slash);
  const name = key.slice(slash + 1);
  if (prefix !== null && !(prefix.length <= 253 && NAME_RULES.subdomain.pattern.test(prefix))) {
    const shown = prefix.slice(0, 60);
    const message = `The label key "${key.slice(0, 60)}" has the prefix "${shown}", which is not a DNS name.`;
    report.report("WL208", value.node, message);
    return false;
  }
  const part: Located = prefix === null ? value : { ...value, path: `${value.path} (the part after /)` };
  return checkName(report, part, name, LABEL_NAME_PART, "WL208");
}

/** Labels in file order; entries with a bad key or value are reported and left out. */
export function readLabels(report: Reporter, value: Located): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  if (value.node.kind !== "map") {
    reportWrongType(report, value, "a mapping of names to text");
    return labels;
  }
  for (const entry of value.node.entries) {
    const keyIsValid = isPlainKey(entry.key) || checkKeyOf(report, entry);
    const valueIsPlain = entry.value.kind === "scalar" && isPlainValue(entry.value.value);
    const text = valueIsPlain ? (entry.value.value as string) : readLabelValue(report, value, entry);
    if (keyIsValid && text !== null) labels.set(entry.key, text);
  }
  return labels;
}

function isPlainKey(key: string): boolean {
  return key.length <= LABEL_NAME_PART.maxLength && LABEL_NAME_PART.pattern.test(key);
}

function isPlainValue(value: ScalarNode["value"]): boolean {
  const { maxLength, pattern } = NAME_RULES.labelValue;
  return typeof value === "string" && value.length <= maxLength && pattern.test(value);
}

function checkKeyOf(report: Reporter, { key, keySpan }: MapEntry): boolean {
  const node: ScalarNode = { kind: "scalar", value: key, source: key, quoted: false, ...keySpan };
  return checkLabelKey(report, { node, path: "The label key", anchor: keySpan }, key);
}

function readLabelValue(report: Reporter, labels: Located, { key, keySpan, value }: MapEntry): string | null {
  const path = `${labels.path}.${key.slice(0, 60)}`;
  return readName(report, { node: value, path, anchor: keySpan }, "labelValue");
}

/** What an API server adds, and what only it reads. */
export const IGNORED_METADATA = [
  "annotations",
  "creationTimestamp",
  "deletionGracePeriodSeconds",
  "deletionTimestamp",
  "finalizers",
  "generateName",
  "generation",
  "managedFields",
  "ownerReferences",
  "resourceVersion",
  "selfLink",
  "uid",
];

export interface Metadata {
  readonly name: string;
  /** `null` for kinds without a namespace. */
  readonly namespace: string | null;
  readonly labels: ReadonlyMap<string, string>;
}

export interface MetadataRules {
  readonly name: NameKind;
  /** Kinds without a namespace refuse the field. */
  readonly namespaced: boolean;
}

/** `null` when there is no usable name (reported). Namespaced kinds without a namespace are in `default`. */
export function readMetadata(document: ObjectReader, rules: MetadataRules): Metadata | null {
  const value = document.require("metadata", "It holds the name.");
  if (!value) return null;
  const fields = rules.namespaced ? ["name", "namespace", "labels"] : ["name", "labels"];
  const metadata = ObjectReader.open(document.report, value, { fields, ignored: IGNORED_METADATA });
  if (!metadata) return null;
  const nameField = metadata.require("name");
  const namespaceField = rules.namespaced ? metadata.get("namespace") : null;
  const labelsField = metadata.getNullable("labels");
  const hasLabels = labelsField && !(labelsField.node.kind === "scalar" && labelsField.node.value === null);
  const labels = hasLabels ? readLabels(document.report, labelsField) : new Map<string, string>();
  const name = nameField && readName(document.report, nameField, rules.name);
  const namespace = namespaceField ? readName(document.report, namespaceField, "label") : "default";
  if (name === null || namespace === null) return null;
  return { name, namespace: rules.namespaced ? namespace : null, labels };
}
