/** Least-privilege drafts from recorded flows: one policy for each label group, with the evidence for every rule. */
import { formatCidr } from "../address.ts";
import { describePort } from "../evaluate-match.ts";
import type { Direction, Inventory } from "../model.ts";
import { readPolicyFiles } from "../read.ts";
import { type GroupOptions, type LabelGroup, labelGroups } from "../simulate/label-groups.ts";
import type { RecordedFlow } from "../simulate/recorded-flow.ts";
import { confidenceOf, type Evidence, evidenceOf } from "./confidence.ts";
import { canExpress, policyText, type SuggestionFormat } from "./document.ts";
import { generalize, type RuleDraft, type SuggestedPeer, type SuggestedPorts } from "./generalize.ts";
import { keepsText } from "./keeps.ts";
import { type NoiseOptions, type NoiseReason, siftNoise } from "./noise.ts";
import { FlowObserver, type Observation, type ObservedEnd } from "./observations.ts";
import { selectorOf } from "./selectors.ts";

export interface SuggestionOptions {
  readonly inventory: Inventory;
  /** 0 = exactly what was seen, 1 = as wide as makes sense; default 0.5. See `generalize`. */
  readonly generalize?: number;
  readonly format?: SuggestionFormat;
  readonly grouping?: GroupOptions;
  readonly noise?: NoiseOptions;
  /** Only groups with one of these endpoints, by key; default all. What is learned of the others stays the same. */
  readonly subjects?: ReadonlySet<string>;
}

export interface SuggestedRule {
  readonly direction: Direction;
  readonly peers: readonly string[];
  readonly ports: readonly string[];
  readonly confidence: number;
  readonly evidence: Evidence;
  /** Busiest first; at most {@link MAX_EXAMPLES}. */
  readonly examples: readonly SeenConnection[];
}

export interface SeenConnection {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly port: number;
  readonly flows: number;
  readonly denied: number;
}

export interface PolicySuggestion {
  /** Of both documents; the test's ends with `-keeps`. */
  readonly name: string;
  readonly namespace: string;
  readonly group: string;
  readonly subjectKeys: readonly string[];
  readonly rules: readonly SuggestedRule[];
  /** Of its rules, weighed by their flows; 0 without rules. */
  readonly confidence: number;
  readonly policyText: string;
  /** A PolicyTest with what must stay allowed; `null` when nothing was seen. */
  readonly testText: string | null;
  /** What a person should know before accepting it. */
  readonly notes: readonly string[];
}

export type LeftOutReason = NoiseReason | "not-expressible" | "subject-not-recorded";

export interface LeftOut {
  readonly reason: LeftOutReason;
  readonly connections: number;
  readonly flows: number;
  readonly denied: number;
  readonly examples: readonly SeenConnection[];
}

export interface SuggestionResult {
  readonly suggestions: readonly PolicySuggestion[];
  readonly leftOut: readonly LeftOut[];
  /** Flows read; among them those that say not what happened, and those beyond the bound on memory. */
  readonly read: number;
  readonly withoutVerdict: number;
  readonly tooMany: number;
  /** Connections that the suggestions were learned from, for those who want to check. */
  readonly kept: readonly Observation[];
}

const DEFAULT_KNOB = 0.5;
const MAX_EXAMPLES = 5;
const SHOWN_PEERS = 3;

export class PolicySuggester {
  readonly #options: SuggestionOptions;
  readonly #observer: FlowObserver;

  constructor(options: SuggestionOptions) {
    this.#options = options;
    this.#observer = new FlowObserver(options.inventory);
  }

  /** `count`: so many flows that differ in nothing that counts here. */
  add(flow: RecordedFlow, count = 1): void {
    this.#observer.add(flow, count);
  }

