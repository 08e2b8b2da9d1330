/** `wardline.io/v1` Policy. */
import type { Direction, EndpointSelector, Policy, PolicyRule } from "../model.ts";
import { isNull } from "../yaml/node.ts";
import type { Reporter } from "../yaml/reporter.ts";
import type { DocumentInput, DocumentReader, ReadObject, ServiceUse } from "./document.ts";
import { readMoment } from "./moment.ts";
import { ObjectReader, readBoundedInteger, readChoice, readLimitedText, readList } from "./object-reader.ts";
import { PRIORITY } from "./schema/cluster-policy.ts";
import { DESCRIPTION_TEXT, WARDLINE_API_VERSION } from "./schema/wardline-common.ts";
import {
  DEFAULT_PRIORITY,
  DIRECTIONS,
  MODES,
  POLICY_SCHEMA,
  POLICY_SPEC,
  POLICY_SUBJECT,
  TIERS,
} from "./schema/wardline-policy.ts";
import { readHosts, readSelectorPair } from "./wardline-peers.ts";
import { readPolicyRules } from "./wardline-rules.ts";

export const wardlinePolicy: DocumentReader = {
  apiVersion: WARDLINE_API_VERSION,
  kind: "Policy",
  tier: "application",
  metadata: { name: "subdomain", namespaced: true },
  fields: ["spec", "status"],
  schema: POLICY_SCHEMA,
  key: ({ namespace, name }) => `Policy/${namespace}/${name}`,
  read,
};

function read({ report, document, metadata, source }: DocumentInput): ReadObject | null {
  const specField = document.require("spec");
  const spec = specField && ObjectReader.open(report, specField, POLICY_SPEC.known);
  if (!spec) return null;
  const namespace = metadata.namespace ?? "default";
  const tier = readTier(report, spec);
  const additive = tier === "application";
  const description = readDescription(report, spec);
  const expiresField = spec.get("expires");
  const expiresAtUnixMs = expiresField && readMoment(report, expiresField);
  const modeField = spec.get("mode");
  const mode = modeField ? readChoice(report, modeField, MODES) : "enforce";
  const priority = readPriority(report, spec, tier);
  const subjectField = spec.require("subject", "Write {} for everybody in the namespace.");
  const subject =
    subjectField && readSubject(report, ObjectReader.open(report, subjectField, POLICY_SUBJECT.known), namespace);
  const ingress = readPolicyRules(report, spec, { direction: "ingress", tier, namespace });
  const egress = readPolicyRules(report, spec, { direction: "egress", tier, namespace });
  const isolates = readIsolation(report, spec, tier);
  const takesPart = (direction: Direction): boolean => !additive || isolates[direction];
  for (const direction of DIRECTIONS) if (!takesPart(direction)) reportUnused(report, spec, direction);
  if (!subjectField || !subject || tier === null || mode === null || priority === null) return null;
  const rules: PolicyRule[] = [];
  const serviceUses: ServiceUse[] = [];
  for (const part of [ingress, egress]) {
    if (!takesPart(part.direction)) continue;
    rules.push(...part.rules);
    serviceUses.push(...part.serviceUses);
  }
  return {
    kind: "policy",
    subjectSource: report.range(subjectField.node),
    serviceUses,
    policy: {
      key: wardlinePolicy.key(metadata),
      apiVersion: wardlinePolicy.apiVersion,
      kind: wardlinePolicy.kind,
      name: metadata.name,
      namespace,
      tier,
      priority,
      mode,
      description,
      expiresAtUnixMs,
      subject,
      isolates,
      rules,
      source,
    },
  };
}

export function readDescription(report: Reporter, spec: ObjectReader): string | null {
  const field = spec.get("description");
  return field && readLimitedText(report, field, DESCRIPTION_TEXT.maxLength!);
}

function readTier(report: Reporter, spec: ObjectReader): Policy["tier"] | null {
  const field = spec.get("tier");
  if (!field) return "application";
  const word = readChoice(report, field, TIERS);
  return word === "app" ? "application" : word;
}

function readPriority(report: Reporter, spec: ObjectReader, tier: Policy["tier"] | null): number | null {
  const field = spec.get("priority");
  const given = field && readBoundedInteger(report, field, PRIORITY);
  if (tier !== "application") return field ? given : DEFAULT_PRIORITY;
  if (field) {
    const message = `${field.path}: the app tier has no priority, because its allows add up in any order. Remove it, or set tier to admin or baseline.`;
    report.report("WL230", field.anchor, message);
  }
  return 0;
}

function readSubject(report: Reporter, subject: ObjectReader | null, namespace: string): EndpointSelector | null {
  if (!subject) return null;
  const hosts = subject.get("hosts");
  const beside = subject.getNullable("selector") ?? subject.getNullable("namespaceSelector");
  if (subject.has("hosts") && beside) {
    report.report("WL212", beside.anchor, `${beside.path} cannot stand beside hosts; make it two policies.`);
    return null;
  }
  if (subject.has("hosts")) return hosts && readHosts(report, hosts);
  return readSelectorPair(report, subject, namespace);
}

/** Left out: the directions whose list of rules is there, even if it is empty. */
function readIsolation(report: Reporter, spec: ObjectReader, tier: Policy["tier"] | null): Policy["isolates"] {
  const field = spec.get("isolate");
  const words = field ? (readList(report, field) ?? []).map((entry) => readChoice(report, entry, DIRECTIONS)) : null;
  if (tier !== "application") {
    if (field && tier !== null) {
      const message = `${field.path}: in the ${tier} tier nobody becomes isolated; write a last rule that denies instead.`;
      report.report("WL230", field.anchor, message);
    }
    return { ingress: false, egress: false };
  }
  return {
    ingress: words ? words.includes("ingress") : spec.has("ingress"),
    egress: words ? words.includes("egress") : spec.has("egress"),
  };
}

function reportUnused(report: Reporter, spec: ObjectReader, direction: Direction): void {
  const field = spec.getNullable(direction);
  if (!field || isNull(field.node) || (field.node.kind === "list" && field.node.items.length === 0)) return;
  const message = `isolate does not list ${direction}, so these rules have no effect.`;
  report.report("WL317", field.anchor, message);
}
