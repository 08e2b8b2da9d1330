/** The gRPC server on its Unix socket. */
import { createServer, type Http2Server } from "node:http2";
import { createContextValues } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Health } from "@wardline/api/grpc/health/v1/health";
import { AgentService } from "@wardline/api/wardline/agent/v1/agent";
import { AnomalyService } from "@wardline/api/wardline/agent/v1/anomaly";
import { ClusterService } from "@wardline/api/wardline/agent/v1/cluster";
import { MeshService } from "@wardline/api/wardline/agent/v1/mesh";
import { RecordService } from "@wardline/api/wardline/agent/v1/records";
import type { AnomalyRpcs } from "../anomaly/anomalyService.ts";
import type { ClusterRpcs } from "../cluster/service/clusterService.ts";
import type { RecordRpcs } from "../flows/records/recordRpcs.ts";
import type { MeshRpcs } from "../mesh/meshService.ts";
import type { AgentRpcs } from "./agentService.ts";
import type { Guard } from "./guard.ts";
import { healthRoutes } from "./health.ts";
import { PEER, type PeerListener } from "./peers.ts";
import { MAX_REQUEST_BYTES } from "./requests.ts";
import { bindSocket } from "./socket.ts";

const MAX_RESPONSE_BYTES = 64 * 1024 * 1024;
/** The socket is local or inside SSH: small messages are cheaper uncompressed. */
const COMPRESS_MIN_BYTES = 64 * 1024;
const MAX_TIMEOUT_MS = 24 * 3_600_000;

export function createHttp2Server(): Http2Server {
  return createServer({
    maxSessionMemory: 64,
    settings: { maxConcurrentStreams: 64, initialWindowSize: 1024 * 1024 },
  });
}

export interface ServerParts {
  readonly http2: Http2Server;
  readonly peers: PeerListener;
  readonly guard: Guard;
  readonly rpcs: AgentRpcs;
  readonly cluster: ClusterRpcs;
  readonly records: RecordRpcs;
  readonly anomaly: AnomalyRpcs;
  readonly mesh: MeshRpcs;
  readonly isServing: () => boolean;
}

export interface RunningServer {
  close(): Promise<void>;
}

function route(
  { http2, peers, guard, rpcs, cluster, records, anomaly, mesh, isServing }: ServerParts,
  shutdownSignal: AbortSignal,
): void {
  const handler = connectNodeAdapter({
    routes: (router) => {
      router.service(AgentService, rpcs.routes());
      router.service(ClusterService, cluster.routes());
      router.service(RecordService, records.routes());
      router.service(AnomalyService, anomaly.routes());
      router.service(MeshService, mesh.routes());
      router.service(Health, healthRoutes(isServing));
    },
    grpcWeb: false,
    connect: false,
    readMaxBytes: MAX_REQUEST_BYTES,
    writeMaxBytes: MAX_RESPONSE_BYTES,
    compressMinBytes: COMPRESS_MIN_BYTES,
    maxTimeoutMs: MAX_TIMEOUT_MS,
    requestGate: guard.gate,
    interceptors: [guard.interceptor],
    shutdownSignal,
    contextValues: (request) =>
      createContextValues().set(PEER, peers.peerOf("stream" in request ? request.stream.session : undefined)),
  });
  http2.on("request", (request, response) => void handler(request, response));
}

/** Serves until closed. `groupId` may open the socket besides root; see bindSocket for what it throws. */
export async function serve(parts: ServerParts, socketPath: string, groupId: number | null): Promise<RunningServer> {
  const shutdown = new AbortController();
  route(parts, shutdown.signal);
  const bound = await bindSocket(parts.peers.server, socketPath, groupId);
  return {
    async close() {
      shutdown.abort();
      await parts.peers.close();
      bound.unbind();
    },
  };
}
