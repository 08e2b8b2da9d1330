/** Suggestions as policy documents, in one of the formats that are read. */
import { formatCidr } from "../address.ts";
import { NAMESPACE_NAME_LABEL } from "../labels.ts";
import { type Direction, type LabelSelector, PROTOCOL } from "../model.ts";
import type { LabelGroup } from "../simulate/label-groups.ts";
import type { SuggestedPeer, SuggestedPorts } from "./generalize.ts";
import { selectorOf } from "./selectors.ts";
import { comment, flow, scalar, type YamlValue } from "./yaml-text.ts";

export type SuggestionFormat = "wardline" | "k8s";

export interface DocumentRule {
  readonly direction: Direction;
  readonly peers: readonly SuggestedPeer[];
  readonly ports: readonly SuggestedPorts[];
  /** Said above the rule. */
  readonly remark: string;
}

export interface DocumentInput {
  readonly name: string;
  readonly namespace: string;
  readonly subject: LabelSelector;
  readonly description: string;
  readonly rules: readonly DocumentRule[];
  readonly groups: readonly LabelGroup[];
}

const PORT_PROTOCOLS = new Map<number, string>([
  [PROTOCOL.tcp, "TCP"],
  [PROTOCOL.udp, "UDP"],
  [PROTOCOL.sctp, "SCTP"],
]);
const ICMP_PROTOCOLS = new Map<number, string>([
  [PROTOCOL.icmp, "ICMP"],
  [PROTOCOL.icmpv6, "ICMPv6"],
]);

/** `networking.k8s.io/v1` knows TCP, UDP and SCTP; a rule for anything else would have to open every port. */
export function canExpress(format: SuggestionFormat, protocol: number): boolean {
  return format === "wardline" || PORT_PROTOCOLS.has(protocol);
}

/** Both directions are isolated: a direction without rules lets nothing through. */
export function policyText(format: SuggestionFormat, input: DocumentInput): string {
  const { name, namespace, subject, description, rules, groups } = input;
  const isKubernetes = format === "k8s";
  const lines = [
    comment(description),
    `apiVersion: ${isKubernetes ? "networking.k8s.io/v1" : "wardline.io/v1"}`,
    `kind: ${isKubernetes ? "NetworkPolicy" : "Policy"}`,
    `metadata: ${flow({ name, namespace })}`,
    "spec:",
  ];
  if (isKubernetes) {
    lines.push(`  podSelector: ${flow(selectorValue(subject))}`, "  policyTypes: [Ingress, Egress]");
  } else {
    lines.push(`  description: ${JSON.stringify(description)}`);
    lines.push(`  subject: ${flow({ selector: selectorValue(subject) })}`, "  isolate: [ingress, egress]");
  }
  for (const direction of ["ingress", "egress"] as const) {
    const own = rules.filter((rule) => rule.direction === direction);
    lines.push(own.length === 0 ? `  ${direction}: []` : `  ${direction}:`);
    for (const rule of own) lines.push(...ruleLines(isKubernetes, rule, namespace, groups));
  }
  return `${lines.join("\n")}\n`;
}

function ruleLines(
  isKubernetes: boolean,
  rule: DocumentRule,
  namespace: string,
  groups: readonly LabelGroup[],
): readonly string[] {
  const lines = [`    ${comment(rule.remark)}`, `    - ${rule.direction === "ingress" ? "from" : "to"}:`];
  for (const peer of rule.peers) {
    const remark = peer.kind === "address" && peer.name !== null ? ` ${comment(peer.name)}` : "";
    lines.push(`        - ${flow(peerValue(isKubernetes, peer, namespace, groups))}${remark}`);
  }
  lines.push("      ports:", ...rule.ports.map((ports) => `        - ${flow(portValue(ports))}`));
  return lines;
}

function peerValue(
  isKubernetes: boolean,
  peer: SuggestedPeer,
  ownNamespace: string,
  groups: readonly LabelGroup[],
): YamlValue {
  const selectorName = isKubernetes ? "podSelector" : "selector";
  const inNamespace = (name: string): { readonly [key: string]: YamlValue } =>
    name === ownNamespace ? {} : { namespaceSelector: { matchLabels: { [NAMESPACE_NAME_LABEL]: name } } };
  switch (peer.kind) {
    case "address":
    case "prefix":
      return { ipBlock: { cidr: formatCidr(peer.cidr) } };
    case "outside":
      return { ipBlock: { cidr: peer.family === 4 ? "0.0.0.0/0" : "::/0" } };
    case "namespace":
      return { [selectorName]: {}, ...inNamespace(peer.namespace) };
    case "group": {
      const { selector } = selectorOf(peer.group, groups);
      return { [selectorName]: selectorValue(selector), ...inNamespace(peer.group.namespace) };
    }
  }
}

/** As in a document: equalities first, then expressions. */
export function selectorValue({ requirements }: LabelSelector): { readonly [key: string]: YamlValue } {
  const equal = requirements.filter(({ operator, values }) => operator === "In" && values.length === 1);
  const other = requirements.filter((requirement) => !equal.includes(requirement));
  return {
    ...(equal.length === 0
      ? {}
      : { matchLabels: Object.fromEntries(equal.map(({ key, values }) => [key, values[0]!])) }),
    ...(other.length === 0
      ? {}
      : { matchExpressions: other.map(({ key, operator, values }) => ({ key, operator, values: [...values] })) }),
  };
}

export function portValue({ protocol, low, high }: SuggestedPorts): YamlValue {
  const name = PORT_PROTOCOLS.get(protocol);
  if (name !== undefined) return { protocol: name, port: low, ...(high > low ? { endPort: high } : {}) };
  const icmp = ICMP_PROTOCOLS.get(protocol);
  return icmp === undefined ? { protocol } : { protocol: icmp, type: low >> 8, code: low & 0xff };
}

export interface TestCaseText {
  readonly from: YamlValue;
  readonly to: YamlValue;
  readonly ports: readonly SuggestedPorts[];
  readonly because: string;
}

/** A `wardline.io/v1` PolicyTest that holds as long as what was seen stays allowed. */
export function testText(name: string, namespace: string, description: string, cases: readonly TestCaseText[]): string {
  const lines = [
    "apiVersion: wardline.io/v1",
    "kind: PolicyTest",
    `metadata: ${flow({ name, namespace })}`,
    "spec:",
    `  description: ${JSON.stringify(description)}`,
    "  tests:",
  ];
  for (const { from, to, ports, because } of cases) {
    lines.push(`    - from: ${flow(from)}`, `      to: ${flow(to)}`);
    lines.push(
      `      ports: ${flow(ports.map(portValue))}`,
      "      expect: allow",
      `      because: ${scalar(because)}`,
    );
  }
  return `${lines.join("\n")}\n`;
}
