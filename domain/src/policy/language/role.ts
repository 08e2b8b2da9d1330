/** What a free text at a place names: a label, a namespace, a host, a port, an address. */
import type { Place, Step } from "./place.ts";
import type { Meaning } from "./shapes.ts";
import { childText } from "./tree.ts";
import type { LabelPool } from "./vocabulary.ts";

export type Role =
  | { readonly kind: "label-key"; readonly pool: LabelPool }
  | { readonly kind: "label-value"; readonly pool: LabelPool; readonly key: string }
  | { readonly kind: "namespace" }
  | { readonly kind: "host" }
  | { readonly kind: "service"; readonly namespace: string }
  | { readonly kind: "port"; readonly protocol: string }
  | { readonly kind: "protocol" }
  | { readonly kind: "cidr" }
  | { readonly kind: "address" }
  | { readonly kind: "policy" }
  | { readonly kind: "rule"; readonly policy: string }
  | { readonly kind: "mesh-key" }
  | { readonly kind: "expression"; readonly pool: LabelPool }
  | { readonly kind: "flag" };

const NAMESPACE_STEPS = new Set<Step>(["namespaceSelector", "namespaces"]);
const HOST_STEPS = new Set<Step>(["hosts", "nodes", "nodeSelector", "fromNodes", "toNodes"]);
const ENDPOINT_STEPS = new Set<Step>([
  "selector",
  "podSelector",
  "endpointSelector",
  "pods",
  "fromEndpoints",
  "toEndpoints",
]);

/** Whose labels are meant at a path: what the nearest selector around it picks. */
export function poolOf(path: readonly Step[]): LabelPool {
  const nearest = path.findLast(
    (step) => NAMESPACE_STEPS.has(step) || HOST_STEPS.has(step) || ENDPOINT_STEPS.has(step),
  );
  if (nearest === undefined || ENDPOINT_STEPS.has(nearest)) return "endpoints";
  return HOST_STEPS.has(nearest) ? "hosts" : "namespaces";
}

/** The role of a value; `null` = nothing that the fleet could know. */
export function roleOf(place: Place, meanings: readonly Meaning[]): Role | null {
  const { path, map } = place;
  const last = path.at(-1);
  const name = typeof last === "number" ? path.findLast((step) => typeof step === "string") : last;
  const parent = path.slice(0, -1).findLast((step) => typeof step === "string");
  const isListItem = typeof last === "number";
  const pool = poolOf(path);
  if (parent === "matchLabels" || (parent === "labels" && path[0] === "metadata")) {
    return { kind: "label-value", pool, key: String(last) };
  }
  if (isExpression(place, meanings) || isListItem) {
    if (name === "key" && !isListItem && path.includes("matchExpressions")) return { kind: "label-key", pool };
    if (name === "values" && path.includes("matchExpressions"))
      return { kind: "label-value", pool, key: childText(map, "key") };
  }
  switch (name) {
    case "namespace":
      return { kind: "namespace" };
    case "host":
    case "nodeName":
      return place.kind === "Workload" || place.kind === "Pod" ? { kind: "host" } : null;
    case "name":
      if (parent === "service")
        return { kind: "service", namespace: childText(map, "namespace") || namespaceOf(place) };
      return parent === "metadata" && place.kind === "Namespace" ? { kind: "namespace" } : null;
    case "port":
    case "endPort":
    case "number":
    case "start":
    case "end":
      return { kind: "port", protocol: childText(map, "protocol") };
    case "protocol":
      return { kind: "protocol" };
    case "cidr":
    case "except":
    case "nets":
    case "notNets":
    case "fromCIDR":
    case "toCIDR":
    case "networks":
      return { kind: "cidr" };
    case "addresses":
      return { kind: "address" };
    case "policy":
      return parent === "via" ? { kind: "policy" } : null;
    case "rule":
      return parent === "via" ? { kind: "rule", policy: childText(map, "policy") } : null;
    case "key":
      return parent === "meshNode" ? { kind: "mesh-key" } : null;
    case "selector":
    case "namespaceSelector":
      return meanings.some(({ shape }) => shape.type === "text")
        ? { kind: "expression", pool: name === "selector" ? "endpoints" : "namespaces" }
        : null;
    default:
      return meanings.some(({ shape }) => shape.type === "anything") ? { kind: "flag" } : null;
  }
}

function isExpression({ map }: Place, meanings: readonly Meaning[]): boolean {
  return (
    meanings.some(({ owner }) => owner !== null && "operator" in owner.fields) || childText(map, "operator") !== ""
  );
}

/** The namespace of the document around a place. */
export function namespaceOf(place: Place): string {
  const metadata = place.root.entries.find(({ key }) => key === "metadata")?.value ?? null;
  return childText(metadata, "namespace") || "default";
}
