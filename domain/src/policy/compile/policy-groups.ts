/** Policies by what they select: those with one subject are asked about an endpoint together. */
import { selectorMeaning } from "../decision.ts";
import { endpointMatches } from "../labels.ts";
import type { Endpoint, EndpointSelector, Inventory, Policy } from "../model.ts";

export interface PolicyGroup {
  /** Of no other group of this index or of one made from it. */
  readonly id: number;
  readonly subject: EndpointSelector;
  /** All policies with this subject, in canonical order. */
  readonly policies: readonly Policy[];
}

export class PolicyGroups {
  readonly #namespaces: Inventory["namespaces"];
  readonly #policies: readonly Policy[];
  readonly #byMeaning: ReadonlyMap<string, PolicyGroup>;
  readonly #byLabel = new Map<string, PolicyGroup[]>();
  readonly #ofEndpoint = new WeakMap<Endpoint, readonly PolicyGroup[]>();
  #nextId: number;
  #ranks: ReadonlyMap<Policy, number> | null = null;

  /**
   * `policies` in canonical order. A group that `previous` has with the same policies is taken over, so that what was made
   * from it can be told to be still right.
   */
  constructor(namespaces: Inventory["namespaces"], policies: readonly Policy[], previous: PolicyGroups | null = null) {
    this.#namespaces = namespaces;
    this.#policies = policies;
    this.#nextId = previous === null ? 0 : previous.#nextId;
    const before: ReadonlyMap<string, PolicyGroup> = previous === null ? new Map() : previous.#byMeaning;
    const byMeaning = new Map<string, Policy[]>();
    for (const policy of policies) {
      const meaning = meaningOf(policy.subject);
      const having = byMeaning.get(meaning);
      if (having) having.push(policy);
      else byMeaning.set(meaning, [policy]);
    }
    this.#byMeaning = new Map(
      [...byMeaning].map(([meaning, members]) => [meaning, this.#groupOf(members, before.get(meaning))]),
    );
    for (const group of this.#byMeaning.values()) {
      const label = requiredLabel(group.subject);
      const having = this.#byLabel.get(label);
      if (having) having.push(group);
      else this.#byLabel.set(label, [group]);
    }
  }

  #groupOf(members: readonly Policy[], before: PolicyGroup | undefined): PolicyGroup {
    const isSame =
      before !== undefined &&
      before.policies.length === members.length &&
      members.every((policy, index) => policy === before.policies[index]);
    const [first] = members;
    if (!first) throw new Error("a group has a policy");
    return isSame ? before : { id: this.#nextId++, subject: first.subject, policies: members };
  }

  has(group: PolicyGroup): boolean {
    return this.#byMeaning.get(meaningOf(group.subject)) === group;
  }

  /** The groups that select the endpoint; always in one order. */
  selecting(endpoint: Endpoint): readonly PolicyGroup[] {
    const known = this.#ofEndpoint.get(endpoint);
    if (known) return known;
    const labels = ["", ...[...endpoint.labels].map(([key, value]) => `${key}=${value}`)];
    const found = labels
      .flatMap((label) => this.#byLabel.get(label) ?? [])
      .filter(({ subject }) => endpointMatches(subject, endpoint, this.#namespaces));
    this.#ofEndpoint.set(endpoint, found);
    return found;
  }

  /** The policies of the groups in canonical order, each once. */
  inOrder(groups: Iterable<PolicyGroup>): readonly Policy[] {
    const all = [...new Set(groups)];
    const [first] = all;
    if (first && all.length === 1) return first.policies;
    this.#ranks ??= new Map(this.#policies.map((policy, rank) => [policy, rank]));
    const ranks = all.flatMap(({ policies }) => policies.map((policy) => this.#ranks?.get(policy) ?? 0));
    return Array.from(Int32Array.from(ranks).sort(), (rank) => {
      const policy = this.#policies[rank];
      if (!policy) throw new Error(`there is no policy ${rank}`);
      return policy;
    });
  }
}

const meanings = new WeakMap<EndpointSelector, string>();

function meaningOf(selector: EndpointSelector): string {
  let meaning = meanings.get(selector);
  if (meaning === undefined) {
    meaning = selectorMeaning(selector);
    meanings.set(selector, meaning);
  }
  return meaning;
}

/** A label that everything the selector picks has, as `key=value`; empty when it asks for no single one. */
function requiredLabel(subject: EndpointSelector): string {
  for (const { key, operator, values } of subject.endpoints.requirements) {
    if (operator === "In" && values.length === 1) return `${key}=${values[0]}`;
  }
  return "";
}
