/**
 * The one HTTP/2 session of a link. The session manager of the gRPC library reconnects by itself, which a link must not: what
 * was learned in its handshake is not true of another agent process. It also waits without end, and without letting anything
 * else run, for a session that is closed while it is being opened: a stranger's bytes could stop the whole console.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import type { Duplex } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import type { GrpcTransportOptions } from "@connectrpc/connect-node";
import { closedOnceRead } from "./whole-answers.ts";

type SessionManager = NonNullable<GrpcTransportOptions["sessionManager"]>;

const PING_INTERVAL_MS = 10_000;
const PING_TIMEOUT_MS = 5_000;

export class OneSession implements SessionManager {
  readonly authority: string;
  readonly #session: ClientHttp2Session;
  readonly #timer: NodeJS.Timeout;
  #openStreams = 0;
  #lastHeardAtMs = performance.now();
  #problem: Error | null = null;

  /** @param baseUrl names the authority; nothing resolves it */
  constructor(baseUrl: string, stream: Duplex) {
    this.authority = new URL(baseUrl).origin;
    this.#session = connect(baseUrl, { createConnection: () => stream });
    this.#session.on("error", (error) => {
      this.#problem = error;
    });
    this.#session.on("close", () => clearInterval(this.#timer));
    this.#timer = setInterval(() => this.#keepAlive(), PING_INTERVAL_MS);
    this.#timer.unref();
  }

  async request(
    method: string,
    path: string,
    headers: Parameters<SessionManager["request"]>[2],
    options: Parameters<SessionManager["request"]>[3],
  ): Promise<ClientHttp2Stream> {
    if (this.#session.closed || this.#session.destroyed) {
      throw new ConnectError("the connection to the agent has ended", Code.Unavailable, undefined, [], this.#problem);
    }
    const stream = this.#session.request({ ...headers, ":method": method, ":path": path }, options);
    this.#openStreams++;
    stream.once("close", () => {
      this.#openStreams--;
    });
    return closedOnceRead(stream);
  }

  notifyResponseByteRead(): void {
    this.#lastHeardAtMs = performance.now();
  }

  close(): void {
    clearInterval(this.#timer);
    if (this.#session.destroyed) return;
    // With an error: calls that wait for the session to open would wait for ever otherwise.
    this.#session.destroy(new ConnectError("the connection was closed here", Code.Canceled), constants.NGHTTP2_CANCEL);
  }

  /** Notices a line that is dead without a word, while somebody waits for an answer. */
  #keepAlive(): void {
    const isQuiet = performance.now() - this.#lastHeardAtMs >= PING_INTERVAL_MS / 2;
    if (this.#openStreams === 0 || !isQuiet || this.#session.destroyed) return;
    const silent = new ConnectError("the agent does not answer a ping", Code.Unavailable);
    const limit = setTimeout(() => this.#session.destroy(silent), PING_TIMEOUT_MS);
    limit.unref();
    const isSent = this.#session.ping(() => {
      clearTimeout(limit);
      this.notifyResponseByteRead();
    });
    if (!isSent) clearTimeout(limit);
  }
}
