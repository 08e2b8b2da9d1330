/**
 * One HTTP/2 connection to one endpoint: made when it is needed, with the certificates of that moment, and given up when the
 * other end goes silent. Streams end with it.
 */
import * as http2 from "node:http2";
import * as net from "node:net";
import * as tls from "node:tls";
import { Code, ConnectError } from "@connectrpc/connect";
import type { GrpcTransportOptions } from "@connectrpc/connect-node";
import type { EtcdStoreOptions } from "../etcdStore.ts";

type SessionManager = NonNullable<GrpcTransportOptions["sessionManager"]>;

/** Until the server has said its first word. */
export const CONNECT_LIMIT_MS = 2000;
/** While streams are open and nothing comes. etcd takes pings that come more often than every 5 s for an attack. */
const PING_INTERVAL_MS = 5500;
const PING_LIMIT_MS = 1500;
/** A timer that is later than that was kept waiting by this process. */
const LATE_MS = 100;
const GRACE_MS = 300;

/** Nothing of the request has left this machine. */
export class NotConnectedError extends ConnectError {
  readonly #isNotConnected = true;

  constructor(message: string, cause?: unknown) {
    super(message, Code.Unavailable, undefined, undefined, cause);
  }

  /** The one inherited says yes to every `ConnectError`. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && #isNotConnected in value && value.#isNotConnected;
  }
}

export class Connection implements SessionManager {
  readonly authority: string;
  readonly #url: URL;
  readonly #options: Pick<EtcdStoreOptions, "tls" | "verifyServer">;
  #session: http2.ClientHttp2Session | null = null;
  #opening: Promise<void> | null = null;
  /** Also those that only end what they had begun. */
  readonly #all = new Set<http2.ClientHttp2Session>();
  #streams = 0;
  #timer: NodeJS.Timeout | null = null;
  #lastAliveMs = 0;
  /** More than the answer to a ping. */
  #lastDataMs = 0;
  #lastPingMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(endpoint: string, options: Pick<EtcdStoreOptions, "tls" | "verifyServer">) {
    this.#url = new URL(endpoint);
    this.authority = this.#url.origin;
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#session !== null && !this.#session.destroyed && !this.#session.closed;
  }

  /** @throws NotConnectedError */
  async open(): Promise<void> {
    if (this.isOpen) return;
    if (this.#closed) throw new NotConnectedError("the store is closed");
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async request(
    method: string,
    path: string,
    headers: http2.OutgoingHttpHeaders,
    options: Omit<http2.ClientSessionRequestOptions, "signal">,
  ): Promise<http2.ClientHttp2Stream> {
    await this.open();
    const session = this.#session;
    if (session === null) throw new NotConnectedError("the connection ended");
    let stream: http2.ClientHttp2Stream;
    try {
      stream = session.request({ ...headers, ":method": method, ":path": path }, options);
    } catch (error) {
      throw new NotConnectedError("the connection ended", error);
    }
    this.#streams += 1;
    if (this.#streams === 1) {
      session.ref();
      this.#alive();
    }
    stream.once("response", () => this.notifyResponseByteRead());
    stream.once("close", () => {
      this.#streams -= 1;
      if (this.#streams === 0) this.#rest(session);
    });
    return stream;
  }

  notifyResponseByteRead(): void {
    this.#lastDataMs = performance.now();
    this.#alive();
  }

  /**
   * Asks the other end whether it is there; no answer ends the connection. Only once since it last sent something: etcd
   * forgives early pings when it had something to say in between.
   */
  check(): void {
    const session = this.#session;
    const early = performance.now() - this.#lastPingMs < PING_INTERVAL_MS;
    if (session === null || (early && this.#lastPingMs > this.#lastDataMs)) return;
    this.#ping(session);
  }

  close(): void {
    this.#closed = true;
    for (const session of this.#all) session.destroy(new NotConnectedError("the store is closed"));
  }

  #connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      let ended = false;
      const end = (problem: Error | null) => {
        if (ended) return;
        ended = true;
        clearTimeout(limit);
        this.#all.delete(session);
        if (this.#session === session) this.#session = null;
        if (!session.destroyed) session.destroy();
        reject(new NotConnectedError(describe(problem), problem));
      };
      const limit = setTimeout(() => end(new Error(`no answer for ${CONNECT_LIMIT_MS} ms`)), CONNECT_LIMIT_MS);
      const socket = this.#openSocket();
      const session = http2.connect(this.authority, {
        createConnection: () => socket,
        settings: { enablePush: false },
      });
      this.#all.add(session);
      // A paused process accepts connections all the same: only its settings prove that it is there.
      session.once("remoteSettings", () => {
        clearTimeout(limit);
        this.#session = session;
        session.unref();
        resolve();
      });
      // A session whose client certificate was refused says nothing at all: only its socket does.
      socket.on("error", end);
      session.on("error", end);
      session.once("goaway", () => this.#retire(session));
      session.once("close", () => end(null));
    });
  }

  #openSocket(): net.Socket {
    const host = this.#url.hostname.replace(/^\[|\]$/g, "");
    const port = Number(this.#url.port || (this.#url.protocol === "https:" ? 443 : 80));
    if (this.#url.protocol !== "https:") return net.connect({ host, port, noDelay: true });
    const { verifyServer } = this.#options;
    return tls.connect({
      ...this.#options.tls?.(),
      host,
      port,
      ...(net.isIP(host) === 0 ? { servername: host } : {}),
      ALPNProtocols: ["h2"],
      minVersion: "TLSv1.2",
      rejectUnauthorized: true,
      checkServerIdentity: (_name, certificate) =>
        verifyServer === undefined ? tls.checkServerIdentity(host, certificate) : verifyServer(host, certificate),
    });
  }

  /** No new requests on this one; those that it has may end. */
  #retire(session: http2.ClientHttp2Session): void {
    if (this.#session === session) this.#session = null;
    if (!session.destroyed) session.close();
  }

  #rest(session: http2.ClientHttp2Session): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (!session.destroyed) session.unref();
  }

  #alive(): void {
    this.#lastAliveMs = performance.now();
    if (this.#timer === null && this.#streams > 0) this.#schedule(PING_INTERVAL_MS);
  }

  #schedule(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#session === null || this.#streams === 0) return;
      const quietMs = performance.now() - this.#lastAliveMs;
      if (quietMs < PING_INTERVAL_MS - 50) this.#schedule(PING_INTERVAL_MS - quietMs);
      else this.#ping(this.#session);
    }, delayMs).unref();
  }

  #ping(session: http2.ClientHttp2Session): void {
    const sentMs = performance.now();
    this.#lastPingMs = sentMs;
    let dueMs = sentMs + PING_LIMIT_MS;
    const expire = () => {
      const nowMs = performance.now();
      if (this.#lastDataMs > sentMs) return;
      if (nowMs - dueMs > LATE_MS) {
        // This process itself stood still: what came meanwhile is still to be read.
        dueMs = nowMs + GRACE_MS;
        limit = setTimeout(expire, GRACE_MS).unref();
        return;
      }
      session.destroy(new ConnectError(`no answer to a ping for ${PING_LIMIT_MS} ms`, Code.Unavailable));
    };
    let limit = setTimeout(expire, PING_LIMIT_MS).unref();
    session.ping((error) => {
      clearTimeout(limit);
      if (error === null) this.#alive();
    });
  }
}

function describe(problem: (Error & { readonly code?: unknown; readonly reason?: unknown }) | null): string {
  if (problem === null) return "the connection was closed";
  // OpenSSL's own words are buried in numbers; a name with several addresses fails with no words at all.
  if (typeof problem.reason === "string" && problem.reason !== "") return `TLS: ${problem.reason}`;
  return problem.message || String(problem.code);
}
