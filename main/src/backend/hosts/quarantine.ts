/** Quarantines of hosts: setting them, and what the policies mean under them. */
import { create } from "@bufbuild/protobuf";
import { type SetQuarantineRequest, SetQuarantineResponseSchema } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  cidrContainsAddress,
  type PolicyWorld,
  parseAddress,
  parseCidr,
  withQuarantines,
} from "@wardline/domain/policy";
import { boundedReason } from "../rpc/guard.ts";
import { type HostRegistry, hostNameOf, labelOf, type ManagedHost } from "./managed-host.ts";
import type { SshOrigin } from "./ssh-origins.ts";

const CALL_TIMEOUT_MS = 10_000;
const SSH_PORT = 22;

export interface QuarantinePorts {
  readonly registry: HostRegistry;
  /** From where a host sees this console. */
  readonly originOf: (hostId: string) => SshOrigin | null;
}

/** @throws Failure NOT_FOUND, INVALID_ARGUMENT, CONFIRMATION_PENDING, WOULD_LOCK_OUT, and why the host cannot be reached */
export async function setQuarantine({ registry, originOf }: QuarantinePorts, request: SetQuarantineRequest) {
  const host = registry.byIdOrName(request.hostId);
  const { lifted, managementCidrs, managementPorts } = request;
  const reason = boundedReason(request.reason);
  const isWhole = request.subject === "" || request.subject === `Host/${hostNameOf(host)}`;
  if (!host.local && !lifted && isWhole) {
    // Over the connection it is known for certain from where the host sees us.
    await host.connection.client();
    requireWayBack(host, originOf(host.id), request);
  }
  // The agent has to say its name first: the key of the host is made of it.
  const { status } = await host.connection.call((client) => {
    const subjectKey = request.subject === "" ? `Host/${hostNameOf(host)}` : request.subject;
    const message = { subjectKey, lifted, managementCidrs, managementPorts, reason };
    return client.setQuarantine(message, { timeoutMs: CALL_TIMEOUT_MS });
  });
  if (!status) {
    throw new Failure({ code: ErrorCode.INTERNAL, message: `${hostNameOf(host)} answered without its status.` });
  }
  return create(SetQuarantineResponseSchema, { hostName: hostNameOf(host), status });
}

/** A quarantine of another machine that leaves this console out could be lifted by nobody but its own people. */
function requireWayBack(host: ManagedHost, origin: SshOrigin | null, request: SetQuarantineRequest): void {
  const isLetIn = origin ? letsIn(origin, request) : request.managementCidrs.length > 0;
  if (isLetIn) return;
  const allowance = origin ? `--allow-from ${origin.clientAddress} --port ${origin.serverPort}` : "--allow-from";
  throw new Failure({
    code: ErrorCode.WOULD_LOCK_OUT,
    message: origin
      ? `${labelOf(host)} sees this console at ${origin.clientAddress} on port ${origin.serverPort}, which the quarantine would cut off: nobody could lift it from here. Nothing was changed.`
      : `Nobody knows from where ${labelOf(host)} sees this console, so the quarantine could cut it off for good. Nothing was changed.`,
    hint: `Let the console in with ${allowance}; or, to cut it off altogether, set the quarantine on that machine itself.`,
    host: labelOf(host),
  });
}

function letsIn({ clientAddress, serverPort }: SshOrigin, request: SetQuarantineRequest): boolean {
  const address = parseAddress(clientAddress);
  if (!address.ok) return false;
  // Loopback passes in any quarantine.
  if (clientAddress === "::1" || (address.family === 4 && address.bytes[0] === 127)) return true;
  const { managementCidrs, managementPorts } = request;
  if (!(managementPorts.length === 0 ? serverPort === SSH_PORT : managementPorts.includes(serverPort))) return false;
  return managementCidrs.some((text) => {
    const prefix = parseCidr(text.includes("/") ? text : `${text}/${text.includes(":") ? 128 : 32}`);
    return prefix.ok && cidrContainsAddress(prefix.cidr, address.bytes);
  });
}

/** The world as the hosts enforce it: with the quarantines that they last reported. */
export function underQuarantines(world: PolicyWorld, registry: HostRegistry): PolicyWorld {
  return registry.hosts.reduce((held, host) => {
    const quarantines = host.connection.state.status?.quarantines ?? [];
    const scopes = quarantines.map((quarantine) => ({ ...quarantine, match: null }));
    return withQuarantines(held, hostNameOf(host), scopes);
  }, world);
}
