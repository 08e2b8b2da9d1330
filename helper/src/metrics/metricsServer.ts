/** The endpoint that Prometheus asks: one path, read only, a few requests at a time. */
import { timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, isIP } from "node:net";
import type { Logger } from "pino";

export interface MetricsAddress {
  readonly host: string;
  readonly port: number;
}

export interface MetricsServerOptions {
  readonly address: MetricsAddress;
  /** Asked for as `Authorization: Bearer …`; `null` only on loopback. */
  readonly token: string | null;
  readonly render: () => Promise<{ readonly text: string; readonly contentType: string }>;
  readonly log: Logger;
}

export interface RunningMetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 16;
const MAX_HEADER_BYTES = 8 * 1024;
const REQUEST_TIMEOUT_MS = 5_000;
/** A scrape reads counters of every rule: what two readers ask at once is read once. */
const FRESH_MS = 200;

export function isLoopback(host: string): boolean {
  return host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** Rejects with the system's error when the address cannot be had. */
export async function serveMetrics(options: MetricsServerOptions): Promise<RunningMetricsServer> {
  if (options.token === null && !isLoopback(options.address.host))
    throw new Error("metrics outside of loopback need a token");
  let kept: { readonly atMs: number; readonly answer: ReturnType<MetricsServerOptions["render"]> } | null = null;
  const render = () => {
    const nowMs = performance.now();
    if (kept === null || nowMs - kept.atMs > FRESH_MS) kept = { atMs: nowMs, answer: options.render() };
    return kept.answer;
  };
  const server = createServer(
    { maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
    (request, response) => void answer(request, response, options, render),
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.keepAliveTimeout = 30_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.address.port, options.address.host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  server.on("error", (error) => options.log.warn({ err: error }, "the metrics endpoint has a problem"));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { token, log }: MetricsServerOptions,
  render: MetricsServerOptions["render"],
): Promise<void> {
  response.setHeader("cache-control", "no-store");
  response.setHeader("x-content-type-options", "nosniff");
  if (token !== null && !isRight(request.headers.authorization, token)) {
    response.writeHead(401, { "www-authenticate": 'Bearer realm="metrics"' }).end("A token is needed.\n");
    return;
  }
  const path = request.url?.split("?")[0];
  if (path !== "/metrics") {
    response.writeHead(404).end("Metrics are at /metrics.\n");
    return;
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { allow: "GET, HEAD" }).end();
    return;
  }
  try {
    const { text, contentType } = await render();
    response.writeHead(200, { "content-type": contentType });
    response.end(request.method === "HEAD" ? undefined : text);
  } catch (error) {
    log.error({ err: error }, "metrics could not be read");
    response.writeHead(500).end("Metrics could not be read; the agent's log says why.\n");
  }
}

/** Compared in a time that does not depend on where they differ. */
function isRight(given: string | undefined, token: string): boolean {
  const expected = Buffer.from(`Bearer ${token}`);
  const presented = Buffer.from(given ?? "");
  return presented.length === expected.length && timingSafeEqual(presented, expected);
}
