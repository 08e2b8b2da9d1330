import type { LabelRequirement, LabelSelector } from "../model.ts";
import { isNull } from "../yaml/node.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { checkLabelKey, readLabels, readName } from "./names.ts";
import { type Located, ObjectReader, readChoice, readList, readText } from "./object-reader.ts";
import { EXPRESSION, SELECTOR, SELECTOR_OPERATORS } from "./schema/common.ts";
import type { ObjectShape } from "./schema/shape.ts";

/** A Kubernetes LabelSelector; `{}` picks everything. `null` when it is no mapping (reported). */
export function readSelector(
  report: Reporter,
  value: Located,
  shape: Pick<ObjectShape, "known"> = SELECTOR,
): LabelSelector | null {
  const selector = ObjectReader.open(report, value, shape.known);
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
  return [...readLabels(report, value)].map(([key, text]) => ({ key, operator: "In", values: [text] }));
}

function readMatchExpressions(report: Reporter, value: Located): readonly LabelRequirement[] {
  const entries = readList(report, value) ?? [];
  return entries.flatMap((entry) => readExpression(report, entry) ?? []);
}

function readExpression(report: Reporter, value: Located): LabelRequirement | null {
  const expression = ObjectReader.open(report, value, EXPRESSION.known);
  if (!expression) return null;
  const keyField = expression.require("key");
  const operatorField = expression.require("operator");
  const key = keyField && readText(report, keyField);
  const keyIsValid = keyField && key !== null && checkLabelKey(report, keyField, key);
  const operator = operatorField && readChoice(report, operatorField, SELECTOR_OPERATORS);
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
