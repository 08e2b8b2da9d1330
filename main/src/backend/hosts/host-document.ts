/** Host documents: how the inventory learns of a machine. Edits keep comments, order and quoting of everything else. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { Document, isMap, isSeq, parseAllDocuments } from "yaml";

const API_VERSION = "wardline.io/v1";
const MAX_LABELS = 100;
const LABEL_PREFIX = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
const LABEL_NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
export const HOSTNAME_LABEL = "kubernetes.io/hostname";

const THIS_MACHINE =
  " This machine, so that selectors can pick it. Add labels of your own, or edit the addresses\n if policies should know others.";

/** A new document for a machine, with its addresses and the one label that every host has. */
export function newHostDocument(
  name: string,
  addresses: readonly string[],
  labels?: Readonly<Record<string, string>>,
  comment = THIS_MACHINE,
): string {
  const document = new Document({
    apiVersion: API_VERSION,
    kind: "Host",
    metadata: { name, labels: { [HOSTNAME_LABEL]: name, ...labels } },
    spec: { addresses: [...addresses] },
  });
  if (comment !== "") document.commentBefore = comment;
  return document.toString({ lineWidth: 0 });
}

/** Where the document of a new host goes. Only characters that are harmless in a name are kept. */
export function hostDocumentPath(name: string): string {
  const safe = name
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, "-")
    .replace(/^[-.]+|[-.]+$/g, "");
  return `hosts/${safe.slice(0, 200) || "this-machine"}.yaml`;
}

type HostFile = { readonly path: string; readonly text: string };

/**
 * Replaces the labels of one Host document in a file that may hold several.
 * @throws Failure NOT_FOUND when the file holds no such document, POLICY_INVALID when it does not parse
 */
export function withHostLabels(file: HostFile, hostName: string, labels: Readonly<Record<string, string>>): string {
  return edited(file, hostName, (target) => setLabels(target, labels));
}

/**
 * Gives a Host document another name, and addresses when it has none. The label with the host's name follows. With a line
 * of the document only that one is read: a file may hold a thousand.
 * @throws Failure as {@link withHostLabels}
 */
export function withHostIdentity(
  file: HostFile & { readonly line?: number },
  hostName: string,
  identity: { readonly name: string; readonly addresses: readonly string[] },
): string {
  const { before, part, after } = documentAt(file);
  const text = edited({ path: file.path, text: part }, hostName, (target) => {
    if (identity.name !== hostName) target.setIn(["metadata", "name"], identity.name);
    const label = ["metadata", "labels", HOSTNAME_LABEL];
    if (target.getIn(label) === hostName) target.setIn(label, identity.name);
    const addresses = target.getIn(["spec", "addresses"], true);
    const isEmpty = !isSeq(addresses) || addresses.items.length === 0;
    if (isEmpty && identity.addresses.length > 0) {
      target.setIn(["spec", "addresses"], target.createNode([...identity.addresses]));
    }
  });
  return before + text + after;
}

/** The part of the text between two `---` that the line is in; all of it without a line, and where it is not YAML in blocks. */
function documentAt({ path, text, line }: HostFile & { readonly line?: number }) {
  const whole = { before: "", part: text, after: "" };
  if (line === undefined || /\.json$/i.test(path) || /^(%|\.\.\.)/m.test(text)) return whole;
  const lines = text.split("\n");
  if (line < 1 || line > lines.length) return whole;
  const isMark = (index: number) => /^---\s*$/.test(lines[index] ?? "");
  let first = line - 1;
  while (first > 0 && !isMark(first - 1)) first--;
  let last = line - 1;
  while (last < lines.length && !isMark(last)) last++;
  const join = (from: number, to: number) =>
    lines
      .slice(from, to)
      .map((each) => `${each}\n`)
      .join("");
  const isEnd = last >= lines.length;
  return {
    before: join(0, first),
    part: isEnd ? lines.slice(first).join("\n") : join(first, last),
    after: isEnd ? "" : lines.slice(last).join("\n"),
  };
}

function edited(file: HostFile, hostName: string, edit: (target: Document.Parsed) => void): string {
  const documents = parseAllDocuments(file.text, { keepSourceTokens: true, logLevel: "silent" });
  if (!Array.isArray(documents) || documents.some((document) => document.errors.length > 0)) {
    throw new Failure({
      code: ErrorCode.POLICY_INVALID,
      message: `${file.path} has syntax errors, so its Host document cannot be edited.`,
      hint: "Correct the file first.",
    });
  }
  const target = documents.find(
    (document) =>
      isMap(document.contents) &&
      document.get("kind") === "Host" &&
      document.get("apiVersion") === API_VERSION &&
      document.getIn(["metadata", "name"]) === hostName,
  );
  if (!target) {
    throw new Failure({
      code: ErrorCode.NOT_FOUND,
      message: `${file.path} holds no Host document for ${hostName}.`,
      hint: "It may have been changed elsewhere; try again.",
    });
  }
  edit(target);
  if (/\.json$/i.test(file.path)) return `${JSON.stringify(target.toJS(), null, 2)}\n`;
  return documents.map((document) => document.toString({ lineWidth: 0 })).join("");
}

function setLabels(target: Document.Parsed, labels: Readonly<Record<string, string>>): void {
  const before = target.getIn(["metadata", "labels"], true);
  if (!isMap(before)) target.setIn(["metadata", "labels"], target.createNode(labels));
  else {
    for (const key of before.items.map((item) => String(item.key))) {
      if (!Object.hasOwn(labels, key)) target.deleteIn(["metadata", "labels", key]);
    }
    for (const [key, value] of Object.entries(labels)) {
      if (target.getIn(["metadata", "labels", key]) !== value) target.setIn(["metadata", "labels", key], value);
    }
  }
}

/** Kubernetes' rules for labels. @throws Failure INVALID_ARGUMENT */
export function requireLabels(labels: Readonly<Record<string, string>>): void {
  const entries = Object.entries(labels);
  const refuse = (message: string) =>
    new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message,
      hint: "Keys look like `role` or `example.com/role`; values have up to 63 letters, digits, `-`, `_` and `.`.",
    });
  if (entries.length > MAX_LABELS) throw refuse(`${entries.length} labels were given; a host may have ${MAX_LABELS}.`);
  for (const [key, value] of entries) {
    const slash = key.indexOf("/");
    const prefix = slash < 0 ? null : key.slice(0, slash);
    const name = key.slice(slash + 1);
    const keyIsGood =
      name.length <= 63 &&
      LABEL_NAME.test(name) &&
      (prefix === null || (prefix.length <= 253 && LABEL_PREFIX.test(prefix)));
    if (!keyIsGood) throw refuse(`${JSON.stringify(key.slice(0, 100))} is not a label key.`);
    if (value !== "" && (value.length > 63 || !LABEL_NAME.test(value))) {
      throw refuse(`${JSON.stringify(value.slice(0, 100))} is not a label value (of ${key}).`);
    }
  }
}
