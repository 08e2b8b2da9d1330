import { nearestWord } from "../formats/suggest.ts";
import { formatSelector } from "../labels.ts";
import type { EndpointSelector, LabelRequirement } from "../model.ts";
import type { EndpointIndex } from "./endpoint-index.ts";

/** Why a selector picks nobody: what it wants, and what exists that comes near. */
export function explainEmptySelection(selector: EndpointSelector, index: EndpointIndex): string {
  const wanted = formatSelector(selector.endpoints);
  const elsewhere = index.select({ namespaces: { kind: "any" }, endpoints: selector.endpoints });
  const where = describeNamespaces(selector);
  if (elsewhere.length > 0) {
    const names = [...new Set(elsewhere.map(({ namespace }) => namespace))].slice(0, 3).join(", ");
    const what = selector.endpoints.requirements.length === 0 ? "others are" : `${wanted} is`;
    const having = selector.endpoints.requirements.length === 0 ? "" : ` with ${wanted}`;
    return `No host or workload${having} is in ${where}; ${what} in namespace ${names}.`;
  }
  const place = selector.namespaces.kind === "any" ? "" : ` in ${where}`;
  const near = nearMiss(selector.endpoints.requirements, index);
  return `No host or workload${place} has ${wanted}.${near === null ? "" : ` Did you mean ${near}?`}`;
}

function describeNamespaces({ namespaces }: EndpointSelector): string {
  switch (namespaces.kind) {
    case "any":
      return "any namespace";
    case "name":
      return `namespace ${namespaces.name}`;
    case "selector":
      return namespaces.selector.requirements.length === 0
        ? "any namespace"
        : `a namespace with ${formatSelector(namespaces.selector)}`;
  }
}

/** The first wanted label that nobody has, as it was probably meant. */
function nearMiss(requirements: readonly LabelRequirement[], index: EndpointIndex): string | null {
  for (const requirement of requirements) {
    if (index.anyFulfils(requirement)) continue;
    const { key, values } = requirement;
    for (const value of values) {
      const nearValue = nearestWord(value, index.valuesOf(key));
      if (nearValue !== null) return `${key}=${nearValue}`;
    }
    const nearKey = nearestWord(key, index.labelKeys);
    if (nearKey !== null) return values.length === 1 ? `${nearKey}=${values[0]}` : nearKey;
  }
  return null;
}
