/** Every step to the verdict of one part of a cell: each end under the state that decides there. */
import { create, fromBinary } from "@bufbuild/protobuf";
import {
  type ExplainVerdictRequest,
  type ExplainVerdictResponse,
  ExplainVerdictResponseSchema,
  VerdictColumn,
} from "@wardline/api/wardline/console/v1/verdicts";
import { EvaluationSchema, Verdict } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { canonicalAddress } from "@wardline/domain/policy";
import type { HeldThread } from "../../async/thread-pool.ts";
import { type StateWorldPorts, StateWorlds } from "./state-worlds.ts";
import type { ExplainAnswer, ExplainRequest, StateVariant } from "./verdict-protocol.ts";

const MAX_NAME_LENGTH = 600;
const DIGEST = /^([0-9a-f]{64})?$/;

/** @throws Failure INVALID_ARGUMENT, POLICY_INVALID */
export async function explainVerdict(
  ports: StateWorldPorts,
  request: ExplainVerdictRequest,
  thread: HeldThread,
): Promise<ExplainVerdictResponse> {
  const { fromAddress, toAddress } = requireBounds(request);
  const worlds = new StateWorlds(ports, thread);
  const isDraft = request.column === VerdictColumn.DRAFT;
  const variant: StateVariant = request.enforceObserved ? "promoted" : "plain";
  const response = create(ExplainVerdictResponseSchema);
  const side = async (index: 0 | 1): Promise<ExplainAnswer | null> => {
    const digest = isDraft ? worlds.draftDigest : index === 0 ? request.egressStateDigest : request.ingressStateDigest;
    if (digest === "") return null;
    try {
      const { fromKey, toKey, protocol, port } = request;
      const argument: ExplainRequest = {
        ...worlds.frame(),
        ...{ index, fromKey, fromAddress, toKey, toAddress, protocol, port },
        world: await worlds.reference(digest, variant),
      };
      return (await thread.call("explain", argument)) as ExplainAnswer;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      response[index === 0 ? "egressProblem" : "ingressProblem"] = error.message;
      return null;
    }
  };
  // An end that nothing restricts, or that nobody knows, has no steps.
  const known = [await side(0), await side(1)].filter((one) => one !== null);
  const [first, ...others] = known.map(({ evaluation }) => fromBinary(EvaluationSchema, evaluation));
  if (!first) return response;
  first.verdict = known.every(({ isAllowed }) => isAllowed) ? Verdict.ALLOW : Verdict.DENY;
  first.directions.push(...others.flatMap(({ directions }) => directions));
  response.evaluation = first;
  return response;
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
