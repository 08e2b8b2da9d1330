/** The peer service of this node: HTTP/2 over mutual TLS on its peer address. */
import { constants } from "node:crypto";
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from "node:http2";
import { createContextValues, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToConnectError } from "@wardline/domain/wire";
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import { parsePeerAddress } from "../../identity/peerAddress.ts";
import type { MemberDirectory } from "../../identity/ports.ts";
import { ADMITTED, SESSION } from "./context.ts";
import { Handshakes } from "./handshakes.ts";
import type { LinkIdentity } from "./linkIdentity.ts";
import { PeerGate } from "./peerGate.ts";
import { boundedCalls, peerRoutes } from "./peerRoutes.ts";
import type { PeerHandlers } from "./ports.ts";
import { PeerSessions } from "./sessions.ts";
import { ALPN, HANDSHAKE_TIMEOUT_MS, TLS_OPTIONS } from "./tlsLinks.ts";

export interface PeerServerPorts {
  readonly identity: LinkIdentity;
  readonly directory: MemberDirectory;
  readonly handlers: PeerHandlers;
  readonly clock: Clock;
  readonly log: Logger;
  /** `10.0.0.1:7443`; the configured peer address of this node. */
  readonly peerAddress: string;
}

const MAX_CONNECTIONS = 20_000;
/** Connections without a certificate that holds, all together: hosts that join, and who has no business here. */
const MAX_STRANGERS = 128;
/** A stranger's connection: a Join takes less. */
const STRANGER_MS = 30_000;
/** At once on one such connection: a Join is one. */
const MAX_STRANGER_STREAMS = 4;
const RECHECK_EVERY_MS = 30_000;
const MAX_STREAMS = 32;
const LAST_ANSWER_MS = 2_000;

export class PeerServer {
  readonly #ports: PeerServerPorts;
  readonly #gate: PeerGate;
  readonly #sessions = new PeerSessions();
  readonly #handshakes = new Handshakes();
  readonly #shutdown = new AbortController();
  readonly #ends: (() => void)[] = [];
  #server: Http2SecureServer | null = null;
  #recheck: Promise<void> | null = null;

  constructor(ports: PeerServerPorts) {
    this.#ports = ports;
    const { directory, identity, clock } = ports;
    this.#gate = new PeerGate({ directory, clock, roots: () => identity.roots });
  }

