/**
 * What `kubectl get pods,nodes -o yaml` prints, as far as policies look at it: pods are workloads, nodes are hosts. The
 * many other fields belong to the API server and are not checked.
 */

import { readAddress } from "../formats/addresses.ts";
import type { DocumentInput, DocumentReader, ReadObject } from "../formats/document.ts";
import { NAME_RULES } from "../formats/names.ts";
import { type Located, ObjectReader, readList } from "../formats/object-reader.ts";
import { type NamedPort, PROTOCOL, type SourceRange } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { NODE_DOCUMENT, POD_DOCUMENT } from "./shapes.ts";

/** Nodes have no namespace; namespaces of pods cannot have this name, which has a dot. */
export const NODE_NAMESPACE = "kubernetes.node";

export const kubernetesNode: DocumentReader = {
  apiVersion: "v1",
  kind: "Node",
  tier: null,
  metadata: { name: "subdomain", namespaced: false },
  fields: ["spec", "status"],
  offered: NODE_DOCUMENT,
  key: ({ name }) => `Host/${name}`,
  read: readNode,
};

export const kubernetesPod: DocumentReader = {
  apiVersion: "v1",
  kind: "Pod",
  tier: null,
  metadata: { name: "subdomain", namespaced: true },
  fields: ["spec", "status"],
  offered: POD_DOCUMENT,
  key: ({ namespace, name }) => `Workload/${namespace}/${name}`,
  read: readPod,
};

function readNode({ report, document, metadata, source }: DocumentInput): ReadObject | null {
  const status = part(report, document, "status");
  const addresses = new Map<string, SourceRange>();
  for (const entry of list(report, status, "addresses")) {
    const type = textOf(entry, "type");
    const field = entry.get("address");
    if (field && (type === "InternalIP" || type === "ExternalIP")) addAddress(report, field, addresses);
  }
  return {
    kind: "endpoint",
    endpoint: {
      key: kubernetesNode.key(metadata),
      kind: "host",
      name: metadata.name,
      namespace: NODE_NAMESPACE,
      labels: metadata.labels,
      addresses: [...addresses.keys()],
      ports: [],
      hostName: metadata.name,
      match: null,
      source,
    },
    addressSources: addresses,
    hostSource: null,
  };
}

function readPod({ report, document, metadata, source }: DocumentInput): ReadObject | null {
  const spec = part(report, document, "spec");
  const status = part(report, document, "status");
  const phase = status && textOf(status, "phase");
  const isOver = phase === "Succeeded" || phase === "Failed";
  const onHostNetwork = spec !== null && textOf(spec, "hostNetwork") === "true";
  const node = spec && textOf(spec, "nodeName");
  const addresses = new Map<string, SourceRange>();
  // A pod that is over keeps its address in its status while another pod may already have it.
  if (!isOver && !onHostNetwork) {
    for (const entry of list(report, status, "podIPs")) {
      const field = entry.get("ip");
      if (field) addAddress(report, field, addresses);
    }
    const single = addresses.size === 0 ? status?.getNullable("podIP") : null;
    if (single && single.node.kind === "scalar" && single.node.value) addAddress(report, single, addresses);
  }
  // Without addresses of its own a workload on a host would share those of the host.
  const isSomewhere = node !== null && NAME_RULES.subdomain.pattern.test(node) && (onHostNetwork || addresses.size > 0);
  return {
    kind: "endpoint",
    endpoint: {
      key: kubernetesPod.key(metadata),
      kind: "workload",
      name: metadata.name,
      namespace: metadata.namespace ?? "default",
      labels: metadata.labels,
      addresses: [...addresses.keys()],
      ports: spec ? containerPorts(report, spec) : [],
      hostName: isSomewhere && !isOver ? node : null,
      match: null,
      source,
    },
    addressSources: addresses,
    hostSource: null,
  };
}

/** A map: what stands in a Pod can be any word, `constructor` too. */
const PROTOCOL_NUMBERS: ReadonlyMap<string, number> = new Map([
  ["TCP", PROTOCOL.tcp],
  ["UDP", PROTOCOL.udp],
  ["SCTP", PROTOCOL.sctp],
]);

/** Of two containers that give one name to different ports Kubernetes takes the first. */
function containerPorts(report: Reporter, spec: ObjectReader): readonly NamedPort[] {
  const ports = new Map<string, NamedPort>();
  for (const containers of ["containers", "initContainers"]) {
    for (const container of list(report, spec, containers)) {
      for (const entry of list(report, container, "ports")) {
        const name = textOf(entry, "name");
        const port = Number(textOf(entry, "containerPort"));
        const protocol = PROTOCOL_NUMBERS.get(textOf(entry, "protocol") ?? "TCP");
        if (name === null || protocol === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) continue;
        const key = `${name}/${protocol}`;
        if (!ports.has(key)) ports.set(key, { name, protocol, port });
      }
    }
  }
  return [...ports.values()];
}

/** A mapping whose fields are not checked, or `null`. */
function part(report: Reporter, parent: ObjectReader, name: string): ObjectReader | null {
  const field = parent.getNullable(name);
  return field?.node.kind === "map" ? ObjectReader.unchecked(report, field.node, field) : null;
}

function list(report: Reporter, parent: ObjectReader | null, name: string): readonly ObjectReader[] {
  const field = parent?.getNullable(name);
  if (field?.node.kind !== "list") return [];
  return (readList(report, field) ?? []).flatMap((entry) => {
    return entry.node.kind === "map" ? [ObjectReader.unchecked(report, entry.node, entry)] : [];
  });
}

function textOf(parent: ObjectReader, name: string): string | null {
  const node = parent.getNullable(name)?.node;
  return node?.kind === "scalar" && node.value !== null ? String(node.value) : null;
}

function addAddress(report: Reporter, field: Located, addresses: Map<string, SourceRange>): void {
  const address = readAddress(report, field);
  if (address !== null && !addresses.has(address)) addresses.set(address, report.range(field.node));
}
