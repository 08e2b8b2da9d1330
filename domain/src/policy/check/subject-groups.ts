import type { Direction, Endpoint, Policy, PolicyRule, Tier } from "../model.ts";
import { comparePolicies } from "../order.ts";
import type { Box } from "./boxes.ts";
import type { EndpointIndex } from "./endpoint-index.ts";
import { dependsOnOwner, type RuleSpace } from "./rule-space.ts";

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
    return this.policies.filter(({ tier, isolates }) => tier === "application" && isolates[direction]);
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
  const needsOwner = listed.map(([, positions]) =>
    positions.some((position) => ordered[position]!.rules.some(dependsOnOwner)),
  );
  const groups = new Map<string, { endpoints: Endpoint[]; numbers: readonly number[] }>();
  for (const [endpoint, numbers] of byEndpoint) {
    const own = numbers.some((number) => needsOwner[number]) ? ownerMeaning(endpoint) : "";
    const key = `${numbers.join()} ${own}`;
    const group = groups.get(key);
    if (group) group.endpoints.push(endpoint);
    else groups.set(key, { endpoints: [endpoint], numbers });
  }
  return [...groups.values()].map(({ endpoints, numbers }) => {
    const positions = numbers.flatMap((number) => listed[number]![1]).sort((left, right) => left - right);
    return new SubjectGroup(
      endpoints,
      positions.map((position) => ordered[position]!),
      space,
    );
  });
}

/** What a rule may take from its owner. */
function ownerMeaning({ hostName, ports }: Endpoint): string {
  const named = ports.map(({ name, protocol, port }) => `${name}/${protocol}/${port}`).sort();
  return `${hostName ?? ""} ${named.join()}`;
}
