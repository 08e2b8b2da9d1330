/** What a caller says about a peer, checked and bounded. */
import { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { interfaceNameProblem, type PeerUri, parsePeerUri } from "@wardline/domain/mesh";

const MAX_REASON_LENGTH = 500;

export interface PeerEdit {
  readonly provider: MeshProvider;
  readonly peer: PeerUri;
  readonly interfaceName: string;
  readonly dryRun: boolean;
}

interface PeerRequest {
  readonly provider: MeshProvider;
  readonly uri: string;
  readonly interfaceName: string;
  readonly dryRun: boolean;
  readonly reason: string;
}

/** Throws `Failure` INVALID_ARGUMENT, and HOST_UNSUPPORTED for a mesh that finds its peers by itself. */
export function readPeerEdit(request: PeerRequest): PeerEdit {
  const { provider, uri, interfaceName, dryRun, reason } = request;
  if (provider === MeshProvider.UNSPECIFIED || MeshProvider[provider] === undefined) {
    throw invalid("Say which mesh the peer belongs to.");
  }
  if (provider !== MeshProvider.YGGDRASIL) throw noPeers(provider);
  const parsed = parsePeerUri(uri);
  if (!parsed.ok) throw invalid(parsed.problem);
  const interfaceProblem = interfaceNameProblem(interfaceName);
  if (interfaceProblem !== "") throw invalid(interfaceProblem);
  if (reason.length > MAX_REASON_LENGTH) throw invalid(`The reason is longer than ${MAX_REASON_LENGTH} characters.`);
  return { provider, peer: parsed.peer, interfaceName, dryRun };
}

function noPeers(provider: MeshProvider): Failure {
  const name =
    provider === MeshProvider.BATMAN ? "batman-adv finds its neighbours by itself" : "Links are only measured";
  const message = `${name}: peers are neither added nor removed.`;
  return new Failure({ code: ErrorCode.HOST_UNSUPPORTED, message });
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}
