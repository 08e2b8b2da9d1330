/** What the line under the cursor does: whom it lets through or stops, what it decided so far, and what is stronger. */

import { formatCidr } from "../address.ts";
import { ruleDecision, ruleLabel } from "../decision.ts";
import type { Diagnostic } from "../diagnostic.ts";
import { formatSelector } from "../labels.ts";
import type { Endpoint, EndpointSelector, Peer, Policy, PolicyRule, PortMatch, SourceRange } from "../model.ts";
import type { RuleUse } from "./facts.ts";
import { holds, policyAtLine, ruleAtLine, selectedBy } from "./hover.ts";
import { protocolName } from "./known-ports.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** A side of a rule in words, with who it is at present. */
export interface SideMeaning {
  readonly text: string;
  /** `null` for addresses and names, which stand for more than the inventory. */
  readonly members: { readonly hosts: number; readonly workloads: number; readonly names: readonly string[] } | null;
}

export interface RuleMeaning {
  readonly policyKey: string;
  readonly tier: Policy["tier"];
  readonly mode: Policy["mode"];
  readonly rule: string;
  readonly action: PolicyRule["action"];
  readonly direction: PolicyRule["direction"];
  readonly source: SourceRange;
  readonly subject: SideMeaning;
  /** `null` = anybody. */
  readonly peers: readonly SideMeaning[] | null;
  /** `null` = every protocol and port. */
  readonly ports: readonly string[] | null;
  /** Of recorded flows and of the hosts' counters; `null` = nothing is known. */
  readonly use: RuleUse | null;
  /** Rules that decide what this one would: problems of the check about this rule. */
  readonly overshadowing: readonly Diagnostic[];
}

export interface PolicyMeaning {
  readonly policyKey: string;
  readonly tier: Policy["tier"];
  readonly mode: Policy["mode"];
  readonly source: SourceRange;
  readonly subject: SideMeaning;
  /** Directions in which only what policies allow passes. */
  readonly isolates: readonly string[];
  readonly ruleCount: number;
}

export type LineMeaning =
  | { readonly kind: "rule"; readonly rule: RuleMeaning }
  | { readonly kind: "policy"; readonly policy: PolicyMeaning }
  | {
      readonly kind: "endpoint";
      readonly key: string;
      readonly addresses: readonly string[];
      readonly policies: readonly string[];
    };

const MAX_NAMES = 12;
const MAX_SIDES = 50;
const SHADOWING = new Set(["WL340", "WL341", "WL342", "WL344", "WL345", "WL346"]);

/** `null` where no document without errors stands. */
export function lineMeaning(
  file: string,
  line: number,
  vocabulary: Vocabulary,
  diagnostics: readonly Diagnostic[],
): LineMeaning | null {
  const { world } = vocabulary;
  const endpoint = world.inventory.endpoints.find(({ source }) => source?.file === file && holds(source, line));
  if (endpoint) return endpointMeaning(endpoint, vocabulary);
  const found = ruleIn(world.policies, file, line);
  if (found) return { kind: "rule", rule: ruleMeaning(found.policy, found.rule, vocabulary, diagnostics) };
  const policy = policyAtLine(world.policies, file, line);
  return policy ? { kind: "policy", policy: policyMeaning(policy, vocabulary) } : null;
}

/** One document can stand for several policies; the rule is in one of them. */
export function ruleIn(
  policies: readonly Policy[],
  file: string,
  line: number,
): { readonly policy: Policy; readonly rule: PolicyRule } | null {
  for (const policy of policies) {
    if (policy.source.file !== file || !holds(policy.source, line)) continue;
    const rule = ruleAtLine(policy, line);
    if (rule) return { policy, rule };
  }
  return null;
}

function endpointMeaning(endpoint: Endpoint, { world }: Vocabulary): LineMeaning {
  const policies = world.policies.filter(
    (policy) =>
      selectedBy(policy.subject, { world: { ...world, inventory: { ...world.inventory, endpoints: [endpoint] } } })
        .length > 0,
  );
  return {
    kind: "endpoint",
    key: endpoint.key,
    addresses: endpoint.addresses,
    policies: policies.slice(0, MAX_SIDES).map(({ key }) => key),
  };
}

function policyMeaning(policy: Policy, vocabulary: Vocabulary): PolicyMeaning {
  const { key, tier, mode, source, isolates, rules } = policy;
  return {
    policyKey: key,
    tier,
    mode,
    source,
    subject: selectorSide(policy.subject, vocabulary),
    isolates: (["ingress", "egress"] as const).filter((direction) => isolates[direction]),
    ruleCount: rules.length,
  };
}

function ruleMeaning(
  policy: Policy,
  rule: PolicyRule,
  vocabulary: Vocabulary,
  diagnostics: readonly Diagnostic[],
): RuleMeaning {
  return {
    policyKey: policy.key,
    tier: policy.tier,
    mode: policy.mode,
    rule: ruleLabel(rule),
    action: rule.action,
    direction: rule.direction,
    source: rule.source,
    subject: selectorSide(policy.subject, vocabulary),
    peers: rule.peers?.slice(0, MAX_SIDES).map((peer) => peerSide(peer, vocabulary)) ?? null,
    ports: rule.ports?.slice(0, MAX_SIDES).map(portText) ?? null,
    use: useOf(policy, rule, vocabulary),
    overshadowing: diagnostics.filter(
      ({ code, source }) => SHADOWING.has(code) && source.file === rule.source.file && holds(rule.source, source.line),
    ),
  };
}

export function useOf(policy: Policy, rule: PolicyRule, { facts }: Vocabulary): RuleUse | null {
  return facts.rules.get(ruleDecision(policy, rule).id) ?? null;
}

function selectorSide(selector: EndpointSelector, vocabulary: Vocabulary): SideMeaning {
  const found = selectedBy(selector, vocabulary);
  const hosts = found.filter(({ kind }) => kind === "host").length;
  const names = found.slice(0, MAX_NAMES).map(({ name }) => name);
  return { text: selectorText(selector), members: { hosts, workloads: found.length - hosts, names } };
}

function selectorText({ namespaces, endpoints, kind }: EndpointSelector): string {
  const who = kind === "host" ? "hosts" : kind === "workload" ? "workloads" : "";
  const labels =
    endpoints.requirements.length === 0
      ? who || "everybody"
      : `${who === "" ? "" : `${who} with `}${formatSelector(endpoints)}`;
  if (namespaces.kind === "name") return namespaces.name === "default" ? labels : `${labels} in ${namespaces.name}`;
  return namespaces.kind === "any" ? labels : `${labels} in namespaces with ${formatSelector(namespaces.selector)}`;
}

function peerSide(peer: Peer, vocabulary: Vocabulary): SideMeaning {
  switch (peer.kind) {
    case "endpoints":
      return selectorSide(peer.selector, vocabulary);
    case "addresses": {
      const except = peer.except.length === 0 ? "" : ` except ${peer.except.map(formatCidr).join(", ")}`;
      return { text: `${formatCidr(peer.cidr)}${except}`, members: null };
    }
    case "entity":
      return { text: peer.entity, members: null };
    case "domains":
      return { text: peer.names.join(", "), members: null };
  }
}

function portText(port: PortMatch): string {
  const protocol = protocolName(port.protocol);
  if (port.kind === "named") return `${port.name}/${protocol}`;
  if (port.low === 0 && port.high === 65_535) return protocol;
  if (port.protocol === 1 || port.protocol === 58) return `${protocol} type ${port.low >> 8}`;
  return `${port.low === port.high ? port.low : `${port.low}–${port.high}`}/${protocol}`;
}
