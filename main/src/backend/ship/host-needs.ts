/** What is known about connections that a host cannot do without, for the risks of a plan. */
import { readFileSync } from "node:fs";
import { canonicalAddress, type HostNeeds, type NeededConnection, PROTOCOL } from "@wardline/domain/policy";
import { hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { SshOrigin } from "../hosts/ssh-origins.ts";

/** The upstream servers where systemd-resolved stands before them, else what the resolver library asks. */
const RESOLVER_FILES = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"];
const DNS_PORT = 53;
const MAX_RESOLVER_FILE_LENGTH = 64 * 1024;

export type HostNeedsSource = (host: ManagedHost) => HostNeeds;

export interface LocalFacts {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** `null` when there is no such file. */
  readonly readText: (path: string) => string | null;
}

/**
 * Of the machine of the console: its name servers, and the SSH session of the person. Of the others: the connection over
 * which this console manages them, as they see it.
 */
export function createHostNeedsSource(
  facts: LocalFacts = systemFacts(),
  originOf: (hostId: string) => SshOrigin | null = () => null,
): HostNeedsSource {
  return (host) => ({
    hostName: hostNameOf(host),
    connections: host.local
      ? [...sshSession(facts.environment), ...nameServers(facts.readText)]
      : consoleConnection(originOf(host.id)),
  });
}

function consoleConnection(origin: SshOrigin | null): readonly NeededConnection[] {
  if (!origin) return [];
  const { clientAddress, serverPort: port } = origin;
  return [{ purpose: "console", direction: "ingress", remotes: [clientAddress], protocol: PROTOCOL.tcp, port }];
}

/** `SSH_CONNECTION` is client address, client port, server address, server port (sshd(8)). */
function sshSession(environment: LocalFacts["environment"]): readonly NeededConnection[] {
  const [client, , , serverPort] = (environment.SSH_CONNECTION ?? "").split(" ");
  const remote = canonicalAddress(client ?? "");
  const port = Number(serverPort);
  if (remote === null || !Number.isInteger(port) || port < 1 || port > 0xffff) return [];
  return [{ purpose: "console", direction: "ingress", remotes: [remote], protocol: PROTOCOL.tcp, port }];
}

function nameServers(readText: LocalFacts["readText"]): readonly NeededConnection[] {
  const text = RESOLVER_FILES.map(readText).find((found) => found !== null);
  const remotes = [...(text ?? "").matchAll(/^nameserver[ \t]+(\S+)/gm)].flatMap(
    ([, address]) => canonicalAddress(address ?? "") ?? [],
  );
  if (remotes.length === 0) return [];
  return [{ purpose: "dns", direction: "egress", remotes, protocol: PROTOCOL.udp, port: DNS_PORT }];
}

export function systemFacts(): LocalFacts {
  return {
    environment: process.env,
    readText(path) {
      try {
        return readFileSync(path, "utf8").slice(0, MAX_RESOLVER_FILE_LENGTH);
      } catch {
        return null;
      }
    },
  };
}
