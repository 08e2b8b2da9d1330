/** Label selectors: Kubernetes semantics (apimachinery labels.Selector). */
import type {
  Endpoint,
  EndpointSelector,
  Inventory,
  LabelRequirement,
  LabelSelector,
  NamespaceMatch,
} from "./model.ts";

/** The label that every namespace carries with its own name. */
export const NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name";

export const DEFAULT_NAMESPACE = "default";

export type Labels = ReadonlyMap<string, string>;

/** Whether every requirement holds. No requirement = everything. */
export function selectorMatches(selector: LabelSelector, labels: Labels): boolean {
  return selector.requirements.every((requirement) => requirementMatches(requirement, labels));
}

/** `NotIn` and `DoesNotExist` also hold for labels without the key. */
export function requirementMatches(requirement: LabelRequirement, labels: Labels): boolean {
  const value = labels.get(requirement.key);
  switch (requirement.operator) {
    case "In":
      return value !== undefined && requirement.values.includes(value);
    case "NotIn":
      return value === undefined || !requirement.values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

/** Whether the namespace is meant. A namespace that no document declares carries only its implied label. */
export function namespaceMatches(
  match: NamespaceMatch,
  namespace: string,
  namespaces: Inventory["namespaces"],
): boolean {
  switch (match.kind) {
    case "any":
      return true;
    case "name":
      return match.name === namespace;
    case "selector":
      return selectorMatches(match.selector, namespaceLabels(namespace, namespaces));
  }
}

export function namespaceLabels(namespace: string, namespaces: Inventory["namespaces"]): Labels {
  return namespaces.get(namespace)?.labels ?? new Map([[NAMESPACE_NAME_LABEL, namespace]]);
}

export function endpointMatches(
  selector: EndpointSelector,
  endpoint: Pick<Endpoint, "kind" | "namespace" | "labels">,
  namespaces: Inventory["namespaces"],
): boolean {
  return (
    (selector.kind === undefined || selector.kind === endpoint.kind) &&
    namespaceMatches(selector.namespaces, endpoint.namespace, namespaces) &&
    selectorMatches(selector.endpoints, endpoint.labels)
  );
}

/** The selector as people write it: `app=web, tier in (a, b), !legacy`. */
export function formatSelector(selector: LabelSelector): string {
  if (selector.requirements.length === 0) return "everything";
  return selector.requirements.map(formatRequirement).join(", ");
}

function formatRequirement({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case "In":
      return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.join(", ")})`;
    case "NotIn":
      return values.length === 1 ? `${key}!=${values[0]}` : `${key} not in (${values.join(", ")})`;
    case "Exists":
      return key;
    case "DoesNotExist":
      return `!${key}`;
  }
}
