/** The gRPC server on its Unix socket. */
import { createServer, type Http2Server } from "node:http2";
import type { DescService } from "@bufbuild/protobuf";
import { type ConnectRouter, createContextValues, type MethodImpl, type ServiceImpl } from "@connectrpc/connect";
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
import { methodName } from "./methods.ts";
import { PEER, type PeerListener } from "./peers.ts";
import { maxBytesOf, RequestIntake } from "./requestIntake.ts";
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
      addService(router, AgentService, rpcs.routes());
      addService(router, ClusterService, cluster.routes());
      addService(router, RecordService, records.routes());
      addService(router, AnomalyService, anomaly.routes());
      addService(router, MeshService, mesh.routes());
      addService(router, Health, healthRoutes(isServing));
    },
    grpcWeb: false,
    connect: false,
    writeMaxBytes: MAX_RESPONSE_BYTES,
    compressMinBytes: COMPRESS_MIN_BYTES,
    maxTimeoutMs: MAX_TIMEOUT_MS,
    requestGate: guard.gate,
    interceptors: [guard.interceptor],
    shutdownSignal,
    contextValues: (request) =>
      createContextValues().set(PEER, peers.peerOf("stream" in request ? request.stream.session : undefined)),
  });
  const intake = new RequestIntake();
  http2.on("request", (request, response) => {
    const userId = peers.peerOf(request.stream.session).credentials?.userId ?? null;
    if (intake.take(request, userId)) void handler(request, response);
  });
}

/** Each method reads as much as it needs, and no more. */
function addService<Service extends DescService>(
  router: ConnectRouter,
  service: Service,
  implementation: ServiceImpl<Service>,
): void {
  for (const method of service.methods) {
    const one = Reflect.get(implementation, method.localName) as MethodImpl<typeof method>;
    router.rpc(method, one, { readMaxBytes: maxBytesOf(methodName(method)) });
  }
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