  result(): SuggestionResult {
    const { inventory, grouping = {}, noise = {}, format = "wardline" } = this.#options;
    const groupOf = labelGroups(inventory, grouping);
    const sifted = siftNoise(this.#observer.observations, inventory, groupOf, noise);
    const kept = sifted.kept.filter(({ protocol }) => canExpress(format, protocol));
    const inexpressible = sifted.kept.filter(({ protocol }) => !canExpress(format, protocol));
    const groups = [...new Set(groupOf.values())];
    const recorded = groups.filter(({ members }) => members.some(({ key }) => this.#observer.recorders.has(key)));
    const drafts = new Drafts(this.#options, groups, groupOf);
    const { subjects } = this.#options;
    const isWanted = ({ members }: LabelGroup) =>
      subjects === undefined || members.some(({ key }) => subjects.has(key));
    const suggestions = recorded.filter(isWanted).map((group, index) => drafts.suggest(group, kept, index));
    const covered = new Set(recorded.flatMap(({ members }) => members.map(({ key }) => key)));
    const isLearned = ({ source, destination }: Observation): boolean =>
      [source.key, destination.key].some((key) => key !== null && covered.has(key));
    const left: { observation: Observation; reason: LeftOutReason }[] = [
      ...sifted.noise,
      ...inexpressible.map((observation) => ({ observation, reason: "not-expressible" as const })),
      ...kept
        .filter((observation) => !isLearned(observation))
        .map((observation) => ({ observation, reason: "subject-not-recorded" as const })),
    ];
    return { suggestions, leftOut: summarize(left), ...this.#observer.counts, kept: kept.filter(isLearned) };
  }
}

class Drafts {
  readonly #options: SuggestionOptions;
  readonly #groups: readonly LabelGroup[];
  readonly #groupOf: ReadonlyMap<string, LabelGroup>;
  readonly #context;
  readonly #names = new Set<string>();

  constructor(options: SuggestionOptions, groups: readonly LabelGroup[], groupOf: ReadonlyMap<string, LabelGroup>) {
    this.#options = options;
    this.#groups = groups;
    this.#groupOf = groupOf;
    const groupsOfNamespace = new Map<string, number>();
    for (const { namespace } of groups) groupsOfNamespace.set(namespace, (groupsOfNamespace.get(namespace) ?? 0) + 1);
    const endpoints = new Map(options.inventory.endpoints.map((endpoint) => [endpoint.key, endpoint]));
    const knob = Math.min(1, Math.max(0, options.generalize ?? DEFAULT_KNOB));
    this.#context = { knob, groups: groupOf, groupsOfNamespace, endpoints };
  }

  suggest(group: LabelGroup, kept: readonly Observation[], index: number): PolicySuggestion {
    const { format = "wardline" } = this.#options;
    const { namespace } = group;
    const name = this.#nameFor(group, index);
    const { selector, alsoPicks } = selectorOf(group, this.#groups);
    const drafts = (["ingress", "egress"] as const).flatMap((direction) => this.#drafts(group, kept, direction));
    const rules = drafts.map(({ rule }) => rule);
    const notes = notesFor(
      rules,
      alsoPicks.map(({ key }) => key),
    );
    const text = policyText(format, {
      name,
      namespace,
      subject: selector,
      description: `Suggested from recorded flows for ${group.text} (${group.members.length} endpoints). Read it before use.`,
      rules: drafts.map(({ draft, rule }) => ({ ...draft, direction: rule.direction, remark: remarkFor(rule) })),
      groups: this.#groups,
    });
    const learned = new Set(drafts.flatMap(({ draft }) => draft.observations));
    const test = keepsText({ name: `${name}-keeps`, group, groups: this.#groups, groupOf: this.#groupOf, learned });
    requireReadable([text, ...(test === null ? [] : [test])]);
    const flows = rules.reduce((sum, { evidence }) => sum + evidence.flows, 0);
    const weighed = rules.reduce((sum, { confidence, evidence }) => sum + confidence * evidence.flows, 0);
    return {
      name,
      namespace,
      group: group.text,
      subjectKeys: group.members.map(({ key }) => key),
      rules,
      confidence: flows === 0 ? 0 : Math.round((weighed / flows) * 100) / 100,
      policyText: text,
      testText: test,
      notes,
    };
  }

  #drafts(group: LabelGroup, kept: readonly Observation[], direction: Direction) {
    const own = ({ source, destination }: Observation): ObservedEnd => (direction === "egress" ? source : destination);
    const remote = ({ source, destination }: Observation): ObservedEnd =>
      direction === "egress" ? destination : source;
    const seen = kept.filter((observation) => {
      const { key } = own(observation);
      return key !== null && this.#groupOf.get(key) === group;
    });
    const total = seen.reduce((sum, { flows }) => sum + flows, 0);
    return generalize(seen, remote, this.#context).map((draft) => ({ draft, rule: toRule(draft, direction, total) }));
  }

  /** Short, unique, and a valid name. */
  #nameFor(group: LabelGroup, index: number): string {
    const words = group.labels.length > 0 ? group.labels.map(([, value]) => value) : [group.members[0]?.name ?? ""];
    const slug = words
      .join("-")
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "")
      .slice(0, 40)
      .replace(/-+$/, "");
    const base = `suggested-${slug || "group"}`;
    const unique = this.#names.has(`${group.namespace} ${base}`) ? `${base}-${index}` : base;
    this.#names.add(`${group.namespace} ${unique}`);
    return unique;
  }
}

function toRule(draft: RuleDraft, direction: Direction, directionFlows: number): SuggestedRule {
  const evidence = evidenceOf(draft, directionFlows);
  return {
    direction,
    peers: draft.peers.map(peerText),
    ports: draft.ports.map(portsText),
    confidence: confidenceOf(evidence),
    evidence,
    examples: examplesOf(draft.observations),
  };
}

function notesFor(rules: readonly SuggestedRule[], alsoPicks: readonly string[]): readonly string[] {
  const notes = (["ingress", "egress"] as const)
    .filter((direction) => !rules.some((rule) => rule.direction === direction))
    .map((direction) => `No ${direction} was kept, so all of it would be denied.`);
  if (alsoPicks.length === 0) return notes;
  const more = alsoPicks.length > SHOWN_PEERS ? ` and ${alsoPicks.length - SHOWN_PEERS} more` : "";
  return [
    ...notes,
    `No label tells this group from ${alsoPicks.slice(0, SHOWN_PEERS).join(", ")}${more}: the policy selects them too.`,
  ];
}

function remarkFor({ confidence, evidence }: SuggestedRule): string {
  const { flows, sources, hours, lastSeenMs } = evidence;
  const last = lastSeenMs === null ? "" : `, last ${new Date(lastSeenMs).toISOString()}`;
  return `confidence ${confidence.toFixed(2)}: ${flows} connections from ${sources} addresses in ${hours} hours${last}`;
}

function peerText(peer: SuggestedPeer): string {
  switch (peer.kind) {
    case "address":
      return peer.name === null ? formatCidr(peer.cidr) : `${formatCidr(peer.cidr)} (${peer.name})`;
    case "prefix":
      return formatCidr(peer.cidr);
    case "group":
      return peer.group.text;
    case "namespace":
      return `everybody in namespace ${peer.namespace}`;
    case "outside":
      return `any IPv${peer.family} address`;
  }
}

function portsText({ protocol, low, high }: SuggestedPorts): string {
  return high > low ? `${low}-${describePort(protocol, high)}` : describePort(protocol, low);
}

function summarize(left: readonly { observation: Observation; reason: LeftOutReason }[]): readonly LeftOut[] {
  const byReason = new Map<LeftOutReason, Observation[]>();
  for (const { observation, reason } of left) {
    const list = byReason.get(reason);
    if (list) list.push(observation);
    else byReason.set(reason, [observation]);
  }
  return [...byReason].map(([reason, observations]) => ({
    reason,
    connections: observations.length,
    flows: observations.reduce((sum, { flows }) => sum + flows, 0),
    denied: observations.reduce((sum, { denied }) => sum + denied, 0),
    examples: examplesOf(observations),
  }));
}

function examplesOf(observations: readonly Observation[]): readonly SeenConnection[] {
  return observations
    .toSorted((left, right) => right.flows + right.denied - left.flows - left.denied)
    .slice(0, MAX_EXAMPLES)
    .map(({ source, destination, protocol, port, flows, denied }) => ({
      from: source.key ?? source.address,
      to: destination.key ?? destination.address,
      protocol,
      port,
      flows,
      denied,
    }));
}

/** What is handed out must be readable: anything else is a defect here. */
function requireReadable(texts: readonly string[]): void {
  const { diagnostics } = readPolicyFiles([{ path: "suggestion.yaml", text: texts.join("---\n") }]);
  const error = diagnostics.find(({ severity }) => severity === "error");
  if (error) throw new Error(`a suggestion cannot be read: ${error.code} ${error.message}\n${texts.join("---\n")}`);
}
