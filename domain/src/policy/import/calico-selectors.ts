/** Selectors of Calico policies, and the labels that Calico adds to endpoints. */
import { checkLabelKey, NAME_RULES } from "../formats/names.ts";
import { type Located, type ObjectReader, readText } from "../formats/object-reader.ts";
import { NAMESPACE_NAME_LABEL } from "../labels.ts";
import type { EndpointSelector, LabelRequirement, NamespaceMatch } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { parseCalicoSelector } from "./calico-expression.ts";
import { given } from "./refuse.ts";

const NAMESPACE_LABEL = "projectcalico.org/namespace";
const NAME_LABEL = "projectcalico.org/name";
/** Older versions write labels of the namespace so. */
const NAMESPACE_PREFIX = "pcns.";

/**
 * `selector` and `namespaceSelector` of a subject or peer, or `null` when neither says anything. `own` = the namespace of
 * the policy, which a selector alone does not leave; `null` for policies without one.
 */
export function readCalicoSelectors(
  report: Reporter,
  reader: ObjectReader,
  own: string | null,
): EndpointSelector | null {
  const selectorField = given(reader, "selector");
  const namespaceField = given(reader, "namespaceSelector");
  const labels = selectorField ? readExpression(report, selectorField) : [];
  const namespaces = namespaceField ? readExpression(report, namespaceField) : null;
  if (labels === null || (namespaceField && namespaces === null)) return null;
  const aboutNamespace = labels.filter(isAboutNamespace).map(toNamespaceLabel);
  const requirements = [...(namespaces ?? []).map(toNamespaceLabel), ...aboutNamespace];
  const endpoints = { requirements: labels.filter((requirement) => !isAboutNamespace(requirement)) };
  return { namespaces: namespaceMatch(requirements, namespaceField !== null, own), endpoints };
}

function namespaceMatch(
  requirements: readonly LabelRequirement[],
  hasNamespaceSelector: boolean,
  own: string | null,
): NamespaceMatch {
  const isOwn = !hasNamespaceSelector && own !== null;
  if (requirements.length === 0) {
    if (isOwn) return { kind: "name", name: own };
    return hasNamespaceSelector ? { kind: "selector", selector: { requirements } } : { kind: "any" };
  }
  const self: LabelRequirement[] = isOwn ? [{ key: NAMESPACE_NAME_LABEL, operator: "In", values: [own] }] : [];
  return { kind: "selector", selector: { requirements: [...self, ...requirements] } };
}

function isAboutNamespace({ key }: LabelRequirement): boolean {
  return key === NAMESPACE_LABEL || key.startsWith(NAMESPACE_PREFIX);
}

function toNamespaceLabel(requirement: LabelRequirement): LabelRequirement {
  const { key } = requirement;
  if (key === NAMESPACE_LABEL || key === NAME_LABEL) return { ...requirement, key: NAMESPACE_NAME_LABEL };
  return key.startsWith(NAMESPACE_PREFIX) ? { ...requirement, key: key.slice(NAMESPACE_PREFIX.length) } : requirement;
}

/** `null` when the text is no selector, or none that requirements can express (reported). */
function readExpression(report: Reporter, field: Located): readonly LabelRequirement[] | null {
  const text = readText(report, field);
  if (text === null) return null;
  const parsed = parseCalicoSelector(text);
  if (!parsed.ok) {
    const what = parsed.problem === "syntax" ? "is no selector" : "cannot be expressed";
    report.report(
      parsed.problem === "syntax" ? "WL252" : "WL253",
      field.node,
      `${field.path} ${what}: ${parsed.message}.`,
    );
    return null;
  }
  const errorsBefore = report.errorCount;
  for (const { key, values } of parsed.requirements) {
    const isOurs = [NAMESPACE_LABEL, NAME_LABEL].includes(key);
    if (key.startsWith("projectcalico.org/") && !isOurs) {
      const message = `${field.path} cannot be expressed: Calico itself sets the label ${key.slice(0, 60)}, and nobody has it here.`;
      report.report("WL253", field.node, message);
    } else checkLabelKey(report, { ...field, path: "The label key" }, key);
    const wrong = values.find((value) => value.length > 63 || !NAME_RULES.labelValue.pattern.test(value));
    if (wrong !== undefined) {
      report.report("WL209", field.node, `${field.path}: "${wrong.slice(0, 60)}" is no label value.`);
    }
  }
  return report.errorCount === errorsBefore ? parsed.requirements : null;
}
