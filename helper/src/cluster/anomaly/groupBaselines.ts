/** What the hosts of a group have in common: medians, so that one host has one vote and can shift them by no more. Pure. */
import type { GroupBaseline, HostSummary } from "@wardline/domain/anomaly";

/** With fewer, one that lies would be the median, or half of it. */
export const FEWEST_HOSTS = 3;
/** Everybody, whatever label. */
export const EVERYBODY = "all";

/** @param groupOf the label that an administrator gave the host at its admission; `null` = none */
export function groupBaselines(
  summaries: readonly HostSummary[],
  groupOf: (host: string) => string | null,
): readonly GroupBaseline[] {
  const byGroup = new Map<string, HostSummary[]>([[EVERYBODY, [...summaries]]]);
  for (const summary of summaries) {
    const group = groupOf(summary.host);
    if (group === null || group === EVERYBODY) continue;
    byGroup.set(group, [...(byGroup.get(group) ?? []), summary]);
  }
  return [...byGroup].flatMap(([group, members]) => {
    if (members.length < FEWEST_HOSTS) return [];
    return [{ group, hosts: members.length, features: commonFeatures(members) }];
  });
}

function commonFeatures(members: readonly HostSummary[]): GroupBaseline["features"] {
  const keys = [...new Set(members.flatMap(({ features }) => Object.keys(features)))].sort();
  const common = keys.flatMap((key) => {
    const votes = members.flatMap(({ features }) => features[key] ?? []);
    if (votes.length < FEWEST_HOSTS) return [];
    const baseline = {
      median: medianOf(votes.map(({ median }) => median)),
      spread: medianOf(votes.map(({ spread }) => spread)),
    };
    return [[key, baseline] as const];
  });
  return Object.fromEntries(common);
}

/** The lower of the two in the middle: never a value that no host has. */
function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}
