/** Judges each request before anything answers it: host, method, origin, session, size. */
import type { IncomingMessage, OutgoingHttpHeaders, RequestListener, ServerResponse } from "node:http";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Backend } from "../backend/backend.ts";
import type { Logger } from "../backend/ports.ts";
import { contentSecurityPolicy, createNonce, SECURITY_HEADERS } from "./content-security.ts";
import { PAGES } from "./pages.ts";
import type { RendererFiles } from "./renderer-files.ts";
import type { SessionGate } from "./session-gate.ts";

const RPC_PREFIX = "/rpc";
/** A drop of 16 MiB, also as JSON with base64, and some room. */
const MAX_BODY_BYTES = 32 * 1024 * 1024;

/**
 * Browsers open at most six HTTP/1.1 connections to one host. Streams of several windows would take them all and every
 * other call would wait for ever, so that one connection stays free and the window that is too much is told.
 */
const MAX_STREAMS = 5;

export interface RequestHandlerPorts {
  readonly backend: Pick<Backend, "routes">;
  readonly gate: SessionGate;
  readonly files: RendererFiles;
  readonly port: number;
  readonly logger: Logger;
}

interface Reply {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
}

interface Refusal {
  readonly status: number;
  readonly reason: string;
}

export function createRequestHandler(ports: RequestHandlerPorts): RequestListener {
  const { backend, port, gate, logger } = ports;
  const hosts = new Set([`127.0.0.1:${port}`, `localhost:${port}`]);
  // Cookies do not know ports: two consoles of one machine must not overwrite each other's.
  const cookieName = `wardline_session_${port}`;
  const rpc = connectNodeAdapter({
    routes: (router) => backend.routes(router),
    requestPathPrefix: RPC_PREFIX,
    readMaxBytes: MAX_BODY_BYTES,
    // Nothing leaves this machine: packing an answer and unpacking it takes longer than to send it as it is.
    acceptCompression: [],
  });
  /** By session: another browser has connections of its own. */
  const openStreams = new Map<string, number>();
  return (request, response) => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    const target = targetOf(request, hosts);
    const isRpc = target?.pathname.startsWith(`${RPC_PREFIX}/`) ?? false;
    const session = sessionsOf(request, cookieName).find((candidate) => gate.isSession(candidate)) ?? "";
    const hasSession = session !== "";
    const streams = openStreams.get(session) ?? 0;
    const refusal = target ? (isRpc ? judgeCall(request, hasSession) : judgePage(request)) : WRONG_HOST;
    if (refusal || !target) {
      refuse(request, response, refusal ?? WRONG_HOST);
      logger.warn({ ...refusal, method: request.method }, "request refused");
    } else if (isRpc && isStream(request) && streams >= MAX_STREAMS) {
      logger.warn({ streams }, "stream refused");
      response.writeHead(429, { "content-type": "application/json" });
      response.end(JSON.stringify({ code: "resource_exhausted", message: TOO_MANY_WINDOWS }));
    } else if (isRpc) {
      if (isStream(request)) {
        openStreams.set(session, streams + 1);
        response.once("close", () => openStreams.set(session, (openStreams.get(session) ?? 1) - 1));
      }
      response.setHeader("cache-control", "no-store");
      rpc(request, response);
    } else {
      const reply = answerPage(ports, target, request, hasSession, cookieName);
      response.writeHead(reply.status, { "content-length": reply.body.length, ...reply.headers });
      response.end(request.method === "HEAD" ? undefined : reply.body);
    }
  };
}

const TOO_MANY_WINDOWS = "The console is open in too many windows of this browser. Close one of them.";

function isStream(request: IncomingMessage): boolean {
  return request.headers["content-type"]?.startsWith("application/connect+") ?? false;
}

const WRONG_HOST: Refusal = { status: 421, reason: "host" };

/** A page of another name that resolves to 127.0.0.1 (DNS rebinding) still sends its own name here. */
function targetOf(request: IncomingMessage, hosts: ReadonlySet<string>): URL | null {
  const host = request.headers.host ?? "";
  if (!hosts.has(host)) return null;
  const target = URL.parse(request.url ?? "/", `http://${host}`);
  return target?.host === host ? target : null;
}

/** A call comes from our own page: its origin says so, and no link, form or image can make a POST with that origin. */
function judgeCall(request: IncomingMessage, hasSession: boolean): Refusal | null {
  const { headers, method } = request;
  const site = headers["sec-fetch-site"];
  if (method !== "POST") return { status: 405, reason: "method" };
  if (headers.origin !== `http://${headers.host}`) return { status: 403, reason: "origin" };
  if (site !== undefined && site !== "same-origin") return { status: 403, reason: "site" };
  if (!hasSession) return { status: 401, reason: "session" };
  if (Number(headers["content-length"] ?? 0) > MAX_BODY_BYTES) return { status: 413, reason: "size" };
  return null;
}

function judgePage(request: IncomingMessage): Refusal | null {
  return request.method === "GET" || request.method === "HEAD" ? null : { status: 405, reason: "method" };
}

function answerPage(
  ports: RequestHandlerPorts,
  target: URL,
  request: IncomingMessage,
  hasSession: boolean,
  cookieName: string,
): Reply {
  const token = target.pathname === "/" ? target.searchParams.get("token") : null;
  if (token !== null) return redeem(ports, token, cookieName);
  const nonce = createNonce();
  if (!hasSession) {
    const { "sec-fetch-site": site, "sec-fetch-mode": mode } = request.headers;
    const comesFromElsewhere = target.pathname === "/" && site === "cross-site" && mode === "navigate";
    // Only what the address says: with `?continue` it does not go round again.
    if (comesFromElsewhere && target.search === "") return page(200, PAGES.continue(nonce), nonce);
    return page(401, PAGES.noSession(nonce), nonce);
  }
  if (target.pathname === "/") return page(200, ports.files.index(nonce), nonce);
  const file = ports.files.find(target.pathname);
  if (!file) return page(404, PAGES.notFound(nonce), nonce);
  const cacheControl = file.immutable ? "private, max-age=31536000, immutable" : "no-store";
  return { status: 200, headers: { "content-type": file.contentType, "cache-control": cacheControl }, body: file.body };
}

function redeem({ gate, logger }: RequestHandlerPorts, token: string, cookieName: string): Reply {
  const result = gate.redeem(token);
  if ("session" in result) {
    const cookie = `${cookieName}=${result.session}; Path=/; HttpOnly; SameSite=Strict`;
    const headers = { location: "/", "set-cookie": cookie, "cache-control": "no-store" };
    return { status: 303, headers, body: Buffer.alloc(0) };
  }
  logger.warn({ reason: result.refused }, "token refused");
  const nonce = createNonce();
  const html = { used: PAGES.tokenUsed, expired: PAGES.tokenExpired, unknown: PAGES.tokenUnknown }[result.refused];
  return page(403, html(nonce), nonce);
}

function page(status: number, html: string | Buffer, nonce: string): Reply {
  return {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": contentSecurityPolicy(nonce),
      "cache-control": "no-store",
    },
    body: Buffer.from(html),
  };
}

function sessionsOf(request: IncomingMessage, cookieName: string): string[] {
  return (request.headers.cookie ?? "").split(";").flatMap((part) => {
    const [name, value] = part.trim().split("=", 2);
    return name === cookieName && value ? [value] : [];
  });
}

/** Says little: whoever comes here is not our page. What is still being sent is not read. */
function refuse(request: IncomingMessage, response: ServerResponse, { status, reason }: Refusal): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", connection: "close" });
  response.end(`refused: ${reason}\n`);
  response.once("finish", () => request.destroy());
}
