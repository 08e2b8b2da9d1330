/** What of a world is as before, although it was read again. */
import type { Endpoint, Inventory, Policy, PolicyWorld } from "../model.ts";

export interface WorldChanges {
  readonly world: PolicyWorld;
  readonly changedPolicies: number;
  /** The policies that another one with the same key stands in place of, and that one. */
  readonly replaced: ReadonlyMap<Policy, Policy>;
  /** Whether all other policies are where they were. */
  readonly isInPlace: boolean;
}

/**
 * `next` with everything that is equal to something of `before` as the very object that it was there, so that the rest can
 * go by identity.
 */
export function adoptEqual(before: PolicyWorld, next: PolicyWorld): WorldChanges {
  const inventory = isEqualInventory(before.inventory, next.inventory) ? before.inventory : next.inventory;
  const replaced = new Map<Policy, Policy>();
  if (before.policies === next.policies) {
    return { world: { policies: before.policies, inventory }, changedPolicies: 0, replaced, isInPlace: true };
  }
  const adopt = createAdopter(before.policies);
  let adopted = 0;
  let isInPlace = before.policies.length === next.policies.length;
  const policies = next.policies.map((policy, place) => {
    const there = before.policies[place];
    const old = there === policy ? policy : adopt(policy, place);
    if (old !== null) {
      adopted++;
      if (old !== there) isInPlace = false;
      return old;
    }
    if (there?.key !== policy.key) {
      isInPlace = false;
      return policy;
    }
    const changed = adoptRules(there, policy);
    replaced.set(there, changed);
    return changed;
  });
  const changedPolicies = Math.max(before.policies.length, next.policies.length) - adopted;
  return { world: { policies, inventory }, changedPolicies, replaced, isInPlace };
}

/** The changed policy with the rules that did not change as they were. */
function adoptRules({ rules: before }: Policy, policy: Policy): Policy {
  const rules = policy.rules.map((rule, place) => {
    const old = before[place];
    return old !== undefined && isEqual(old, rule) ? old : rule;
  });
  return { ...policy, rules };
}

/** Most policies are where they were; the others are looked for by key. */
function createAdopter(before: readonly Policy[]): (policy: Policy, place: number) => Policy | null {
  let byKey: ReadonlyMap<string, Policy> | null = null;
  return (policy, place) => {
    let old = before[place];
    if (old?.key !== policy.key) {
      byKey ??= new Map(before.map((one) => [one.key, one]));
      old = byKey.get(policy.key);
    }
    return old !== undefined && isEqual(old, policy) ? old : null;
  };
}

function isEqualInventory(before: Inventory, next: Inventory): boolean {
  return (
    before === next ||
    (isEqual(before.namespaces, next.namespaces) &&
      isEqual(before.domainAddresses, next.domainAddresses) &&
      before.endpoints.length === next.endpoints.length &&
      before.endpoints.every((endpoint, index) => isEqualEndpoint(endpoint, next.endpoints[index])))
  );
}

/** Where an endpoint stands in its file is in no program. */
function isEqualEndpoint(before: Endpoint, next: Endpoint | undefined): boolean {
  return before === next || (next !== undefined && isEqual({ ...before, source: null }, { ...next, source: null }));
}

/** Plain data: objects, arrays, maps, bytes and what has no parts. Maps are equal in the same order only. */
function isEqual(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (one instanceof Map) return other instanceof Map && isEqualList([...one], [...other]);
  if (Array.isArray(one)) return Array.isArray(other) && isEqualList(one, other);
  if (one instanceof Uint8Array) {
    return other instanceof Uint8Array && one.length === other.length && one.every((byte, at) => byte === other[at]);
  }
  const [left, right] = [one as Fields, other as Fields];
  let count = 0;
  for (const name in left) {
    if (!(name in right && isEqual(left[name], right[name]))) return false;
    count++;
  }
  for (const _ in right) count--;
  return count === 0;
}

type Fields = Readonly<Record<string, unknown>>;

function isEqualList(one: readonly unknown[], other: readonly unknown[]): boolean {
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index++) if (!isEqual(one[index], other[index])) return false;
  return true;
}
