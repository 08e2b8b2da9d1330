import type { Direction, Endpoint, Policy, PolicyRule, Tier } from "../model.ts";
import { comparePolicies } from "../order.ts";
import type { Box } from "./boxes.ts";
import type { EndpointIndex } from "./endpoint-index.ts";
import type { CheckMemory } from "./memory.ts";
import { dependsOnHost, dependsOnPorts, type RuleSpace } from "./rule-space.ts";

/** A rule as it is asked at one subject. */
export interface AskedRule {
  readonly policy: Policy;
  readonly rule: PolicyRule;
  readonly boxes: readonly Box[];
}

/** Subjects that are asked exactly the same rules, so that what holds for one holds for all of them. */
export class SubjectGroup {
  readonly endpoints: readonly Endpoint[];
  /** The policies that select them, in canonical order. */
  readonly policies: readonly Policy[];
  readonly #space: RuleSpace;
  readonly #asked = new Map<Direction, readonly AskedRule[]>();
  readonly #isolating = new Map<Direction, readonly Policy[]>();

  constructor(endpoints: readonly Endpoint[], policies: readonly Policy[], space: RuleSpace) {
    this.endpoints = endpoints;
    this.policies = policies;
    this.#space = space;
  }

  /** In the order in which they are asked. Application policies take part in the directions that they isolate. */
  asked(direction: Direction): readonly AskedRule[] {
    let asked = this.#asked.get(direction);
    if (!asked) {
      const owner = this.endpoints[0]!;
      asked = this.policies
        .filter((policy) => policy.tier !== "application" || policy.isolates[direction])
        .flatMap((policy) =>
          policy.rules
            .filter((rule) => rule.direction === direction)
            .map((rule) => ({ policy, rule, boxes: this.#space.boxesOf(rule, owner) })),
        );
      this.#asked.set(direction, asked);
    }
    return asked;
  }

  isolating(direction: Direction): readonly Policy[] {
    let isolating = this.#isolating.get(direction);
    if (!isolating) {
      isolating = this.policies.filter(({ tier, isolates }) => tier === "application" && isolates[direction]);
      this.#isolating.set(direction, isolating);
    }
    return isolating;
  }

  /** Whether it is about these endpoints and policies, in this space. */
  isOf(endpoints: readonly Endpoint[], policies: readonly Policy[], space: RuleSpace): boolean {
    return space === this.#space && areSameItems(endpoints, this.endpoints) && areSameItems(policies, this.policies);
  }

  asksTier(tier: Tier): boolean {
    return this.policies.some((policy) => policy.tier === tier);
  }
}

/** The subjects of these policies in groups; an endpoint that none of them selects is in no group. */
export function groupSubjects(
  policies: readonly Policy[],
  index: EndpointIndex,
  space: RuleSpace,
  memory: CheckMemory | null = null,
): readonly SubjectGroup[] {
  const ordered = policies.toSorted(comparePolicies);
  const selections = new Map<readonly Endpoint[], number[]>();
  for (const [position, policy] of ordered.entries()) {
    const subjects = index.select(policy.subject);
    const positions = selections.get(subjects);
    if (positions) positions.push(position);
    else selections.set(subjects, [position]);
  }
  const byEndpoint = new Map<Endpoint, number[]>();
  const listed = [...selections];
  for (const [number, [subjects]] of listed.entries()) {
    for (const endpoint of subjects) {
      const numbers = byEndpoint.get(endpoint);
      if (numbers) numbers.push(number);
      else byEndpoint.set(endpoint, [number]);
    }
  }
  const needs = listed.map(([, positions]) => needsOf(positions.map((position) => ordered[position]!)));
  const groups = new Map<string, { endpoints: Endpoint[]; numbers: readonly number[] }>();
  for (const [endpoint, numbers] of byEndpoint) {
    const host = numbers.some((number) => needs[number]!.host) ? endpoint.hostName : null;
    const ports = endpoint.ports
      .filter(({ name }) => numbers.some((number) => needs[number]!.portNames.has(name)))
      .map(({ name, protocol, port }) => `${name}/${protocol}/${port}`)
      .sort();
    const key = `${numbers.join()} ${host ?? ""} ${ports.join()}`;
    const group = groups.get(key);
    if (group) group.endpoints.push(endpoint);
    else groups.set(key, { endpoints: [endpoint], numbers });
  }
  return [...groups.values()].map(({ endpoints, numbers }) => {
    const positions = numbers.flatMap((number) => listed[number]![1]).sort((left, right) => left - right);
    const selecting = positions.map((position) => ordered[position]!);
    const known = memory?.groups.find(endpoints[0]!);
    const group = known?.isOf(endpoints, selecting, space) ? known : new SubjectGroup(endpoints, selecting, space);
    memory?.groups.keep(endpoints[0]!, group);
    return group;
  });
}

/** Whether two lists hold the same objects in the same order. */
export function areSameItems<Item>(one: readonly Item[], other: readonly Item[]): boolean {
  return one.length === other.length && one.every((item, position) => item === other[position]);
}

interface SubjectNeeds {
  /** Whether a rule depends on the subject's host. */
  readonly host: boolean;
  /** The port names that are looked up on the subject. */
  readonly portNames: ReadonlySet<string>;
}

function needsOf(policies: readonly Policy[]): SubjectNeeds {
  const portNames = new Set<string>();
  let host = false;
  for (const { rules } of policies) {
    for (const rule of rules) {
      host ||= dependsOnHost(rule);
      if (!dependsOnPorts(rule)) continue;
      for (const port of rule.ports ?? []) if (port.kind === "named") portNames.add(port.name);
    }
  }
  return { host, portNames };
}
