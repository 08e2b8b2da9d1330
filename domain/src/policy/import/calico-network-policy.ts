/**
 * Calico NetworkPolicy and GlobalNetworkPolicy of the default tier.
 *
 * Calico asks the policies of an endpoint in their order, the Kubernetes ones at 1000, and denies at the end what none
 * decided. So a policy before 1000 becomes an admin policy with its rules, and an application policy without any that
 * closes the directions; one from 1000 on may only allow, and is an application policy.
 */
import type { DocumentInput, DocumentReader, ReadObject } from "../formats/document.ts";
import { type Located, ObjectReader, readChoice, readList, readText } from "../formats/object-reader.ts";
import type { Direction, Policy, PolicyRule } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { type CalicoContext, readCalicoRules } from "./calico-rules.ts";
import { readCalicoSelectors } from "./calico-selectors.ts";
import { given, makePolicy, type PolicyFrame, refuseFields, refuseValue } from "./refuse.ts";
import { CALICO_DOCUMENT, CALICO_SPEC } from "./shapes.ts";

const API_VERSIONS = ["projectcalico.org/v3", "crd.projectcalico.org/v1"] as const;

/** Order of the Kubernetes policies among those of the default tier. */
const KUBERNETES_ORDER = 1000;
const LOWEST_ORDER = -999;
/** Admin policies of Kubernetes have priorities up to 1000 and come before the default tier. */
export const CALICO_PRIORITY_OFFSET = 2000;

export const CALICO_READERS: readonly DocumentReader[] = API_VERSIONS.flatMap((apiVersion) => [
  readerOf(apiVersion, "NetworkPolicy", "CalicoNetworkPolicy"),
  readerOf(apiVersion, "GlobalNetworkPolicy", "GlobalNetworkPolicy"),
]);

function readerOf(apiVersion: string, kind: "NetworkPolicy" | "GlobalNetworkPolicy", keyKind: string): DocumentReader {
  const namespaced = kind === "NetworkPolicy";
  const reader: DocumentReader = {
    apiVersion,
    kind,
    tier: "application",
    metadata: { name: "subdomain", namespaced },
    fields: ["spec", "status"],
    offered: CALICO_DOCUMENT,
    key: ({ namespace, name }) => (namespaced ? `${keyKind}/${namespace}/${name}` : `${keyKind}/${name}`),
    read: (input) => read(input, reader),
  };
  return reader;
}

const REFUSED = {
  serviceAccountSelector: "accounts of Kubernetes are not known here",
  doNotTrack: "connections are always followed here",
  preDNAT: "addresses are looked at as the socket sees them",
  applyOnForward: "forwarded packets are not decided here",
};

function read(input: DocumentInput, reader: DocumentReader): ReadObject | null {
  const { report, document, metadata, source } = input;
  const specField = document.require("spec");
  const { fields, ignored } = CALICO_SPEC.known;
  const spec =
    specField && ObjectReader.open(report, specField, { fields: [...fields, ...Object.keys(REFUSED)], ignored });
  if (!spec || !specField) return null;
  refuseFields(spec, withoutAll(spec));
  refuseTier(report, spec);
  const order = readOrder(report, spec);
  const mayDeny = order !== null && order < KUBERNETES_ORDER;
  const { namespace } = metadata;
  const rulesOf = (direction: Direction): readonly PolicyRule[] => {
    const context: CalicoContext = { direction, namespace, mayDeny };
    return readCalicoRules(report, given(spec, direction), context);
  };
  const rules = { ingress: rulesOf("ingress"), egress: rulesOf("egress") };
  const isolates = readTypes(report, spec);
  const subject = readCalicoSelectors(report, spec, namespace);
  if (!subject) return null;
  const effective = (["ingress", "egress"] as const).flatMap((direction) =>
    isolates[direction] ? rules[direction] : [],
  );
  const { apiVersion, kind } = reader;
  const frame: PolicyFrame = {
    key: reader.key(metadata),
    apiVersion,
    kind,
    metadata,
    description: null,
    subject,
    source,
  };
  const subjectSource = report.range(given(spec, "selector")?.node ?? specField.node);
  const policies = partsOf(frame, mayDeny ? order : null, isolates, effective);
  return { kind: "policies", parts: policies.map((policy) => ({ policy, subjectSource })) };
}

/** `all()` picks every account, which is no restriction. */
function withoutAll(spec: ObjectReader): Partial<typeof REFUSED> {
  const accounts = spec.getNullable("serviceAccountSelector")?.node;
  const isAll = accounts?.kind === "scalar" && accounts.value === "all()";
  if (!isAll) return REFUSED;
  const { serviceAccountSelector: _, ...rest } = REFUSED;
  return rest;
}

function refuseTier(report: Reporter, spec: ObjectReader): void {
  const field = given(spec, "tier");
  const tier = field && readText(report, field);
  if (!field || tier === null || tier === "default") return;
  refuseValue(
    report,
    { ...field, anchor: field.node },
    "only the tier default is read; where the others stand is said by documents of their own",
  );
}

function readOrder(report: Reporter, spec: ObjectReader): number | null {
  const field = given(spec, "order");
  if (!field) return null;
  const { node } = field;
  const order = node.kind === "scalar" && typeof node.value === "number" ? node.value : Number.NaN;
  if (order >= KUBERNETES_ORDER) return order;
  if (Number.isInteger(order) && order >= LOWEST_ORDER) return order;
  report.report(
    "WL257",
    node,
    `${field.path} is a whole number from ${LOWEST_ORDER}, or anything from ${KUBERNETES_ORDER} on.`,
  );
  return null;
}

/** Left out: the directions that have rules; ingress when neither has. */
function readTypes(report: Reporter, spec: ObjectReader): Policy["isolates"] {
  const field = given(spec, "types");
  const has = (direction: Direction): boolean => given(spec, direction) !== null;
  if (!field) return { ingress: has("ingress") || !has("egress"), egress: has("egress") };
  const types = (readList(report, field) ?? []).map((entry) =>
    readChoice(report, entry, ["Ingress", "Egress"] as const),
  );
  const isolates = { ingress: types.includes("Ingress"), egress: types.includes("Egress") };
  for (const direction of ["ingress", "egress"] as const) {
    const list: Located | null = given(spec, direction);
    if (isolates[direction] || !list) continue;
    const name = direction === "ingress" ? "Ingress" : "Egress";
    report.report("WL317", list.anchor, `types does not list ${name}, so these rules have no effect.`);
  }
  return isolates;
}

function partsOf(
  frame: PolicyFrame,
  order: number | null,
  isolates: Policy["isolates"],
  rules: readonly PolicyRule[],
): readonly Policy[] {
  const application = { suffix: "", tier: "application", priority: 0, isolates } as const;
  if (order === null) return [makePolicy(frame, { ...application, rules })];
  const admin = {
    suffix: "/rules",
    tier: "admin",
    priority: CALICO_PRIORITY_OFFSET + order,
    isolates: { ingress: false, egress: false },
    rules,
  } as const;
  return [makePolicy(frame, { ...application, rules: [] }), ...(rules.length > 0 ? [makePolicy(frame, admin)] : [])];
}
