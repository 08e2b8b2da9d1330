/** `policy.networking.k8s.io/v1alpha1` AdminNetworkPolicy and BaselineAdminNetworkPolicy. */
import type { Action, Policy, PortMatch } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { type ClusterPolicyDialect, readClusterRules, readSubject } from "./cluster-policy.ts";
import type { DocumentInput, DocumentReader, ReadObject } from "./document.ts";
import { readName } from "./names.ts";
import { type Located, ObjectReader, quoteLike, readBoundedInteger, readChoice } from "./object-reader.ts";
import {
  namedPortOfAnyProtocol,
  protocolNumber,
  readPortNumber,
  readStartAndEnd,
  TRANSPORT_PROTOCOLS,
} from "./ports.ts";
import {
  ADMIN_PORT,
  ADMIN_PORTS,
  ADMIN_RULES,
  ADMIN_SCHEMA,
  ADMIN_SPEC,
  BASELINE_NAME,
  BASELINE_RULES,
  BASELINE_SCHEMA,
  BASELINE_SPEC,
  PORT_NUMBER_ENTRY,
  PORT_RANGE_ENTRY,
} from "./schema/admin-network-policy.ts";
import { DOMAIN_NAMES, NETWORKS, PRIORITY } from "./schema/cluster-policy.ts";

const API_VERSION = "policy.networking.k8s.io/v1alpha1";

const COMMON = {
  actionSynonyms: { Accept: "Allow" },
  networks: NETWORKS,
  domainNames: DOMAIN_NAMES,
  portsName: "ports",
  ports: ADMIN_PORTS,
  readPort,
} as const;

const ADMIN: ClusterPolicyDialect = {
  ...ADMIN_RULES,
  ...COMMON,
  actions: { Allow: "allow", Deny: "deny", Pass: "pass" } satisfies Record<string, Action>,
};

const BASELINE: ClusterPolicyDialect = {
  ...BASELINE_RULES,
  ...COMMON,
  actions: { Allow: "allow", Deny: "deny" } satisfies Record<string, Action>,
};

export const kubernetesAdminNetworkPolicy: DocumentReader = {
  apiVersion: API_VERSION,
  kind: "AdminNetworkPolicy",
  tier: "admin",
  metadata: { name: "subdomain", namespaced: false },
  fields: ["spec", "status"],
  schema: ADMIN_SCHEMA,
  key: ({ name }) => `AdminNetworkPolicy/${name}`,
  read: readAdmin,
};

export const kubernetesBaselineAdminNetworkPolicy: DocumentReader = {
  apiVersion: API_VERSION,
  kind: "BaselineAdminNetworkPolicy",
  tier: "baseline",
  metadata: { name: "subdomain", namespaced: false },
  fields: ["spec", "status"],
  schema: BASELINE_SCHEMA,
  key: ({ name }) => `BaselineAdminNetworkPolicy/${name}`,
  read: readBaseline,
};

function readAdmin(input: DocumentInput): ReadObject | null {
  const spec = openSpec(input, ADMIN_SPEC);
  if (!spec) return null;
  const priorityField = spec.require("priority");
  const priority = priorityField && readBoundedInteger(input.report, priorityField, PRIORITY);
  return readPolicy(input, spec, ADMIN, { reader: kubernetesAdminNetworkPolicy, tier: "admin", priority });
}

/** The one baseline comes before every ClusterNetworkPolicy of the tier, where both are there. */
function readBaseline(input: DocumentInput): ReadObject | null {
  reportOtherName(input);
  const spec = openSpec(input, BASELINE_SPEC);
  if (!spec) return null;
  return readPolicy(input, spec, BASELINE, {
    reader: kubernetesBaselineAdminNetworkPolicy,
    tier: "baseline",
    priority: 0,
  });
}

function openSpec(
  { report, document }: DocumentInput,
  shape: typeof ADMIN_SPEC | typeof BASELINE_SPEC,
): ObjectReader | null {
  const field = document.require("spec");
  return field && ObjectReader.open(report, field, shape.known);
}

function readPolicy(
  { report, metadata, source }: DocumentInput,
  spec: ObjectReader,
  dialect: ClusterPolicyDialect,
  kind: { readonly reader: DocumentReader; readonly tier: Policy["tier"]; readonly priority: number | null },
): ReadObject | null {
  const subjectField = spec.require("subject", "It takes namespaces or pods.");
  const subject = subjectField && readSubject(report, subjectField);
  const ingress = readClusterRules(report, spec, "ingress", dialect);
  const egress = readClusterRules(report, spec, "egress", dialect);
  if (!subjectField || !subject || kind.priority === null) return null;
  return {
    kind: "policy",
    subjectSource: report.range(subjectField.node),
    policy: {
      key: kind.reader.key(metadata),
      apiVersion: kind.reader.apiVersion,
      kind: kind.reader.kind,
      name: metadata.name,
      namespace: null,
      tier: kind.tier,
      priority: kind.priority,
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

function reportOtherName({ report, document, metadata }: DocumentInput): void {
  if (metadata.name === BASELINE_NAME) return;
  const node = document.getNullable("metadata")?.node;
  const name = node?.kind === "map" ? node.entries.find(({ key }) => key === "name")?.value : undefined;
  // Without a usable name there is another report already.
  if (name?.kind !== "scalar" || name.value !== metadata.name) return;
  const message = `There is one BaselineAdminNetworkPolicy, and its name is "${BASELINE_NAME}", not "${metadata.name.slice(0, 60)}".`;
  report.reportFixable("WL229", name, message, `Change to ${BASELINE_NAME}`, quoteLike(name, BASELINE_NAME));
}

function readPort(report: Reporter, value: Located): readonly PortMatch[] {
  const entry = ObjectReader.open(report, value, ADMIN_PORT.known);
  const chosen = entry?.exactlyOne(ADMIN_PORT.exactlyOneOf);
  if (!entry || !chosen) return [];
  const source = report.range(entry.node);
  if (chosen.name === "namedPort") {
    const name = readName(report, chosen.field, "port");
    return name === null ? [] : namedPortOfAnyProtocol(name, source);
  }
  const isNumber = chosen.name === "portNumber";
  const inner = ObjectReader.open(report, chosen.field, (isNumber ? PORT_NUMBER_ENTRY : PORT_RANGE_ENTRY).known);
  if (!inner) return [];
  const protocolField = inner.get("protocol");
  const word = protocolField ? readChoice(report, protocolField, TRANSPORT_PROTOCOLS) : "TCP";
  const portField = isNumber ? inner.require("port") : null;
  const port = portField && readPortNumber(report, portField);
  const range = isNumber ? (port === null ? null : { low: port, high: port }) : readStartAndEnd(report, inner);
  if (word === null || range === null) return [];
  return [{ kind: "range", protocol: protocolNumber(word), ...range, source }];
}
