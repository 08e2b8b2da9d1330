/** Groups of hosts and workloads as the kinds of `wardline.io/v1` name them. */
import { ENTITIES, type EndpointSelector, type Entity, type LabelSelector, type Peer } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { readIpBlock } from "./addresses.ts";
import type { ServiceReference } from "./document.ts";
import { readMeshNode } from "./mesh-nodes.ts";
import { readName } from "./names.ts";
import { type Located, ObjectReader, readChoice } from "./object-reader.ts";
import { SERVICE_REFERENCE } from "./schema/wardline-common.ts";
import { readSelector } from "./selectors.ts";

const EVERYTHING: LabelSelector = { requirements: [] };

/**
 * `selector` and `namespaceSelector` of a mapping. Without the second: the own namespace; without both: everybody in it.
 * `null` when one of them cannot be read (reported).
 */
export function readSelectorPair(report: Reporter, from: ObjectReader, ownNamespace: string): EndpointSelector | null {
  const errorsBefore = report.errorCount;
  const selectorField = from.get("selector");
  const namespacesField = from.get("namespaceSelector");
  const endpoints = selectorField ? readSelector(report, selectorField) : EVERYTHING;
  const namespaces = namespacesField && readSelector(report, namespacesField);
  if (report.errorCount > errorsBefore || !endpoints) return null;
  return {
    namespaces: namespaces ? { kind: "selector", selector: namespaces } : { kind: "name", name: ownNamespace },
    endpoints,
  };
}

/** Hosts of every namespace by label. */
export function readHosts(report: Reporter, value: Located): EndpointSelector | null {
  const endpoints = readSelector(report, value);
  return endpoints && { namespaces: { kind: "any" }, endpoints, kind: "host" };
}

export function readServiceReference(report: Reporter, value: Located, ownNamespace: string): ServiceReference | null {
  const reference = ObjectReader.open(report, value, SERVICE_REFERENCE.known);
  if (!reference) return null;
  const nameField = reference.require("name");
  const namespaceField = reference.get("namespace");
  const name = nameField && readName(report, nameField, "subdomain");
  const namespace = namespaceField ? readName(report, namespaceField, "label") : ownNamespace;
  if (!nameField || name === null || namespace === null) return null;
  return {
    name,
    namespace,
    source: report.range(reference.node),
    nameSource: report.range(nameField.node),
    quoted: nameField.node.kind === "scalar" && nameField.node.quoted,
  };
}

/** What one of the alternatives of a peer or an end holds. */
export type NamedGroup =
  | { readonly kind: "endpoints"; readonly selector: EndpointSelector }
  | { readonly kind: "addresses"; readonly block: Extract<Peer, { readonly kind: "addresses" }> }
  | { readonly kind: "entity"; readonly entity: Entity }
  | { readonly kind: "service"; readonly reference: ServiceReference };

/** Reads the alternative that `group` names; `null` when it cannot be read (reported). */
export function readGroup(
  report: Reporter,
  from: ObjectReader,
  group: readonly string[],
  ownNamespace: string,
): NamedGroup | null {
  const [name] = group;
  if (name === "selector") {
    const selector = readSelectorPair(report, from, ownNamespace);
    return selector && { kind: "endpoints", selector };
  }
  const field = from.get(name!);
  if (!field) return null;
  switch (name) {
    case "hosts": {
      const selector = readHosts(report, field);
      return selector && { kind: "endpoints", selector };
    }
    case "ipBlock": {
      const block = readIpBlock(report, field);
      return block?.kind === "addresses" ? { kind: "addresses", block } : null;
    }
    case "entity": {
      const entity = readChoice(report, field, ENTITIES);
      return entity && { kind: "entity", entity };
    }
    case "meshNode": {
      const block = readMeshNode(report, field);
      return block && { kind: "addresses", block };
    }
    case "service": {
      const reference = readServiceReference(report, field, ownNamespace);
      return reference && { kind: "service", reference };
    }
    default:
      return null;
  }
}
