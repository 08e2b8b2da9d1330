import { useQuery } from "@connectrpc/connect-query";
import { type Host, HostService } from "@wardline/api/wardline/console/v1/hosts";
import { Role } from "@wardline/api/wardline/v1/host";
import { useHostsStream } from "../../../data/context.tsx";
import { isConnected, mayOperate, ROLE_NAMES } from "../../../data/hosts-snapshot.ts";
import { visibleText } from "../../../ui/index.ts";

export interface Permission {
  readonly host: Host | null;
  /** Why it may not be done, in a sentence; empty = it may. */
  readonly refusal: string;
}

/** Whether somebody may change a host's mesh from here, and why not. The host decides again for itself. */
export function usePermission(hostId: string, needs: "operator" | "admin"): Permission {
  const hosts = useHostsStream().value?.hosts ?? [];
  const session = useQuery(HostService.method.getSession, {});
  const host = hosts.find(({ id }) => id === hostId) ?? null;
  return { host, refusal: refusalOf(host, needs, session.data?.readOnly ?? false) };
}

function refusalOf(host: Host | null, needs: "operator" | "admin", isReadOnly: boolean): string {
  if (isReadOnly) return "This console was started to change nothing.";
  if (host === null) return "The host is not managed by this console.";
  const name = visibleText(host.name);
  if (!isConnected(host)) return `${name} is not connected now.`;
  const isAllowed = needs === "admin" ? host.role === Role.ADMIN : mayOperate(host);
  return isAllowed
    ? ""
    : `You are ${ROLE_NAMES[host.role]} on ${name}; it takes ${needs === "admin" ? "an admin" : "an operator"}.`;
}
