/** `--hosts SELECTOR` of every command (see `domain/fleet/selector`): the ids of the hosts that are meant. */
import { selectHosts } from "@wardline/domain/fleet";
import type { Session } from "../session.ts";

/** In the order of the list. @throws Failure INVALID_ARGUMENT, NOT_FOUND */
export function selectHostIds(session: Pick<Session, "backend">, selector: string): string[] {
  const { registry, services } = session.backend;
  const hosts = registry.hosts.map((host) => {
    const { id, name, labels } = services.hosts.describe(host);
    const { alias, groups, environment } = host.record;
    return { id, name, alias, groups, environment: environment?.name ?? "", labels: new Map(Object.entries(labels)) };
  });
  return selectHosts(selector, hosts).map(({ id }) => id);
}
