/** Label selectors of Cilium: Kubernetes selectors whose keys carry the source of the label before them. */
import { checkLabelKey, readName } from "../formats/names.ts";
import {
  type Located,
  ObjectReader,
  readChoice,
  readList,
  readText,
  reportWrongType,
} from "../formats/object-reader.ts";
import { EXPRESSION } from "../formats/schema/common.ts";
import { NAMESPACE_NAME_LABEL } from "../labels.ts";
import type { EndpointSelector, LabelRequirement, NamespaceMatch } from "../model.ts";
import { isNull, type Span } from "../yaml/node.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { CILIUM_SELECTOR } from "./shapes.ts";

const NAMESPACE_LABEL = "io.kubernetes.pod.namespace";
const NAMESPACE_LABELS_PREFIX = "io.cilium.k8s.namespace.labels.";
const OPERATORS = ["In", "NotIn", "Exists", "DoesNotExist"] as const;

/**
 * `scope` = the namespaces that are meant when the selector says nothing about them; with `own`, a policy's namespace,
 * which its subject can never leave.
 */
export function readCiliumSelector(
  report: Reporter,
  value: Located,
  scope: { readonly namespaces: NamespaceMatch; readonly own?: boolean },
): EndpointSelector | null {
  const selector = ObjectReader.open(report, value, CILIUM_SELECTOR.known);
  if (!selector) return null;
  const errorsBefore = report.errorCount;
  const requirements = [...readMatchLabels(report, selector), ...readExpressions(report, selector)];
  if (report.errorCount !== errorsBefore) return null;
  const aboutNamespaces = requirements.filter(({ ofNamespace }) => ofNamespace).map(plain);
  const endpoints = { requirements: requirements.filter(({ ofNamespace }) => !ofNamespace).map(plain) };
  if (aboutNamespaces.length === 0) return { namespaces: scope.namespaces, endpoints };
  const { namespaces } = scope;
  const own = scope.own && namespaces.kind === "name" ? [nameRequirement(namespaces.name)] : [];
  return {
    namespaces: { kind: "selector", selector: { requirements: [...own, ...aboutNamespaces] } },
    endpoints,
  };
}

interface ScopedRequirement extends LabelRequirement {
  readonly ofNamespace: boolean;
}

function plain({ key, operator, values }: ScopedRequirement): LabelRequirement {
  return { key, operator, values };
}

function nameRequirement(name: string): LabelRequirement {
  return { key: NAMESPACE_NAME_LABEL, operator: "In", values: [name] };
}

function readMatchLabels(report: Reporter, selector: ObjectReader): readonly ScopedRequirement[] {
  const field = selector.getNullable("matchLabels");
  if (!field || isNull(field.node)) return [];
  if (field.node.kind !== "map") {
    reportWrongType(report, field, "a mapping of names to text");
    return [];
  }
  return field.node.entries.flatMap(({ key, keySpan, value }) => {
    const name = readKey(report, key, keySpan);
    const text = readName(
      report,
      { node: value, path: `${field.path}.${key.slice(0, 60)}`, anchor: keySpan },
      "labelValue",
    );
    return name && text !== null ? [{ ...name, operator: "In", values: [text] } as const] : [];
  });
}

function readExpressions(report: Reporter, selector: ObjectReader): readonly ScopedRequirement[] {
  const field = selector.getNullable("matchExpressions");
  if (!field || isNull(field.node)) return [];
  return (readList(report, field) ?? []).flatMap((entry) => readExpression(report, entry) ?? []);
}

function readExpression(report: Reporter, value: Located): ScopedRequirement | null {
  const expression = ObjectReader.open(report, value, EXPRESSION.known);
  if (!expression) return null;
  const keyField = expression.require("key");
  const operatorField = expression.require("operator");
  const key = keyField && readText(report, keyField);
  const name = keyField && key !== null ? readKey(report, key, keyField.node) : null;
  const operator = operatorField && readChoice(report, operatorField, OPERATORS);
  const valuesField = expression.getNullable("values");
  const list = valuesField && !isNull(valuesField.node) ? (readList(report, valuesField) ?? []) : [];
  if (!name || !operator) return null;
  const takesValues = operator === "In" || operator === "NotIn";
  if (takesValues !== list.length > 0) {
    const message = `${expression.path}: the operator ${operator} ${takesValues ? "needs at least one value" : "takes no values"}.`;
    report.report("WL217", valuesField?.anchor ?? expression.anchor, message);
    return null;
  }
  const values = list.map((entry) => readName(report, entry, "labelValue"));
  return values.every((text) => text !== null) ? { ...name, operator, values } : null;
}

/** The label key without its source, and whether it is a label of the pod or of its namespace. */
function readKey(
  report: Reporter,
  text: string,
  span: Span,
): { readonly key: string; readonly ofNamespace: boolean } | null {
  const colon = text.indexOf(":");
  const source = colon < 0 ? "any" : text.slice(0, colon);
  const name = text.slice(colon + 1);
  const shown = text.slice(0, 80);
  if (source !== "any" && source !== "k8s") {
    const message = `The label "${shown}" cannot be imported: only labels of Kubernetes (k8s:, any: or none) are known here.`;
    report.report("WL251", span, message);
    return null;
  }
  if (name === NAMESPACE_LABEL) return { key: NAMESPACE_NAME_LABEL, ofNamespace: true };
  const ofNamespace = name.startsWith(NAMESPACE_LABELS_PREFIX);
  const key = ofNamespace ? name.slice(NAMESPACE_LABELS_PREFIX.length) : name;
  if (key.startsWith("io.cilium.k8s.") || key.startsWith("io.cilium/")) {
    report.report(
      "WL251",
      span,
      `The label "${shown}" cannot be imported: Cilium itself sets it, and nobody has it here.`,
    );
    return null;
  }
  const node = { kind: "scalar", value: key, source: key, quoted: false, ...span } as const;
  return checkLabelKey(report, { node, path: "The label key", anchor: span }, key) ? { key, ofNamespace } : null;
}
