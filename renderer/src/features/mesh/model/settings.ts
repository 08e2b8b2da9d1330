import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import type { MeshHealingStatus } from "@wardline/api/wardline/console/v1/mesh";
import { Role } from "@wardline/api/wardline/v1/host";
import { isConnected } from "../../../data/hosts-snapshot.ts";

/** Through which host a coordinator's settings are changed: any member takes them; one where the person is admin, best the coordinator. */
export function hostToAsk({ coordinator, hostIds }: MeshHealingStatus, hosts: readonly Host[]): string {
  const members = hosts.filter(({ id }) => hostIds.includes(id));
  const worth = (host: Host) =>
    (isConnected(host) ? 4 : 0) + (host.role === Role.ADMIN ? 2 : 0) + (host.name === coordinator ? 1 : 0);
  return [...members].sort((a, b) => worth(b) - worth(a))[0]?.id ?? hostIds[0] ?? "";
}

/** Whole seconds of a field; `null` = not one that may be set. */
export function wholeNumber(text: string, least: number, most: number): number | null {
  if (!/^\d{1,6}$/.test(text.trim())) return null;
  const value = Number(text);
  return value >= least && value <= most ? value : null;
}
