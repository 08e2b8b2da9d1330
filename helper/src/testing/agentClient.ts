/** A gRPC client of an agent's socket. Each client is one new connection. */
import { connect, type Socket } from "node:net";
import { type Client, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Health } from "@wardline/api/grpc/health/v1/health";
import { AgentService } from "@wardline/api/wardline/agent/v1/agent";
import { AnomalyService } from "@wardline/api/wardline/agent/v1/anomaly";
import { ClusterService } from "@wardline/api/wardline/agent/v1/cluster";
import { MeshService } from "@wardline/api/wardline/agent/v1/mesh";
import { RecordService } from "@wardline/api/wardline/agent/v1/records";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { failureFromConnectError } from "@wardline/domain/wire";
import { LinkSessions } from "../cluster/peers/linkSessions.ts";

/** HTTP/2 wants an authority; nothing resolves it. */
const BASE_URL = "http://agent";

export interface AgentClient {
  readonly agent: Client<typeof AgentService>;
  readonly cluster: Client<typeof ClusterService>;
  readonly anomalies: Client<typeof AnomalyService>;
  readonly mesh: Client<typeof MeshService>;
  readonly records: Client<typeof RecordService>;
  readonly health: Client<typeof Health>;
  close(): void;
}

export function connectAgent(socketPath: string): AgentClient {
  const sockets: Socket[] = [];
  const createConnection = () => {
    const socket = connect(socketPath);
    sockets.push(socket);
    return socket;
  };
  const sessionManager = new LinkSessions(BASE_URL, {}, { createConnection });
  const transport = createGrpcTransport({ baseUrl: BASE_URL, sessionManager });
  return {
    agent: createClient(AgentService, transport),
    cluster: createClient(ClusterService, transport),
    anomalies: createClient(AnomalyService, transport),
    mesh: createClient(MeshService, transport),
    records: createClient(RecordService, transport),
    health: createClient(Health, transport),
    close: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Name of the code with which a call failed; `ok` when it did not. A foreign error is named by its gRPC status. */
export async function outcomeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "ok";
  } catch (error) {
    const failure = failureFromConnectError(error);
    if (failure) return ErrorCode[failure.code];
    return error instanceof ConnectError ? `grpc ${error.code}` : String(error);
  }
}
