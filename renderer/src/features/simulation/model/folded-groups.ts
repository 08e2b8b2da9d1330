import type { SimulationGroup } from "@wardline/api/wardline/console/v1/policies";

/** Groups of a scan, or of a service with a port of its own for each connection, as one row. */
export interface GroupRow {
  /** The first of them in the order of the run: what is said of it holds for all. */
  readonly group: SimulationGroup;
  /** All of them, in the order of the run; one, where nothing was put together. */
  readonly groups: readonly SimulationGroup[];
  readonly flows: bigint;
}

/** A port that carried more than this is worth a row of its own. */
const FEW_FLOWS = 3n;
/** Fewer ports than this are read faster as rows. */
const LEAST_PORTS = 5;

/**
 * Puts groups together that differ in nothing but the port and that carried few flows each. The order is that of the run: a
 * folded row stands where its first group stood. No flow is lost or counted twice.
 */
export function foldGroups(groups: readonly SimulationGroup[]): readonly GroupRow[] {
  const alike = new Map<string, SimulationGroup[]>();
  for (const group of groups) {
    if (group.flows > FEW_FLOWS) continue;
    const key = keyOf(group);
    const others = alike.get(key);
    if (others) others.push(group);
    else alike.set(key, [group]);
  }
  const rows: GroupRow[] = [];
  for (const group of groups) {
    const others = group.flows > FEW_FLOWS ? [] : (alike.get(keyOf(group)) ?? []);
    if (others.length < LEAST_PORTS) rows.push({ group, groups: [group], flows: group.flows });
    else if (others[0] === group) {
      rows.push({ group, groups: others, flows: others.reduce((sum, { flows }) => sum + flows, 0n) });
    }
  }
  return rows;
}

function keyOf({ from, to, protocol, reason, example }: SimulationGroup): string {
  return JSON.stringify([from, to, protocol, reason, example?.decision?.summary ?? ""]);
}

/** `1–320, 443, 8080 and 12 more`: ranges of ports, lowest first. */
export function portRanges(ports: readonly number[], most = 4): string {
  const sorted = [...new Set(ports)].sort((a, b) => a - b);
  const ranges: { readonly low: number; high: number }[] = [];
  for (const port of sorted) {
    const last = ranges.at(-1);
    if (last && last.high + 1 === port) last.high = port;
    else ranges.push({ low: port, high: port });
  }
  const shown = ranges.slice(0, most).map(({ low, high }) => (low === high ? `${low}` : `${low}–${high}`));
  const left = ranges.slice(most).reduce((sum, { low, high }) => sum + high - low + 1, 0);
  return `${shown.join(", ")}${left > 0 ? ` and ${left} more` : ""}`;
}
