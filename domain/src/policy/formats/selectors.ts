import type { LabelRequirement, LabelSelector } from "../model.ts";
import { isNull, type ScalarNode } from "../yaml/node.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { checkLabelKey, readName } from "./names.ts";
import { type Located, ObjectReader, readChoice, readList, readText, reportWrongType } from "./object-reader.ts";

const OPERATORS = ["In", "NotIn", "Exists", "DoesNotExist"] as const;

/** A Kubernetes LabelSelector; `{}` picks everything. `null` when it is no mapping (reported). */
export function readSelector(report: Reporter, value: Located): LabelSelector | null {
  const selector = ObjectReader.open(report, value, { fields: ["matchLabels", "matchExpressions"] });
  if (!selector) return null;
  const labels = selector.get("matchLabels");
  const expressions = selector.get("matchExpressions");
  return {
    requirements: [
      ...(labels ? readMatchLabels(report, labels) : []),
      ...(expressions ? readMatchExpressions(report, expressions) : []),
    ],
  };
}

function readMatchLabels(report: Reporter, value: Located): readonly LabelRequirement[] {
  if (value.node.kind !== "map") {
    reportWrongType(report, value, "a mapping of names to text");
    return [];
  }
  const requirements: LabelRequirement[] = [];
  for (const entry of value.node.entries) {
    const path = `${value.path}.${entry.key.slice(0, 60)}`;
    const keyNode: ScalarNode = {
      kind: "scalar",
      value: entry.key,
      source: entry.key,
      quoted: false,
      ...entry.keySpan,
    };
    const keyIsValid = checkLabelKey(
      report,
      { node: keyNode, path: "The label key", anchor: entry.keySpan },
      entry.key,
    );
    const text = readName(report, { node: entry.value, path, anchor: entry.keySpan }, "labelValue");
    if (keyIsValid && text !== null) requirements.push({ key: entry.key, operator: "In", values: [text] });
  }
  return requirements;
}

function readMatchExpressions(report: Reporter, value: Located): readonly LabelRequirement[] {
  const entries = readList(report, value) ?? [];
  return entries.flatMap((entry) => readExpression(report, entry) ?? []);
}

function readExpression(report: Reporter, value: Located): LabelRequirement | null {
  const expression = ObjectReader.open(report, value, { fields: ["key", "operator", "values"] });
  if (!expression) return null;
  const keyField = expression.require("key");
  const operatorField = expression.require("operator");
  const key = keyField && readText(report, keyField);
  const keyIsValid = keyField && key !== null && checkLabelKey(report, keyField, key);
  const operator = operatorField && readChoice(report, operatorField, OPERATORS);
  if (!operator) return null;
  const values = readValues(report, expression, operator);
  return keyIsValid && values ? { key, operator, values } : null;
}

function readValues(
  report: Reporter,
  expression: ObjectReader,
  operator: LabelRequirement["operator"],
): readonly string[] | null {
  const takesValues = operator === "In" || operator === "NotIn";
  const field = expression.getNullable("values");
  const list = field && !isNull(field.node) ? readList(report, field) : [];
  if (!list) return null;
  if (!takesValues && field && list.length > 0) {
    report.report("WL217", field.anchor, `${field.path}: the operator ${operator} takes no values.`);
    return null;
  }
  if (takesValues && list.length === 0) {
    const place = field?.anchor ?? expression.anchor;
    report.report("WL217", place, `${expression.path}: the operator ${operator} needs at least one value.`);
    return null;
  }
  const values = list.map((entry) => readName(report, entry, "labelValue"));
  return values.every((text) => text !== null) ? values : null;
}
