import { nearestWord } from "../formats/suggest.ts";
import type { Endpoint, EndpointSelector, Peer, Policy, PolicyRule, PortMatch, SourceRange } from "../model.ts";
import { explainEmptySelection } from "./empty-selection.ts";
import type { EndpointIndex } from "./endpoint-index.ts";
import type { CheckMemory } from "./memory.ts";
import type { DiagnosticSink } from "./sink.ts";
import type { SourceTexts } from "./source-texts.ts";
import { replaceWordFix } from "./text-fix.ts";
import { namesOf } from "./words.ts";
import type { CheckedPolicy } from "./world.ts";

/** Reports selectors that pick nobody, port names that nobody has, and peers that addresses cannot tell apart. */
export function checkPolicies(
  policies: readonly CheckedPolicy[],
  index: EndpointIndex,
  sink: DiagnosticSink,
  texts: SourceTexts,
  memory: CheckMemory | null = null,
): void {
  const [first] = policies;
  if (!first) return;
  if (index.inventory.endpoints.length === 0) {
    const message =
      "These files declare no host and no workload, so selectors pick nobody and port names were not looked up. Add Host and Workload documents.";
    sink.report("WL322", first.subjectSource, message);
    return;
  }
  for (const checked of policies) {
    // Only warnings and notices from here on, and none of them would be listed.
    if (sink.full) break;
    const isSound = memory?.soundPolicies.has(checked.policy) ?? false;
    if (isSound) continue;
    const reportsBefore = sink.reportCount;
    new PolicyCheck(checked, index, sink, texts).run();
    if (sink.reportCount === reportsBefore) memory?.soundPolicies.add(checked.policy);
  }
}

class PolicyCheck {
  readonly #policy: Policy;
  readonly #checked: CheckedPolicy;
  readonly #index: EndpointIndex;
  readonly #sink: DiagnosticSink;
  readonly #texts: SourceTexts;
  /** A policy that repeats a peer in many rules is told once. */
  readonly #toldPeers = new Set<readonly Endpoint[]>();

  constructor(checked: CheckedPolicy, index: EndpointIndex, sink: DiagnosticSink, texts: SourceTexts) {
    this.#policy = checked.policy;
    this.#checked = checked;
    this.#index = index;
    this.#sink = sink;
    this.#texts = texts;
  }

  run(): void {
    const subjects = this.#index.select(this.#policy.subject);
    if (subjects.length === 0) {
      this.#reportEmpty("WL301", "The policy applies to nobody.", this.#policy.subject, this.#checked.subjectSource);
    }
    for (const rule of this.#policy.rules) {
      const { peers, ports } = rule;
      if (peers !== null) for (const peer of peers) this.#checkPeer(peer);
      if (ports === null) continue;
      for (let portIndex = 0; portIndex < ports.length; portIndex++) this.#checkPort(rule, portIndex, subjects);
    }
  }

  #reportEmpty(code: "WL301" | "WL302", what: string, selector: EndpointSelector, source: SourceRange): void {
    const { reason, nearMiss } = explainEmptySelection(selector, this.#index);
    const fix = nearMiss && replaceWordFix(this.#texts, source, nearMiss.wanted, nearMiss.meant);
    this.#sink.report(code, source, `${what} ${reason}`, fix);
  }

  #checkPeer(peer: Peer): void {
    if (peer.kind === "domains") this.#checkNames(peer);
    if (peer.kind !== "endpoints") return;
    const picked = this.#index.select(peer.selector);
    if (picked.length === 0) {
      this.#reportEmpty("WL302", "This peer is nobody, so it allows nothing.", peer.selector, peer.source);
      return;
    }
    if (this.#toldPeers.has(picked)) return;
    this.#toldPeers.add(picked);
    this.#checkSharedAddresses(peer, picked);
  }

  /** See the agent's refusal in helper/src/agent/domainEngine.ts. */
  #checkNames({ names, source }: Extract<Peer, { kind: "domains" }>): void {
    const wildcard = names.find((name) => name.startsWith("*"));
    if (wildcard === undefined) return;
    const message = `No host can look up ${wildcard}: DNS answers for whole names only. Hosts that this policy is about refuse it.`;
    this.#sink.report("WL351", source, message);
  }

  /** Peers are decided by address, so everybody behind an address of a peer passes with it. */
  #checkSharedAddresses(peer: Peer, picked: readonly Endpoint[]): void {
    const shared = this.#index.sharedAddress(picked);
    if (shared === null) return;
    const { endpoint, others, address, alike } = shared;
    const message = `The peer is ${endpoint.key}, but ${namesOf(others)} ${others.length === 1 ? "has" : "have"} the same address ${address}. Peers are told apart by address, so the rule lets both through.`;
    this.#sink.report(alike ? "WL310" : "WL314", peer.source, message);
  }

  #checkPort(rule: PolicyRule, portIndex: number, subjects: readonly Endpoint[]): void {
    const port = rule.ports![portIndex]!;
    if (port.kind !== "named") return;
    const holders = this.#portHolders(rule, subjects);
    if (holders === "addresses") {
      const message = `The port name "${port.name}" cannot be looked up: every peer of this rule is an address block, an entity or a domain name, and these have no port names. The entry matches nothing.`;
      this.#sink.report("WL312", port.source, message);
      return;
    }
    if (holders.every((endpoints) => endpoints.length === 0)) return;
    const protocols = protocolsOfName(rule.ports ?? [], portIndex);
    const namesHeld = holders.flatMap((endpoints) =>
      protocols.map((protocol) => this.#index.portNames(endpoints, protocol)),
    );
    if (namesHeld.some((held) => held.has(port.name))) return;
    const names = new Set(namesHeld.flatMap((held) => [...held]));
    const nearest = nearestWord(port.name, names);
    const hint = nearest === null ? "" : ` Did you mean "${nearest}"?`;
    const which = protocols.length > 1 ? "No port" : "No port of this protocol";
    const message = `${which} is named "${port.name}" on ${namesOf([...new Set(holders.flat())])}; the entry matches nothing.${hint}`;
    const fix = nearest === null ? null : replaceWordFix(this.#texts, port.source, port.name, nearest);
    this.#sink.report("WL306", port.source, message, fix);
  }

  /** Whose ports a name means: the subject's for ingress, the peer's for egress. One list for each selector. */
  #portHolders(rule: PolicyRule, subjects: readonly Endpoint[]): readonly (readonly Endpoint[])[] | "addresses" {
    if (rule.direction === "ingress") return [subjects];
    if (rule.peers === null) return [this.#index.inventory.endpoints];
    const selecting = rule.peers.filter((peer) => peer.kind === "endpoints");
    if (selecting.length === 0 && rule.peers.length > 0) return "addresses";
    return selecting.map((peer) => this.#index.select(peer.selector));
  }
}

/**
 * A name without a protocol stands in the rule once for each protocol, side by side and from one place; it is unknown when
 * no protocol has it.
 */
function protocolsOfName(ports: readonly PortMatch[], index: number): readonly number[] {
  const { source } = ports[index]!;
  let first = index;
  while (first > 0 && ports[first - 1]!.source === source) first -= 1;
  let end = index + 1;
  while (end < ports.length && ports[end]!.source === source) end += 1;
  return ports.slice(first, end).map(({ protocol }) => protocol);
}
