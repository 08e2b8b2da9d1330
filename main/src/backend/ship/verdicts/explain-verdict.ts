/** Every step to the verdict of one part of a cell: each end under the state that decides there. */
import { create } from "@bufbuild/protobuf";
import {
  type ExplainVerdictRequest,
  type ExplainVerdictResponse,
  ExplainVerdictResponseSchema,
  VerdictColumn,
} from "@wardline/api/wardline/console/v1/verdicts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  canonicalAddress,
  type DirectionEvaluation,
  effectiveAddresses,
  evaluate,
  type FlowEnd,
  type PolicyWorld,
} from "@wardline/domain/policy";
import { toWireEvaluation } from "@wardline/domain/wire";
import { type StateVariant, type StateWorldPorts, StateWorlds } from "./state-worlds.ts";

const MAX_NAME_LENGTH = 600;
const DIGEST = /^([0-9a-f]{64})?$/;

/** @throws Failure INVALID_ARGUMENT, POLICY_INVALID */
export async function explainVerdict(
  ports: StateWorldPorts,
  request: ExplainVerdictRequest,
): Promise<ExplainVerdictResponse> {
  const { fromAddress, toAddress } = requireBounds(request);
  const worlds = new StateWorlds(ports);
  const isDraft = request.column === VerdictColumn.DRAFT;
  const variant: StateVariant = request.enforceObserved ? "promoted" : "plain";
  const response = create(ExplainVerdictResponseSchema);
  const side = async (index: 0 | 1): Promise<DirectionEvaluation | null> => {
    const digest = isDraft ? worlds.draftDigest : index === 0 ? request.egressStateDigest : request.ingressStateDigest;
    if (digest === "") return null;
    try {
      const world = await worlds.world(digest, variant);
      const from = endIn(world, request.fromKey, fromAddress);
      const to = endIn(world, request.toKey, toAddress);
      const { protocol, port } = request;
      return evaluate(world, { from, to, protocol, port }).directions[index];
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      response[index === 0 ? "egressProblem" : "ingressProblem"] = error.message;
      return null;
    }
  };
  const known = [await side(0), await side(1)].filter((one) => one !== null);
  const [first, second = first] = known;
  if (!first || !second) return response;
  const verdict = known.every((one) => one.verdict === "allow") ? "allow" : "deny";
  response.evaluation = toWireEvaluation({ verdict, directions: [first, second] });
  // An end that nothing restricts, or that nobody knows, has no steps.
  if (known.length === 1) response.evaluation.directions = response.evaluation.directions.slice(0, 1);
  return response;
}

/** As the table sees it: the endpoint where this state knows it at the address, else whoever is there, else nobody. */
function endIn({ inventory }: PolicyWorld, key: string, address: string): FlowEnd {
  const here = inventory.endpoints.filter((endpoint) =>
    effectiveAddresses(inventory, endpoint).some((own) => canonicalAddress(own) === address),
  );
  const hosts = here.filter(({ kind }) => kind === "host");
  const rest = [...(hosts.length > 0 ? hosts : here)].sort((left, right) => (left.key < right.key ? -1 : 1));
  const owner = here.find((endpoint) => endpoint.key === key) ?? (key === "" ? undefined : rest[0]);
  return { endpointKey: owner?.key ?? null, address };
}

function requireBounds(request: ExplainVerdictRequest) {
  const fromAddress = canonicalAddress(request.fromAddress);
  const toAddress = canonicalAddress(request.toAddress);
  const problem =
    request.fromKey.length > MAX_NAME_LENGTH || request.toKey.length > MAX_NAME_LENGTH
      ? `The name of an end has more than ${MAX_NAME_LENGTH} characters.`
      : request.protocol > 255
        ? `There is no IP protocol ${request.protocol}.`
        : request.port > 65_535
          ? `There is no port ${request.port}.`
          : !DIGEST.test(request.egressStateDigest) || !DIGEST.test(request.ingressStateDigest)
            ? "The digest of a state has 64 hex digits."
            : null;
  if (problem === null && fromAddress !== null && toAddress !== null) return { fromAddress, toAddress };
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: problem ?? "Both ends of a connection need an address.",
  });
}
