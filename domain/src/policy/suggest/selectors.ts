/** Selectors that pick a label group and nobody else. */
import { selectorMatches } from "../labels.ts";
import type { Endpoint, LabelRequirement, LabelSelector } from "../model.ts";
import type { LabelGroup } from "../simulate/label-groups.ts";

export interface GroupSelector {
  readonly selector: LabelSelector;
  /** Endpoints of the namespace that it cannot help picking as well. */
  readonly alsoPicks: readonly Endpoint[];
}

/**
 * All labels of the group, and for other groups of the namespace that have these labels too what tells them apart.
 * @param groups every group of the inventory
 */
export function selectorOf(group: LabelGroup, groups: readonly LabelGroup[]): GroupSelector {
  const neighbours = groups.filter((other) => other !== group && other.namespace === group.namespace);
  const requirements: LabelRequirement[] = group.labels.map(([key, value]) => ({
    key,
    operator: "In",
    values: [value],
  }));
  const excluded = new Map<string, Set<string>>();
  const own = new Map(group.labels);
  for (const other of neighbours) {
    const theirs = new Map(other.labels);
    if (![...own].every(([key, value]) => theirs.get(key) === value)) continue;
    const extra = [...theirs].find(([key, value]) => !own.has(key) && isForeign(group, key, value));
    if (extra) excluded.set(extra[0], (excluded.get(extra[0]) ?? new Set()).add(extra[1]));
  }
  for (const [key, values] of [...excluded].sort(([left], [right]) => (left < right ? -1 : 1))) {
    requirements.push({ key, operator: "NotIn", values: [...values].sort() });
  }
  const selector = { requirements };
  const alsoPicks = neighbours
    .flatMap(({ members }) => members)
    .filter(({ labels }) => selectorMatches(selector, labels));
  return { selector, alsoPicks };
}

/** A member may have the label in spite of its group, where its value makes no groups. */
function isForeign(group: LabelGroup, key: string, value: string): boolean {
  return group.members.every(({ labels }) => labels.get(key) !== value);
}
