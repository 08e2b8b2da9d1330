/** `networking.k8s.io/v1` NetworkPolicy, whole (k8s.io/api networking/v1 types.go and its validation). */
import type { Direction, EndpointSelector, Peer, PolicyRule, PortMatch } from "../model.ts";
import { isNull } from "../yaml/node.ts";
import { ShapedRule } from "../yaml/quick/shaped-rule.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { readIpBlock } from "./addresses.ts";
import type { DocumentInput, DocumentReader, ReadObject } from "./document.ts";
import { type Located, locatedItem, ObjectReader, readChoice, readList, reportWrongType } from "./object-reader.ts";
import { MAX_PORT, protocolNumber, readPortOrName, readPortRange, TRANSPORT_PROTOCOLS } from "./ports.ts";
import {
  EGRESS_RULE,
  INGRESS_RULE,
  NETWORK_POLICY_SCHEMA,
  NETWORK_POLICY_SPEC,
  PEER,
  POLICY_TYPES,
  PORT,
} from "./schema/network-policy.ts";
import { readSelector } from "./selectors.ts";
import { readShapedRule } from "./shaped-rule.ts";

export const kubernetesNetworkPolicy: DocumentReader = {
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  tier: "application",
  metadata: { name: "subdomain", namespaced: true },
  fields: ["spec", "status"],
  schema: NETWORK_POLICY_SCHEMA,
  key: ({ namespace, name }) => `NetworkPolicy/${namespace}/${name}`,
  read,
};

function read({ report, document, metadata, source }: DocumentInput): ReadObject | null {
  const specField = document.require("spec");
  const spec = specField && ObjectReader.open(report, specField, NETWORK_POLICY_SPEC.known);
  if (!spec) return null;
  const namespace = metadata.namespace ?? "default";
  const subjectField = spec.require("podSelector", "Write {} to select everything in the namespace.");
  const selector = subjectField && readSelector(report, subjectField);
  const ingress = readRules(report, spec, "ingress", namespace);
  const egress = readRules(report, spec, "egress", namespace);
  const isolates = readPolicyTypes(report, spec, egress.length > 0);
  for (const direction of ["ingress", "egress"] as const) {
    const rules = direction === "ingress" ? ingress : egress;
    if (isolates[direction] || rules.length === 0) continue;
    const field = spec.getNullable(direction);
    const message = `policyTypes does not list ${direction === "ingress" ? "Ingress" : "Egress"}, so these rules have no effect.`;
    report.report("WL317", field?.anchor ?? spec.anchor, message);
  }
  if (!selector || !subjectField) return null;
  return {
    kind: "policy",
    subjectSource: report.range(subjectField.node),
    policy: {
      key: kubernetesNetworkPolicy.key(metadata),
      apiVersion: kubernetesNetworkPolicy.apiVersion,
      kind: kubernetesNetworkPolicy.kind,
      name: metadata.name,
      namespace,
      tier: "application",
      priority: 0,
      mode: "enforce",
      description: null,
      expiresAtUnixMs: null,
      subject: { namespaces: { kind: "name", name: namespace }, endpoints: selector },
      isolates,
      rules: [...(isolates.ingress ? ingress : []), ...(isolates.egress ? egress : [])],
      source,
    },
  };
}

/** Omitted or empty: Ingress always, Egress when there are egress rules. */
function readPolicyTypes(
  report: Reporter,
  spec: ObjectReader,
  hasEgressRules: boolean,
): { readonly ingress: boolean; readonly egress: boolean } {
  const field = spec.get("policyTypes");
  const entries = field ? (readList(report, field) ?? []) : [];
  if (entries.length === 0) return { ingress: true, egress: hasEgressRules };
  const types = entries.map((entry) => readChoice(report, entry, POLICY_TYPES));
  return { ingress: types.includes("Ingress"), egress: types.includes("Egress") };
}

