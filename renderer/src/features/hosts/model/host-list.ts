/** The list of hosts: this machine first, then by environment; what is looked for in names, groups and labels. */
import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import { EnvironmentColor } from "@wardline/api/wardline/console/v1/hosts";

export interface HostGroup {
  /** Name of the environment; empty for hosts without one. */
  readonly name: string;
  readonly color: EnvironmentColor;
  readonly hosts: readonly Host[];
}

/** Red before amber before the others: what can hurt most comes first. */
const ORDER: readonly EnvironmentColor[] = [
  EnvironmentColor.RED,
  EnvironmentColor.AMBER,
  EnvironmentColor.BLUE,
  EnvironmentColor.GREEN,
  EnvironmentColor.GREY,
  EnvironmentColor.UNSPECIFIED,
];

export function matchesSearch(host: Host, search: string): boolean {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const { name, alias, groups, environment, labels, access } = host;
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  const text = [name, alias, environment?.name, access?.address, ...groups, ...pairs].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

export function groupHosts(hosts: readonly Host[], search: string): HostGroup[] {
  const groups = new Map<string, { name: string; color: EnvironmentColor; hosts: Host[] }>();
  for (const host of hosts) {
    if (!matchesSearch(host, search)) continue;
    const name = host.environment?.name ?? "";
    const group = groups.get(name) ?? { name, color: EnvironmentColor.UNSPECIFIED, hosts: [] };
    group.hosts.push(host);
    if (host.environment && ORDER.indexOf(host.environment.color) < ORDER.indexOf(group.color))
      group.color = host.environment.color;
    groups.set(name, group);
  }
  for (const group of groups.values())
    group.hosts.sort((a, b) => Number(b.local) - Number(a.local) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const rank = (group: HostGroup) => (group.name === "" ? ORDER.length : ORDER.indexOf(group.color));
  return [...groups.values()].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}
