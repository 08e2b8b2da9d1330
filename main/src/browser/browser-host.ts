/**
 * The console in a browser: an HTTP server on 127.0.0.1 that serves the built renderer and the backend's services under
 * `/rpc/`. Loopback is shared by every user and every web page of this machine, so each request proves that it comes
 * from our own page in a browser that was let in with a one-time token.
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Backend } from "../backend/backend.ts";
import { type Clock, type Logger, silentLogger, systemClock } from "../backend/ports.ts";
import { RENDERER_DIST_DIR, RendererFiles } from "./renderer-files.ts";
import { createRequestHandler } from "./request-handler.ts";
import { SessionGate } from "./session-gate.ts";

const LOOPBACK = "127.0.0.1";

export interface BrowserHostOptions {
  readonly backend: Pick<Backend, "routes">;
  /** 0 or absent = a free one. */
  readonly port?: number;
  readonly distDir?: string;
  /** Shows the URL to the person; a failure is not fatal, because the URL is printed as well. */
  readonly openBrowser?: (url: string) => Promise<unknown>;
  readonly clock?: Pick<Clock, "nowMs">;
  readonly logger?: Logger;
}

export interface BrowserHost {
  /** With a token that opens one session. Never log it. */
  readonly url: string;
  readonly origin: string;
  /** Another link, for another browser or when the first was lost. */
  createLoginUrl(): string;
  close(): Promise<void>;
}

/** @throws Failure NOT_FOUND (renderer not built), ALREADY_EXISTS (port taken) */
export async function startBrowserHost(options: BrowserHostOptions): Promise<BrowserHost> {
  const { logger = silentLogger, clock = systemClock } = options;
  const gate = new SessionGate(clock);
  const files = new RendererFiles(options.distDir ?? RENDERER_DIST_DIR);
  const server = createServer({ maxHeaderSize: 16 * 1024, connectionsCheckingInterval: 2000 });
  limit(server);
  const port = await listen(server, options.port ?? 0);
  const origin = `http://${LOOPBACK}:${port}`;
  server.on("request", createRequestHandler({ backend: options.backend, gate, files, port, logger }));
  const createLoginUrl = () => `${origin}/?token=${gate.createToken()}`;
  const url = createLoginUrl();
  logger.info({ origin }, "browser host listens");
  options.openBrowser?.(url).catch((error: unknown) => logger.warn({ err: error }, "browser not opened"));
  return {
    url,
    origin,
    createLoginUrl,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A client that sends slowly, or opens connections and sends nothing, does not keep others out. */
function limit(server: Server): void {
  server.headersTimeout = 10_000;
  server.requestTimeout = 60_000;
  server.keepAliveTimeout = 10_000;
  server.maxHeadersCount = 100;
  server.maxConnections = 256;
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        error.code === "EADDRINUSE"
          ? new Failure({
              code: ErrorCode.ALREADY_EXISTS,
              message: `Port ${port} on ${LOOPBACK} is taken by another program.`,
              hint: "Choose another port, or none to get a free one.",
            })
          : error,
      ),
    );
    server.listen({ host: LOOPBACK, port }, () => resolve((server.address() as AddressInfo).port));
  });
}
