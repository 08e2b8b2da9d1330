/** gRPC to an agent over one byte stream, whatever carries it. */
import type { Duplex } from "node:stream";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AgentService } from "@wardline/api/wardline/agent/v1/agent";
import { AnomalyService } from "@wardline/api/wardline/agent/v1/anomaly";
import { ClusterService } from "@wardline/api/wardline/agent/v1/cluster";
import { MeshService } from "@wardline/api/wardline/agent/v1/mesh";
import { RecordService } from "@wardline/api/wardline/agent/v1/records";
import type { AgentLink } from "./dialer.ts";
import { OneSession } from "./one-session.ts";

/** A whole desired state has 16 MiB; nothing that an agent answers is larger, and a hostile one is kept in memory no longer. */
const READ_MAX_BYTES = 24 * 1024 * 1024;
/** HTTP/2 wants an authority; nothing resolves it. */
const BASE_URL = "http://wardline-agent.invalid";

/** The link owns the stream: it ends with it. */
export function http2Link(stream: Duplex): Omit<AgentLink, "session"> {
  const session = new OneSession(BASE_URL, stream);
  const transport = createGrpcTransport({
    baseUrl: BASE_URL,
    sessionManager: session,
    readMaxBytes: READ_MAX_BYTES,
    acceptCompression: [],
  });
  return {
    client: createClient(AgentService, transport),
    cluster: createClient(ClusterService, transport),
    anomalies: createClient(AnomalyService, transport),
    mesh: createClient(MeshService, transport),
    records: createClient(RecordService, transport),
    close: () => {
      session.close();
      stream.destroy();
    },
  };
}