function readRules(report: Reporter, spec: ObjectReader, direction: Direction, namespace: string): PolicyRule[] {
  const field = spec.getNullable(direction);
  if (!field || isNull(field.node)) return [];
  const { node } = field;
  if (node.kind !== "list") {
    reportWrongType(report, field, "a list");
    return [];
  }
  const rules: PolicyRule[] = [];
  const peersKey = direction === "ingress" ? "from" : "to";
  for (let index = 0; index < node.items.length; index++) {
    const item = node.items[index]!;
    const rule =
      item instanceof ShapedRule && item.values.peersKey === peersKey
        ? readShapedRule(report, item, direction, index)
        : readRule(report, locatedItem(item, field, index), direction, index, namespace);
    if (rule !== null) rules.push(rule);
  }
  return rules;
}

function readRule(
  report: Reporter,
  value: Located,
  direction: Direction,
  index: number,
  namespace: string,
): PolicyRule | null {
  const peersName = direction === "ingress" ? "from" : "to";
  const rule = ObjectReader.open(report, value, (direction === "ingress" ? INGRESS_RULE : EGRESS_RULE).known);
  if (!rule) return null;
  return {
    direction,
    index,
    name: null,
    action: "allow",
    peers: readAnyOrList(report, rule.get(peersName), "peer", (entry) => readPeer(report, entry, namespace)),
    ports: readAnyOrList(report, rule.get("ports"), "port", (entry) => readPort(report, entry)),
    source: report.range(rule.node),
  };
}

/** Absent and empty both mean "any" in Kubernetes; the empty list reads as the opposite, so it is pointed out. */
function readAnyOrList<Item>(
  report: Reporter,
  field: Located | null,
  noun: string,
  readItem: (entry: Located) => Item | null,
): readonly Item[] | null {
  if (!field) return null;
  const entries = readList(report, field);
  if (entries?.length === 0) {
    const message = `${field.path} is an empty list, which means every ${noun}, not none. Remove the line to say so.`;
    report.report("WL321", field.anchor, message);
    return null;
  }
  const items = (entries ?? []).map(readItem);
  // Not filtered without need: a list that grows keeps room for more, and there is one for each rule.
  return items.includes(null) ? items.filter((item) => item !== null) : (items as Item[]);
}

function readPeer(report: Reporter, value: Located, namespace: string): Peer | null {
  const peer = ObjectReader.open(report, value, PEER.known);
  if (!peer) return null;
  const pods = peer.get("podSelector");
  const namespaces = peer.get("namespaceSelector");
  const block = peer.get("ipBlock");
  if (block && (pods || namespaces)) {
    const message = `${value.path}: ipBlock cannot stand together with a selector; make them two list entries.`;
    report.report("WL212", block.anchor, message);
    return null;
  }
  if (block) return readIpBlock(report, block);
  if (!pods && !namespaces) {
    if (peer.node.entries.length === 0) {
      const message = `${value.path} is an empty peer. Write podSelector, namespaceSelector or ipBlock.`;
      report.report("WL219", peer.node, message);
    }
    return null;
  }
  const endpoints = pods ? readSelector(report, pods) : { requirements: [] };
  const namespaceSelector = namespaces ? readSelector(report, namespaces) : null;
  if (!endpoints || (namespaces && !namespaceSelector)) return null;
  const selector: EndpointSelector = {
    namespaces: namespaceSelector
      ? { kind: "selector", selector: namespaceSelector }
      : { kind: "name", name: namespace },
    endpoints,
  };
  return { kind: "endpoints", selector, source: report.range(peer.node) };
}

function readPort(report: Reporter, value: Located): PortMatch | null {
  const entry = ObjectReader.open(report, value, PORT.known);
  if (!entry) return null;
  const protocolField = entry.get("protocol");
  const protocol = protocolField ? readChoice(report, protocolField, TRANSPORT_PROTOCOLS) : "TCP";
  const portField = entry.get("port");
  if (!portField && entry.has("endPort")) {
    report.report("WL216", entry.getNullable("endPort")!.anchor, `${value.path}: endPort needs a port to start from.`);
    return null;
  }
  if (protocol === null) return null;
  if (!portField) {
    if (entry.has("port")) return null;
    const source = report.range(entry.node);
    return { kind: "range", protocol: protocolNumber(protocol), low: 0, high: MAX_PORT, source };
  }
  const port = readPortOrName(report, portField, { numericText: false });
  return readPortRange(report, entry, protocolNumber(protocol), port);
}
