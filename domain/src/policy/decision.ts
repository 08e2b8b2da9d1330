import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { BuiltinName } from "./builtin.ts";
import type { Direction, EndpointSelector, Peer, Policy, PolicyRule, PortMatch } from "./model.ts";
import { BUILTIN_DECISIONS, type Decision } from "./program.ts";

/** A decision that has no place in a program yet. */
export type DecisionContent = Omit<Decision, "index">;

/** The rule's own name, or `ingress[0]`. */
export function ruleLabel(rule: PolicyRule): string {
  return rule.name ?? `${rule.direction}[${rule.index}]`;
}

export function ruleDecision(policy: Pick<Policy, "key" | "tier">, rule: PolicyRule): DecisionContent {
  return {
    id: decisionId(["rule", policy.key, ruleMeaning(rule)]),
    verdict: rule.action === "allow" ? "allow" : "deny",
    observeOnly: false,
    reason: "rule",
    tier: policy.tier,
    policyKeys: [policy.key],
    rule: ruleLabel(rule),
    source: rule.source,
  };
}

/** `policies` are all that isolate the subject, sorted by key; not empty. */
export function isolatedDecision(policies: readonly Policy[], direction: Direction): DecisionContent {
  const policyKeys = policies.map((policy) => policy.key);
  return {
    id: decisionId(["isolated", direction, ...policyKeys]),
    verdict: "deny",
    observeOnly: false,
    reason: "isolated",
    tier: "application",
    policyKeys,
    rule: null,
    source: policies[0]?.source ?? null,
  };
}

export function notIsolatedDecision(direction: Direction): DecisionContent {
  return {
    id: decisionId(["not-isolated", direction]),
    verdict: "allow",
    observeOnly: false,
    reason: "not-isolated",
    tier: null,
    policyKeys: [],
    rule: null,
    source: null,
  };
}

/** Programs were stored with reserved places where these stand now: with another id, every digest would change. */
const ONCE_RESERVED: ReadonlySet<BuiltinName> = new Set(["spoofedOverlay"]);

export function builtinDecisionContent(name: BuiltinName): DecisionContent {
  const { index } = BUILTIN_DECISIONS[name];
  return {
    id: decisionId(ONCE_RESERVED.has(name) ? ["reserved", String(index)] : ["builtin", name]),
    verdict: BUILTIN_DECISIONS[name].verdict,
    observeOnly: false,
    reason: "builtin",
    tier: null,
    policyKeys: [],
    rule: null,
    source: null,
  };
}

/**
 * Joins what the enforced policies say alone with what they say together with the observed ones.
 *
 * Observed policies never change what happens to a packet: a denial by enforced policies stays theirs, and where the
 * observed ones would decide otherwise than the enforced ones, the answer is reported with `observeOnly`.
 */
export function mergeObserved(enforced: DecisionContent, all: DecisionContent): DecisionContent {
  if (enforced.verdict === "deny" || enforced.id === all.id) return enforced;
  return { ...all, id: decisionId(["observe", all.id]), observeOnly: true };
}

/** What happens to the packet when the host enforces. */
export function enforcedVerdict(decision: Pick<Decision, "verdict" | "observeOnly">): Decision["verdict"] {
  return decision.observeOnly ? "allow" : decision.verdict;
}

/**
 * One line for people: `allowed by default/web, ingress[0]`. The direction completes the text of denials without a rule;
 * leave it out where it is not known.
 */
export function describeDecision(decision: DecisionContent, direction?: Direction): string {
  const text = describeReason(decision, direction);
  if (!decision.observeOnly) return text;
  return decision.verdict === "deny" ? `would be ${text} (observe mode)` : `${text} (observe mode)`;
}

function describeReason(decision: DecisionContent, direction: Direction | undefined): string {
  const word = decision.verdict === "allow" ? "allowed" : "denied";
  switch (decision.reason) {
    case "rule":
      return `${word} by ${displayNames(decision.policyKeys)}, ${decision.rule ?? "a rule"}`;
    case "isolated": {
      const isolates = decision.policyKeys.length === 1 ? "isolates" : "isolate";
      const what = direction ?? "it";
      return `${word}: ${displayNames(decision.policyKeys)} ${isolates} ${what} and no rule allows it`;
    }
    case "not-isolated":
      return `${word}: no policy isolates ${direction ?? "this direction"}`;
    case "builtin":
      return `${word}: ${builtinLabel(decision.id)}`;
  }
}

/** `NetworkPolicy/default/web` is shown as `default/web`. At most three names; more are counted. */
function displayNames(policyKeys: readonly string[]): string {
  const names = policyKeys.map((key) => key.slice(key.indexOf("/") + 1));
  const shown = names.slice(0, 3).join(", ");
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}

const BUILTIN_LABELS = new Map(
  (Object.keys(BUILTIN_DECISIONS) as BuiltinName[]).map((name) => [
    builtinDecisionContent(name).id,
    BUILTIN_DECISIONS[name].label,
  ]),
);

function builtinLabel(id: string): string {
  return BUILTIN_LABELS.get(id) ?? "decided before any policy";
}

/** 16 hex digits over length-prefixed parts, so that no two lists of parts run into each other. */
export function decisionId(parts: readonly string[]): string {
  const text = parts.map((part) => `${part.length}:${part}`).join("");
  return bytesToHex(sha256(utf8ToBytes(text)).subarray(0, 8));
}

/** What a rule says, without where it stands: order of alternatives, names and places do not count. */
function ruleMeaning(rule: PolicyRule): string {
  const peers = rule.peers?.map(peerMeaning).toSorted() ?? null;
  const ports = rule.ports?.map(portMeaning).toSorted() ?? null;
  return JSON.stringify([rule.direction, rule.action, peers, ports]);
}

/** Equal texts = the same set of addresses in every inventory. */
export function peerMeaning(peer: Peer): string {
  if (peer.kind === "endpoints") return `endpoints ${selectorMeaning(peer.selector)}`;
  if (peer.kind === "entity") return `entity ${peer.entity}`;
  if (peer.kind === "domains") return `domains ${peer.names.toSorted().join(" ")}`;
  const except = peer.except.map(prefixText).toSorted();
  return `addresses ${prefixText(peer.cidr)} except ${except.join(" ")}`;
}

export function selectorMeaning(selector: EndpointSelector): string {
  const { namespaces } = selector;
  const scope =
    namespaces.kind === "any"
      ? "any"
      : namespaces.kind === "name"
        ? ["name", namespaces.name]
        : ["selector", requirementsMeaning(namespaces.selector.requirements)];
  const requirements = requirementsMeaning(selector.endpoints.requirements);
  return JSON.stringify(selector.kind === undefined ? [scope, requirements] : [scope, requirements, selector.kind]);
}

function requirementsMeaning(requirements: EndpointSelector["endpoints"]["requirements"]): string[] {
  return requirements.map(({ key, operator, values }) => JSON.stringify([key, operator, values.toSorted()])).toSorted();
}

function prefixText(prefix: { readonly bytes: Uint8Array; readonly prefixLength: number }): string {
  return `${bytesToHex(prefix.bytes)}/${prefix.prefixLength}`;
}

export function portMeaning(port: PortMatch): string {
  return port.kind === "range"
    ? `range ${port.protocol} ${port.low} ${port.high}`
    : `named ${port.protocol} ${port.name}`;
}
