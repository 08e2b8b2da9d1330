/** What of a world is as before, although it was read again. */
import type { Endpoint, Inventory, Policy, PolicyRule, PolicyWorld, PortMatch, SourceRange } from "../model.ts";

export interface WorldChanges {
  readonly world: PolicyWorld;
  readonly changedPolicies: number;
  /** Of policies that are there. */
  readonly changedRules: number;
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
    return {
      world: { policies: before.policies, inventory },
      changedPolicies: 0,
      changedRules: 0,
      replaced,
      isInPlace: true,
    };
  }
  const find = createFinder(before.policies);
  let adopted = 0;
  let changedRules = 0;
  let isInPlace = before.policies.length === next.policies.length;
  const policies = next.policies.map((policy, place) => {
    const there = before.policies[place];
    const old = there?.key === policy.key ? there : find(policy.key);
    const kept = old === undefined || old === policy ? policy : adopt(old, policy);
    if (kept !== there) isInPlace = isInPlace && there?.key === policy.key;
    if (kept === old) adopted++;
    else changedRules += kept.rules.length - (old === undefined ? 0 : countShared(old, kept));
    if (kept !== old && there !== undefined && there === old) replaced.set(there, kept);
    return kept;
  });
  const changedPolicies = Math.max(before.policies.length, next.policies.length) - adopted;
  return { world: { policies, inventory }, changedPolicies, changedRules, replaced, isInPlace };
}

/** The old policy where nothing has changed, else the new one with the rules that did not change as they were. */
function adopt(old: Policy, next: Policy): Policy {
  let kept = 0;
  const rules = next.rules.map((rule, place) => {
    const before = old.rules[place];
    if (before === undefined || !isEqualRule(before, rule)) return rule;
    kept++;
    return before;
  });
  const isSame =
    kept === next.rules.length && kept === old.rules.length && isEqual({ ...old, rules }, { ...next, rules });
  return isSame ? old : { ...next, rules };
}

function countShared({ rules: before }: Policy, { rules }: Policy): number {
  return rules.reduce((count, rule, place) => count + (rule === before[place] ? 1 : 0), 0);
}

/** What most often differs is asked first. */
function isEqualRule(one: PolicyRule, other: PolicyRule): boolean {
  return (
    one === other ||
    (isEqualPorts(one.ports, other.ports) &&
      isEqual(one.peers, other.peers) &&
      isEqualPlace(one.source, other.source) &&
      one.action === other.action &&
      one.direction === other.direction &&
      one.index === other.index &&
      one.name === other.name)
  );
}

function isEqualPorts(one: PolicyRule["ports"], other: PolicyRule["ports"]): boolean {
  if (one === null || other === null) return one === other;
  return one.length === other.length && one.every((port, place) => isEqualPort(port, other[place]));
}

function isEqualPort(one: PortMatch, other: PortMatch | undefined): boolean {
  if (one.kind === "named" || other?.kind !== "range") return isEqual(one, other);
  const isSameRange = one.low === other.low && one.high === other.high && one.protocol === other.protocol;
  return isSameRange && isEqualPlace(one.source, other.source);
}

function isEqualPlace(one: SourceRange, other: SourceRange): boolean {
  return (
    one.line === other.line &&
    one.column === other.column &&
    one.endLine === other.endLine &&
    one.endColumn === other.endColumn &&
    one.file === other.file
  );
}

/** Most policies are where they were; the others are looked for by key. */
function createFinder(before: readonly Policy[]): (key: string) => Policy | undefined {
  let byKey: ReadonlyMap<string, Policy> | null = null;
  return (key) => {
    byKey ??= new Map(before.map((one) => [one.key, one]));
    return byKey.get(key);
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
