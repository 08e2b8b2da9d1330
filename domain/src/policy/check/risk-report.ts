/** What a risk is called, and the policy that would take it away. */
import { ruleLabel } from "../decision.ts";
import type { Diagnostic, DiagnosticFix } from "../diagnostic.ts";
import { describePort } from "../evaluate-match.ts";
import { type EndpointSelector, type Policy, type PolicyWorld, PROTOCOL, type SourceRange } from "../model.ts";
import type { Cut } from "./risk.ts";
import { makeDiagnostic } from "./sink.ts";
import type { SourceTexts } from "./source-texts.ts";
import { appendDocumentFix } from "./text-fix.ts";
import { listNames, namesOf } from "./words.ts";

const NAMES = {
  console: "the console's own connection",
  dns: "name resolution (DNS)",
  time: "time synchronisation (NTP)",
  etcd: "the cluster's store (etcd)",
  kubernetes: "the Kubernetes API",
  mesh: "the mesh",
  ssh: "SSH",
} as const satisfies Record<Cut["purpose"], string>;

export function riskDiagnostic(cut: Cut, world: PolicyWorld, texts: SourceTexts): Diagnostic {
  const { code, policy, rule, endpoints, purpose } = cut;
  const services = cut.services.map(({ protocol, port }) => describePort(protocol, port)).join(" and ");
  const way = cut.direction === "ingress" ? "from" : "to";
  const others =
    cut.remotes.length === 0 ? (cut.direction === "ingress" ? "anybody" : "any server") : listNames(cut.remotes);
  const what = `${NAMES[purpose]} of ${namesOf(endpoints)}: ${services} ${way} ${others}`;
  const message =
    rule === null
      ? `${policy.key} cuts ${what}. It isolates ${cut.direction}, and no rule of any policy allows this.`
      : `${ruleLabel(rule)} of ${policy.key} cuts ${what}.`;
  return makeDiagnostic(code, rule?.source ?? headOf(policy.source, texts), message, allowFix(cut, world, texts));
}

/** The first line of a document: the whole of it would hide what is shown around it. */
function headOf(source: SourceRange, texts: SourceTexts): SourceRange {
  const text = texts.text(source.file);
  const span = texts.span(source);
  if (text === null || span === null) return { ...source, endLine: source.line, endColumn: source.column };
  const newline = text.indexOf("\n", span.start);
  const end = newline < 0 ? span.end : Math.min(span.end, newline);
  return texts.range(source.file, span.start, end);
}

/** Adds a policy for the same subjects that allows it: beside the one that isolates, or just before the one that denies. */
function allowFix(cut: Cut, world: PolicyWorld, texts: SourceTexts): DiagnosticFix | null {
  const { policy, rule } = cut;
  const tier = rule === null ? "app" : policy.tier;
  if (tier === "safety" || tier === "application") return null;
  if (tier !== "app" && policy.priority === 0) return null;
  const subject = subjectText(policy.subject);
  if (subject === null) return null;
  const namespace = policy.subject.namespaces.kind === "name" ? policy.subject.namespaces.name : "default";
  const name = freeName(`allow-${cut.purpose}`, namespace, world);
  const placeInTier = tier === "app" ? [] : [`  tier: ${tier}`, `  priority: ${policy.priority - 1}`];
  const lines = [
    "apiVersion: wardline.io/v1",
    "kind: Policy",
    `metadata: {name: ${name}, namespace: ${JSON.stringify(namespace)}}`,
    "spec:",
    ...placeInTier,
    `  subject: ${subject}`,
    `  ${cut.direction}:`,
    ...ruleLines(cut, tier !== "app"),
  ];
  return appendDocumentFix(texts, `Add a policy that allows it`, policy.source.file, `${lines.join("\n")}\n`);
}

function ruleLines({ direction, remotes, services }: Cut, hasAction: boolean): readonly string[] {
  const peers = remotes.map((address) => `{ipBlock: {cidr: "${address}/${address.includes(":") ? 128 : 32}"}}`);
  const ports = services.map(({ protocol, port }) => `{protocol: ${protocolWord(protocol)}, port: ${port}}`);
  const fields = [
    ...(hasAction ? ["action: allow"] : []),
    ...(peers.length > 0 ? [`${direction === "ingress" ? "from" : "to"}: [${peers.join(", ")}]`] : []),
    `ports: [${ports.join(", ")}]`,
  ];
  return fields.map((field, position) => `${position === 0 ? "    - " : "      "}${field}`);
}

function protocolWord(protocol: number): string {
  return protocol === PROTOCOL.tcp ? "TCP" : protocol === PROTOCOL.udp ? "UDP" : "SCTP";
}

/** The selector as the subject of a Policy; `null` where that cannot say it. */
function subjectText({ namespaces, endpoints, kind }: EndpointSelector): string | null {
  const selector = labelsText(endpoints.requirements);
  if (kind === "host" && namespaces.kind === "any") return `{hosts: ${selector}}`;
  if (kind !== undefined) return null;
  if (namespaces.kind === "name") return `{selector: ${selector}}`;
  const where = namespaces.kind === "any" ? "{}" : labelsText(namespaces.selector.requirements);
  return `{selector: ${selector}, namespaceSelector: ${where}}`;
}

function labelsText(requirements: EndpointSelector["endpoints"]["requirements"]): string {
  if (requirements.length === 0) return "{}";
  const entries = requirements.map(({ key, operator, values }) => {
    const listed = values.length === 0 ? "" : `, values: [${values.map((value) => JSON.stringify(value)).join(", ")}]`;
    return `{key: ${JSON.stringify(key)}, operator: ${operator}${listed}}`;
  });
  return `{matchExpressions: [${entries.join(", ")}]}`;
}

function freeName(base: string, namespace: string, world: PolicyWorld): string {
  const taken = new Set(world.policies.map(({ key }: Policy) => key));
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (!taken.has(`Policy/${namespace}/${name}`)) return name;
  }
}
