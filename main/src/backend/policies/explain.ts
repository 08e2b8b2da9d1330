import { create } from "@bufbuild/protobuf";
import { ExplainBasis, type ExplainRequest, ExplainResponseSchema } from "@wardline/api/wardline/console/v1/policies";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { evaluate, readPolicyFiles, resolveFlowEnds, withoutExpired } from "@wardline/domain/policy";
import { toWireEvaluation } from "@wardline/domain/wire";
import type { HostRegistry } from "../hosts/managed-host.ts";
import { underQuarantines } from "../hosts/quarantine.ts";
import type { Clock } from "../ports.ts";
import type { Workspace } from "./workspace.ts";

const MAX_NAME_LENGTH = 600;

export interface ExplainPorts {
  readonly workspace: Workspace;
  readonly registry: HostRegistry;
  readonly clock: Clock;
}

/** The verdict for one connection with every step that led to it. @throws Failure NOT_FOUND, INVALID_ARGUMENT, POLICY_INVALID */
export async function explain(ports: ExplainPorts, request: ExplainRequest) {
  requireBounds(request);
  const current = withoutExpired((await readingFor(ports, request.basis)).world, ports.clock.nowMs());
  const world = underQuarantines(current, ports.registry);
  const { from, to } = resolveFlowEnds(world, request.from, request.to);
  const evaluation = evaluate(world, { from, to, protocol: request.protocol, port: request.port });
  return create(ExplainResponseSchema, {
    evaluation: toWireEvaluation(evaluation),
    fromAddress: from.address,
    toAddress: to.address,
  });
}

async function readingFor({ workspace, registry }: ExplainPorts, basis: ExplainBasis) {
  const enforced = basis === ExplainBasis.ENFORCED;
  const reading = enforced
    ? readPolicyFiles((await registry.local.enforced.fetch()).files)
    : workspace.snapshot().reading;
  if (reading.ok) return reading;
  throw new Failure({
    code: ErrorCode.POLICY_INVALID,
    message: "The policies have errors, so they have no verdict yet.",
    hint: "Correct them first; each error says where it is.",
    diagnostics: reading.diagnostics.filter(({ severity }) => severity === "error").slice(0, 100),
  });
}

function requireBounds(request: ExplainRequest): void {
  const problem =
    request.from.length > MAX_NAME_LENGTH || request.to.length > MAX_NAME_LENGTH
      ? `The name of an end has more than ${MAX_NAME_LENGTH} characters.`
      : request.protocol > 255
        ? `There is no IP protocol ${request.protocol}.`
        : request.port > 65_535
          ? `There is no port ${request.port}.`
          : null;
  if (problem) throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: problem });
}
