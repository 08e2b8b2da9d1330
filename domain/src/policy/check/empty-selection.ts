import { nearestWord } from "../formats/suggest.ts";
import { formatSelector } from "../labels.ts";
import type { EndpointSelector, LabelRequirement } from "../model.ts";
import type { EndpointIndex } from "./endpoint-index.ts";

export interface EmptySelection {
  /** What it wants, and what exists that comes near. */
  readonly reason: string;
  /** The word of the selector that is probably a slip. */
  readonly nearMiss: { readonly wanted: string; readonly meant: string } | null;
}

interface NearMiss {
  readonly wanted: string;
  readonly meant: string;
  /** The label as it was probably meant. */
  readonly label: string;
}

/** Why a selector picks nobody. */
export function explainEmptySelection(selector: EndpointSelector, index: EndpointIndex): EmptySelection {
  const wanted = formatSelector(selector.endpoints);
  const elsewhere = index.select({ namespaces: { kind: "any" }, endpoints: selector.endpoints });
  const where = describeNamespaces(selector);
  if (elsewhere.length > 0) {
    const names = [...new Set(elsewhere.map(({ namespace }) => namespace))].slice(0, 3).join(", ");
    const what = selector.endpoints.requirements.length === 0 ? "others are" : `${wanted} is`;
    const having = selector.endpoints.requirements.length === 0 ? "" : ` with ${wanted}`;
    return { reason: `No host or workload${having} is in ${where}; ${what} in namespace ${names}.`, nearMiss: null };
  }
  const place = selector.namespaces.kind === "any" ? "" : ` in ${where}`;
  const near = nearMiss(selector.endpoints.requirements, index);
  const hint = near === null ? "" : ` Did you mean ${near.label}?`;
  return { reason: `No host or workload${place} has ${wanted}.${hint}`, nearMiss: near };
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
function nearMiss(requirements: readonly LabelRequirement[], index: EndpointIndex): NearMiss | null {
  for (const requirement of requirements) {
    if (index.anyFulfils(requirement)) continue;
    const { key, values } = requirement;
    for (const value of values) {
      const nearValue = nearestWord(value, index.valuesOf(key));
      if (nearValue !== null) return { wanted: value, meant: nearValue, label: `${key}=${nearValue}` };
    }
    const nearKey = nearestWord(key, index.labelKeys);
    if (nearKey === null) continue;
    return { wanted: key, meant: nearKey, label: values.length === 1 ? `${nearKey}=${values[0]}` : nearKey };
  }
  return null;
}
