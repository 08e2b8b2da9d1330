/** gRPC to an agent over one byte stream, whatever carries it. */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { AgentService } from "@wardline/api/wardline/agent/v1/agent";
import type { AgentLink } from "./dialer.ts";
import { withWholeAnswers } from "./whole-answers.ts";

/** A whole desired state has 16 MiB; nothing that an agent answers is larger, and a hostile one is kept in memory no longer. */
const READ_MAX_BYTES = 24 * 1024 * 1024;
/** HTTP/2 wants an authority; nothing resolves it. */
const BASE_URL = "http://wardline-agent.invalid";

/** The link owns the stream: it ends with it. */
export function http2Link(stream: Duplex): Pick<AgentLink, "client" | "close"> {
  let unused: Duplex | null = stream;
  const sessions = new Http2SessionManager(
    BASE_URL,
    { pingIntervalMs: 10_000, pingTimeoutMs: 5_000, idleConnectionTimeoutMs: 60 * 60_000 },
    {
      createConnection: () => {
        // A link is one connection: what was learned in its handshake must not be assumed of another agent process.
        const next = unused ?? new Socket().destroy(new Error("the connection to the agent has ended"));
        unused = null;
        return next;
      },
    },
  );
  const transport = createGrpcTransport({
    baseUrl: BASE_URL,
    sessionManager: withWholeAnswers(sessions),
    readMaxBytes: READ_MAX_BYTES,
    acceptCompression: [],
  });
  return {
    client: createClient(AgentService, transport),
    close: () => {
      sessions.abort();
      stream.destroy();
    },
  };
}
