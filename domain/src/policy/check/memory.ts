import { formatCidr } from "../address.ts";
import type { Cidr, Endpoint, Inventory, Namespace, Policy } from "../model.ts";
import { EndpointIndex } from "./endpoint-index.ts";
import { Remembered } from "./remembered.ts";
import { prefixesOf, RuleSpace } from "./rule-space.ts";
import type { SubjectGroup } from "./subject-groups.ts";

/** Policies and selectors that are gone are let go of when they are more than those that are there, and this many. */
const MAX_LEFTOVERS = 20_000;

/** A policy that was compared with what is enforced at these groups, and had nothing to report. */
export interface ComparedPolicy {
  readonly groups: readonly SubjectGroup[];
  readonly steps: number;
}

/**
 * What one check of a world leaves to the next, for a reader that reads again after every keystroke. Everything in it is
 * about objects by their identity: documents that have not changed are the same objects. Only findings of "nothing to
 * report" are kept, with the steps that they took of the work budget, so that a check with a memory says exactly what one
 * without it says.
 */
export class CheckMemory {
  /** Policies whose selectors and port names all mean somebody, with the present index. */
  soundPolicies = new WeakSet<Policy>();
  /** Groups by the first of their endpoints. */
  readonly groups = new Remembered<Endpoint, SubjectGroup>();
  /** Steps of looking for conflicts at equal priority. */
  readonly priorities = new Remembered<SubjectGroup, number>();
  /** Steps of looking for rules with one address family. */
  readonly families = new Remembered<SubjectGroup, number>();
  readonly observed = new Remembered<Policy, ComparedPolicy>();
  #index: EndpointIndex | null = null;
  #space: RuleSpace | null = null;
  #policies: readonly Policy[] = [];

  /** An index of an equal inventory: the one from before where nothing about endpoints and namespaces has changed. */
  indexOf(inventory: Inventory, policyCount: number): EndpointIndex {
    const known = this.#index;
    if (known && known.answerCount <= 4 * policyCount + MAX_LEFTOVERS && isEqual(known.inventory, inventory)) {
      return known;
    }
    this.soundPolicies = new WeakSet();
    this.#space = null;
    this.#index = new EndpointIndex(inventory);
    return this.#index;
  }

  /** The rules' space: the one from before where the addresses are cut at the same places. */
  spaceOf(policies: readonly Policy[], index: EndpointIndex): RuleSpace {
    const known = this.#space;
    const before = this.#policies;
    this.#policies = policies;
    for (const part of [this.groups, this.priorities, this.families, this.observed]) {
      part.startRound();
    }
    const ruleCount = policies.reduce((sum, { rules }) => sum + rules.length, 0);
    const isSmall = known !== null && known.answerCount <= 2 * ruleCount + MAX_LEFTOVERS;
    if (isSmall && this.#index === index && cutsTheSame(known, before, policies)) return known;
    this.#space = new RuleSpace({ policies, inventory: index.inventory }, index);
    return this.#space;
  }
}

/** Whether the policies that came name all prefixes of those that went, and no place where the space is not cut. */
function cutsTheSame(space: RuleSpace, before: readonly Policy[], after: readonly Policy[]): boolean {
  let start = 0;
  while (start < before.length && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < before.length - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  // Sorted by key, both lists mostly hold the same.
  const went = before.slice(start, before.length - end);
  const came = after.slice(start, Math.max(start, after.length - end));
  const newPrefixes = prefixesWithout(came, went);
  if (!newPrefixes.every((prefix) => space.atoms.isCutFor(prefix))) return false;
  const names = new Set(newPrefixes.map(formatCidr));
  return prefixesWithout(went, came).every((prefix) => names.has(formatCidr(prefix)));
}

/** The prefixes of the policies that are not among the others. */
function prefixesWithout(policies: readonly Policy[], others: readonly Policy[]): readonly Cidr[] {
  const known = new Set(others);
  return policies.filter((policy) => !known.has(policy)).flatMap((policy) => [...prefixesOf(policy)]);
}

function isEqual(one: Inventory, other: Inventory): boolean {
  return (
    one.endpoints.length === other.endpoints.length &&
    one.endpoints.every((endpoint, position) => endpoint === other.endpoints[position]) &&
    one.namespaces.size === other.namespaces.size &&
    [...one.namespaces.values()].every((namespace) =>
      isSameNamespace(namespace, other.namespaces.get(namespace.name)),
    ) &&
    one.domainAddresses.size === 0 &&
    other.domainAddresses.size === 0
  );
}

function isSameNamespace(one: Namespace, other: Namespace | undefined): boolean {
  if (one === other) return true;
  if (!other || one.labels.size !== other.labels.size) return false;
  return [...one.labels].every(([key, value]) => other.labels.get(key) === value);
}
