/**
 * `cilium.io/v2` CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy, as far as addresses and ports go.
 *
 * A rule becomes up to three policies: what it allows where it closes a direction is an application policy; its denials,
 * which come before every allowance, are an admin policy of priority 0; what it allows without closing a direction is an
 * admin policy after all others, because it only adds to what application policies allow.
 */
import type { DocumentInput, DocumentReader, ReadObject } from "../formats/document.ts";
import { type Located, ObjectReader, readBoundedList, readLimitedText } from "../formats/object-reader.ts";
import type { Direction, EndpointSelector, NamespaceMatch, Policy, PolicyRule } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { readCiliumRules } from "./cilium-rules.ts";
import { readCiliumSelector } from "./cilium-selectors.ts";
import { given, makePolicy, type PolicyFrame } from "./refuse.ts";
import { CILIUM_CLUSTERWIDE_SPEC, CILIUM_DEFAULT_DENY, CILIUM_SPEC, ciliumDocument } from "./shapes.ts";

const API_VERSION = "cilium.io/v2";
const MAX_DESCRIPTION_LENGTH = 4096;

/** Before every other admin policy, and after every other one. */
export const CILIUM_PRIORITY = { deny: 0, defaultAllow: 3000 } as const;

const DIRECTIONS: readonly Direction[] = ["ingress", "egress"];

export const ciliumNetworkPolicy = readerOf("CiliumNetworkPolicy", true);
export const ciliumClusterwideNetworkPolicy = readerOf("CiliumClusterwideNetworkPolicy", false);

function readerOf(kind: string, namespaced: boolean): DocumentReader {
  const reader: DocumentReader = {
    apiVersion: API_VERSION,
    kind,
    tier: "application",
    metadata: { name: "subdomain", namespaced },
    // The description belongs into the spec; in some examples of Cilium it stands beside it.
    fields: ["spec", "specs", "status", "description"],
    offered: ciliumDocument(namespaced ? CILIUM_SPEC : CILIUM_CLUSTERWIDE_SPEC),
    key: ({ namespace, name }) => (namespaced ? `${kind}/${namespace}/${name}` : `${kind}/${name}`),
    read: (input) => read(input, reader),
  };
  return reader;
}

function read(input: DocumentInput, reader: DocumentReader): ReadObject | null {
  const { report, document } = input;
  const one = document.get("spec");
  const list = document.get("specs");
  if (!one && !list) {
    if (!document.has("spec") && !document.has("specs")) document.missing("spec");
    return null;
  }
  const entries = list ? (readBoundedList(report, list, { minItems: 1 }) ?? []) : [];
  const specs = [
    ...(one ? [{ field: one, name: "" }] : []),
    ...entries.map((field, index) => ({ field, name: `/${index}` })),
  ];
  const parts = specs.flatMap(({ field, name }) => readSpec(input, reader, field, name));
  return parts.length === 0 ? null : { kind: "policies", parts };
}

type Part = Extract<ReadObject, { kind: "policies" }>["parts"][number];

function readSpec(input: DocumentInput, reader: DocumentReader, value: Located, name: string): readonly Part[] {
  const { report, metadata, source } = input;
  const isNamespaced = reader.metadata.namespaced;
  const spec = ObjectReader.open(report, value, (isNamespaced ? CILIUM_SPEC : CILIUM_CLUSTERWIDE_SPEC).known);
  if (!spec) return [];
  const namespaces: NamespaceMatch = isNamespaced
    ? { kind: "name", name: metadata.namespace ?? "default" }
    : { kind: "any" };
  const chosen = isNamespaced
    ? { name: "endpointSelector", field: spec.require("endpointSelector", "Write {} for everything.") }
    : spec.exactlyOne(["endpointSelector", "nodeSelector"]);
  const subject = chosen?.field ? readSubject(report, chosen.field, chosen.name, namespaces) : null;
  const descriptionField = given(spec, "description");
  const description = descriptionField && readLimitedText(report, descriptionField, MAX_DESCRIPTION_LENGTH);
  const rules = readRuleLists(report, spec, namespaces);
  const closes = readDefaultDeny(report, spec, rules);
  if (!subject || !chosen?.field) return [];
  const subjectSource = report.range(chosen.field.node);
  const { apiVersion, kind } = reader;
  const frame: PolicyFrame = {
    key: `${reader.key(metadata)}${name}`,
    apiVersion,
    kind,
    metadata,
    description,
    subject,
    source,
  };
  return partsOf(frame, rules, closes).map((policy) => ({ policy, subjectSource }));
}

function readSubject(
  report: Reporter,
  field: Located,
  name: string,
  namespaces: NamespaceMatch,
): EndpointSelector | null {
  const selector = readCiliumSelector(report, field, { namespaces, own: true });
  return selector && name === "nodeSelector" ? { ...selector, kind: "host" } : selector;
}

interface RuleLists {
  readonly allow: readonly PolicyRule[];
  readonly deny: readonly PolicyRule[];
}

function readRuleLists(
  report: Reporter,
  spec: ObjectReader,
  namespaces: NamespaceMatch,
): Readonly<Record<Direction, RuleLists>> {
  const lists = (direction: Direction): RuleLists => ({
    allow: readCiliumRules(report, spec.get(direction), { direction, action: "allow", namespaces }, 0),
    deny: readCiliumRules(report, spec.get(`${direction}Deny`), { direction, action: "deny", namespaces }, 0),
  });
  return { ingress: lists("ingress"), egress: lists("egress") };
}

/** Unless it says otherwise, a policy closes the directions in which it has rules. */
function readDefaultDeny(
  report: Reporter,
  spec: ObjectReader,
  rules: Readonly<Record<Direction, RuleLists>>,
): Policy["isolates"] {
  const field = given(spec, "enableDefaultDeny");
  const choice = field && ObjectReader.open(report, field, CILIUM_DEFAULT_DENY.known);
  const closes = (direction: Direction): boolean => {
    const said = choice?.getNullable(direction)?.node;
    if (said?.kind === "scalar" && typeof said.value === "boolean") return said.value;
    if (said && !(said.kind === "scalar" && said.value === null)) {
      report.report("WL203", said, `${choice?.pathOf(direction)} takes true or false.`);
    }
    return (
      given(spec, direction) !== null || given(spec, `${direction}Deny`) !== null || rules[direction].allow.length > 0
    );
  };
  return { ingress: closes("ingress"), egress: closes("egress") };
}

function partsOf(
  frame: PolicyFrame,
  rules: Readonly<Record<Direction, RuleLists>>,
  closes: Policy["isolates"],
): readonly Policy[] {
  const none = { ingress: false, egress: false };
  const allowed = (isClosed: boolean) =>
    DIRECTIONS.filter((direction) => closes[direction] === isClosed).flatMap((direction) => rules[direction].allow);
  const main = makePolicy(frame, {
    suffix: "",
    tier: "application",
    priority: 0,
    isolates: closes,
    rules: allowed(true),
  });
  const denied = DIRECTIONS.flatMap((direction) => rules[direction].deny);
  const added = allowed(false);
  const admin = { tier: "admin", isolates: none } as const;
  return [
    main,
    ...(denied.length > 0
      ? [makePolicy(frame, { ...admin, suffix: "/deny", priority: CILIUM_PRIORITY.deny, rules: denied })]
      : []),
    ...(added.length > 0
      ? [makePolicy(frame, { ...admin, suffix: "/allow", priority: CILIUM_PRIORITY.defaultAllow, rules: added })]
      : []),
  ];
}