  /** Throws INVALID_ARGUMENT when the address cannot be listened on, IDENTITY_REFUSED while this node's certificate is over. */
  async listen(): Promise<void> {
    const { ipAddress, port } = parsePeerAddress(this.#ports.peerAddress);
    const server = this.#createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(cannotListen(this.#ports.peerAddress, error)));
      server.listen({ host: ipAddress, port }, resolve);
    });
    this.#server = server;
    this.#ends.push(this.#ports.identity.onChange(() => this.#swapContext()));
    this.#ends.push(this.#ports.directory.onChange(() => this.#recheckSoon()));
    this.#scheduleRecheck();
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#sessions.size;
  }

  /** Connections that have not come to the end of their handshake. */
  get handshakes(): number {
    return this.#handshakes.size;
  }

  async close(): Promise<void> {
    for (const end of this.#ends.splice(0)) end();
    this.#shutdown.abort();
    for (const { session } of this.#sessions.all()) session.destroy();
    this.#handshakes.end();
    const server = this.#server;
    this.#server = null;
    if (server) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  #createServer(): Http2SecureServer {
    const server = createSecureServer({
      ...this.#ports.identity.credentials(),
      ...TLS_OPTIONS,
      secureOptions: constants.SSL_OP_NO_TICKET,
      ALPNProtocols: [...ALPN],
      // Asked for, and judged by PeerGate: a host that joins has none.
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxSessionMemory: 32,
      settings: { maxConcurrentStreams: MAX_STREAMS, initialWindowSize: 256 * 1024 },
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.on("session", (session) => this.#accept(session));
    this.#handshakes.watch(server);
    server.on("unknownProtocol", (socket) => socket.destroy());
    server.on("sessionError", (_error, session) => session.destroy());
    const handler = this.#handler();
    server.on("request", (request, response) => void handler(request, response));
    return server;
  }

  #handler() {
    const { handlers, log } = this.#ports;
    return connectNodeAdapter({
      routes: (router) =>
        peerRoutes(router, { handlers, wallMs: () => this.#ports.clock.wallMs(), selfName: this.#ports.identity.name }),
      grpcWeb: false,
      connect: false,
      acceptCompression: [],
      maxTimeoutMs: 120_000,
      requestGate: (context) => this.#admit(context),
      interceptors: [boundedCalls(log)],
      shutdownSignal: this.#shutdown.signal,
      contextValues: (request) => {
        const session = "stream" in request ? request.stream.session : undefined;
        return createContextValues().set(SESSION, this.#sessions.of(session));
      },
    });
  }

  async #admit(context: HandlerContext): Promise<void> {
    const session = context.values.get(SESSION);
    try {
      // Fails when this node's own certificate is over: it speaks for nobody then.
      this.#ports.identity.credentials();
      if (!session) throw new Failure({ code: ErrorCode.IDENTITY_REFUSED, message: "The connection is over." });
      context.values.set(ADMITTED, await this.#gate.admit(context.method, session));
    } catch (error) {
      throw error instanceof Failure ? failureToConnectError(error) : error;
    }
  }

  #accept(session: ServerHttp2Session): void {
    session.on("error", () => session.destroy());
    const entry = this.#sessions.add(session, (chain) => this.#gate.identify(chain));
    if (!entry.identity) boundStreams(session);
    if (this.#sessions.strangers > MAX_STRANGERS && !entry.identity) session.destroy();
    const cancel = this.#ports.clock.schedule(STRANGER_MS, () => {
      if (!entry.isMember) session.destroy();
    });
    session.once("close", cancel);
  }

  #swapContext(): void {
    try {
      this.#server?.setSecureContext({
        ...this.#ports.identity.credentials(),
        ...TLS_OPTIONS,
        secureOptions: constants.SSL_OP_NO_TICKET,
      });
    } catch (error) {
      this.#ports.log.warn({ err: error }, "the peer service could not take the new certificate");
    }
    // Roots may be gone.
    this.#recheckSoon();
  }

  #scheduleRecheck(): void {
    const cancel = this.#ports.clock.schedule(RECHECK_EVERY_MS, () => {
      this.#recheckSoon();
      this.#ends.splice(this.#ends.indexOf(cancel), 1);
      this.#scheduleRecheck();
    });
    this.#ends.push(cancel);
  }

  #recheckSoon(): void {
    this.#recheck ??= Promise.resolve()
      .then(() => this.#closeFormerMembers())
      .catch((error: unknown) => this.#ports.log.error({ err: error }, "connections could not be looked through"))
      .finally(() => {
        this.#recheck = null;
      });
  }

  async #closeFormerMembers(): Promise<void> {
    for (const entry of this.#sessions.all()) {
      if (!entry.isMember || entry.session.closed || (await this.#gate.stillHolds(entry))) continue;
      this.#ports.log.info(
        { peer: entry.identity?.name },
        "a connection was closed: its certificate or member counts no more",
      );
      // A call that is under way gets its answer: it may be the one by which the member left. New ones are not taken.
      entry.session.close();
      const cancel = this.#ports.clock.schedule(LAST_ANSWER_MS, () => entry.session.destroy());
      entry.session.once("close", cancel);
    }
  }
}

/** What a stranger may keep in memory here is bounded by the windows of its streams. */
function boundStreams(session: ServerHttp2Session): void {
  let open = 0;
  session.on("stream", (stream) => {
    open += 1;
    stream.once("close", () => {
      open -= 1;
    });
    if (open > MAX_STRANGER_STREAMS) session.destroy();
  });
}

function cannotListen(peerAddress: string, error: Error): Failure {
  return new Failure(
    {
      code: ErrorCode.INVALID_ARGUMENT,
      message: `The peer service cannot listen on ${peerAddress}: ${error.message}.`,
      hint: "Give an address that this host has, and a port that is free.",
    },
    { cause: error },
  );
}
