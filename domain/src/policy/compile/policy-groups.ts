/** Policies by what they select: those with one subject are asked about an endpoint together. */
import { endpointMatches } from "../labels.ts";
import type { Endpoint, EndpointSelector, Inventory, Policy } from "../model.ts";
import { selectorKey } from "./selection.ts";

export interface PolicyGroup {
  /** Of no other group of this index or of one made from it. */
  readonly id: number;
  /** The first id that a group with this subject had, in this index and those it was made from. */
  readonly lineage: number;
  readonly subject: EndpointSelector;
  /** All policies with this subject, in canonical order. */
  readonly policies: readonly Policy[];
}

export class PolicyGroups {
  readonly #namespaces: Inventory["namespaces"];
  readonly #policies: readonly Policy[];
  readonly #byKey: ReadonlyMap<string, PolicyGroup>;
  readonly #byLabel = new Map<string, PolicyGroup[]>();
  readonly #ofEndpoint = new WeakMap<Endpoint, readonly PolicyGroup[]>();
  /** Of the policies of earlier indexes too. */
  readonly #keys: WeakMap<Policy, string>;
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
    this.#keys = previous === null ? new WeakMap() : previous.#keys;
    const before: ReadonlyMap<string, PolicyGroup> = previous === null ? new Map() : previous.#byKey;
    const byKey = new Map<string, Policy[]>();
    for (const policy of policies) {
      const key = this.#keyOf(policy);
      const having = byKey.get(key);
      if (having) having.push(policy);
      else byKey.set(key, [policy]);
    }
    this.#byKey = new Map([...byKey].map(([key, members]) => [key, this.#groupOf(members, before.get(key))]));
    for (const group of this.#byKey.values()) {
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
    if (isSame) return before;
    const id = this.#nextId++;
    return { id, lineage: before?.lineage ?? id, subject: first.subject, policies: members };
  }

  #keyOf(policy: Policy): string {
    let key = this.#keys.get(policy);
    if (key === undefined) {
      key = selectorKey(policy.subject);
      this.#keys.set(policy, key);
    }
    return key;
  }

  has(group: PolicyGroup): boolean {
    const [first] = group.policies;
    return first !== undefined && this.#byKey.get(this.#keys.get(first) ?? "") === group;
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

/** A label that everything the selector picks has, as `key=value`; empty when it asks for no single one. */
function requiredLabel(subject: EndpointSelector): string {
  for (const { key, operator, values } of subject.endpoints.requirements) {
    if (operator === "In" && values.length === 1) return `${key}=${values[0]}`;
  }
  return "";
}
