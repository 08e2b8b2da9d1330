/** `policy.networking.k8s.io/v1alpha2` ClusterNetworkPolicy. */
import type { Action, PortMatch } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { type ClusterPolicyDialect, readClusterRules, readSubject } from "./cluster-policy.ts";
import type { DocumentInput, DocumentReader, ReadObject } from "./document.ts";
import { readName } from "./names.ts";
import { type Located, ObjectReader, readBoundedInteger, readChoice } from "./object-reader.ts";
import { MAX_PORT, namedPortOfAnyProtocol, protocolNumber, readPortNumber, readStartAndEnd } from "./ports.ts";
import {
  CLUSTER_PROTOCOL,
  CLUSTER_PROTOCOLS,
  CLUSTER_RULES,
  CLUSTER_SCHEMA,
  CLUSTER_SPEC,
  CLUSTER_TIERS,
  DESTINATION_PORT,
  DESTINATION_RANGE,
  TRANSPORT,
  TRANSPORT_FIELDS,
} from "./schema/cluster-network-policy.ts";
import { DOMAIN_NAMES, NETWORKS, PRIORITY } from "./schema/cluster-policy.ts";

const DIALECT: ClusterPolicyDialect = {
  ...CLUSTER_RULES,
  actions: { Accept: "allow", Deny: "deny", Pass: "pass" } satisfies Record<string, Action>,
  actionSynonyms: { Allow: "Accept", allow: "Accept" },
  networks: NETWORKS,
  domainNames: DOMAIN_NAMES,
  portsName: "protocols",
  ports: CLUSTER_PROTOCOLS,
  readPort,
};

export const kubernetesClusterNetworkPolicy: DocumentReader = {
  apiVersion: "policy.networking.k8s.io/v1alpha2",
  kind: "ClusterNetworkPolicy",
  tier: "admin",
  metadata: { name: "subdomain", namespaced: false },
  fields: ["spec", "status"],
  schema: CLUSTER_SCHEMA,
  key: ({ name }) => `ClusterNetworkPolicy/${name}`,
  read,
};

function read({ report, document, metadata, source }: DocumentInput): ReadObject | null {
  const specField = document.require("spec");
  const spec = specField && ObjectReader.open(report, specField, CLUSTER_SPEC.known);
  if (!spec) return null;
  const tierField = spec.require("tier");
  const tier = tierField && readChoice(report, tierField, CLUSTER_TIERS);
  const priorityField = spec.require("priority");
  const priority = priorityField && readBoundedInteger(report, priorityField, PRIORITY);
  const subjectField = spec.require("subject", "It takes namespaces or pods.");
  const subject = subjectField && readSubject(report, subjectField);
  const ingress = readClusterRules(report, spec, "ingress", DIALECT);
  const egress = readClusterRules(report, spec, "egress", DIALECT);
  if (tier === null || priority === null || !subjectField || !subject) return null;
  return {
    kind: "policy",
    subjectSource: report.range(subjectField.node),
    policy: {
      key: kubernetesClusterNetworkPolicy.key(metadata),
      apiVersion: kubernetesClusterNetworkPolicy.apiVersion,
      kind: kubernetesClusterNetworkPolicy.kind,
      name: metadata.name,
      namespace: null,
      tier: tier === "Admin" ? "admin" : "baseline",
      priority,
      mode: "enforce",
      description: null,
      expiresAtUnixMs: null,
      subject,
      isolates: { ingress: false, egress: false },
      rules: [...ingress, ...egress],
      source,
    },
  };
}

function readPort(report: Reporter, value: Located): readonly PortMatch[] {
  const entry = ObjectReader.open(report, value, CLUSTER_PROTOCOL.known);
  const chosen = entry?.exactlyOne(CLUSTER_PROTOCOL.exactlyOneOf);
  if (!entry || !chosen) return [];
  const source = report.range(entry.node);
  if (chosen.name === "destinationNamedPort") {
    const name = readName(report, chosen.field, "port");
    return name === null ? [] : namedPortOfAnyProtocol(name, source);
  }
  const protocol = protocolNumber(TRANSPORT_FIELDS[chosen.name]);
  const transport = ObjectReader.open(report, chosen.field, TRANSPORT.known);
  if (!transport) return [];
  const portField = transport.get("destinationPort");
  if (!portField)
    return transport.has("destinationPort") ? [] : [{ kind: "range", protocol, low: 0, high: MAX_PORT, source }];
  const range = readDestinationPort(report, portField);
  return range ? [{ kind: "range", protocol, ...range, source }] : [];
}

function readDestinationPort(report: Reporter, value: Located): { readonly low: number; readonly high: number } | null {
  const port = ObjectReader.open(report, value, DESTINATION_PORT.known);
  const chosen = port?.exactlyOne(DESTINATION_PORT.exactlyOneOf);
  if (!chosen) return null;
  if (chosen.name === "number") {
    const number = readPortNumber(report, chosen.field);
    return number === null ? null : { low: number, high: number };
  }
  const range = ObjectReader.open(report, chosen.field, DESTINATION_RANGE.known);
  return range && readStartAndEnd(report, range);
}
