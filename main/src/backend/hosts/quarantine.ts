/** Quarantines of hosts: setting them, and what the policies mean under them. */
import { create } from "@bufbuild/protobuf";
import { type SetQuarantineRequest, SetQuarantineResponseSchema } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type PolicyWorld, withQuarantines } from "@wardline/domain/policy";
import { boundedReason } from "../rpc/guard.ts";
import { type HostRegistry, hostNameOf } from "./managed-host.ts";

const CALL_TIMEOUT_MS = 10_000;

/** @throws Failure NOT_FOUND, INVALID_ARGUMENT, CONFIRMATION_PENDING, and why the host cannot be reached */
export async function setQuarantine(registry: HostRegistry, request: SetQuarantineRequest) {
  const host = registry.byIdOrName(request.hostId);
  const { lifted, managementCidrs, managementPorts } = request;
  const reason = boundedReason(request.reason);
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

/** The world as the hosts enforce it: with the quarantines that they last reported. */
export function underQuarantines(world: PolicyWorld, registry: HostRegistry): PolicyWorld {
  return registry.hosts.reduce((held, host) => {
    const quarantines = host.connection.state.status?.quarantines ?? [];
    const scopes = quarantines.map((quarantine) => ({ ...quarantine, match: null }));
    return withQuarantines(held, hostNameOf(host), scopes);
  }, world);
}
