/** One connection to one other member, opened at the first call and again when it broke. */
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { PeerService } from "@wardline/api/wardline/peer/v1/peer";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import type { PeerAddress } from "../../identity/peerAddress.ts";
import { LinkSessions } from "./linkSessions.ts";
import type { PeerCallOptions } from "./ports.ts";
import { ALPN, chainOf, TLS_OPTIONS } from "./tlsLinks.ts";

const READ_MAX_BYTES = 16 * 1024 * 1024;
const IDLE_MS = 90_000;
const PING_EVERY_MS = 20_000;
const PING_TIMEOUT_MS = 5_000;
const USUAL_TIMEOUT_MS = 5_000;
/** HTTP/2 wants an authority; nothing resolves it. */
const BASE_URL = "https://wardline-peer.invalid";

export interface LinkParts {
  readonly name: string;
  readonly address: PeerAddress;
  readonly credentials: Pick<ConnectionOptions, "cert" | "key" | "ca">;
  /** Why the other end is not whom this link is for; `null` when it is. Runs before a byte is sent to it. */
  readonly judge: (chain: readonly Uint8Array[]) => Failure | null;
}

export class PeerLink {
  readonly #parts: LinkParts;
  readonly #sessions: LinkSessions;
  readonly #client: Client<typeof PeerService>;
  #problem: Failure | null = null;
  #calls = 0;
  #isRetired = false;

  constructor(parts: LinkParts) {
    this.#parts = parts;
    this.#sessions = new LinkSessions(
      BASE_URL,
      { idleConnectionTimeoutMs: IDLE_MS, pingIntervalMs: PING_EVERY_MS, pingTimeoutMs: PING_TIMEOUT_MS },
      { createConnection: () => this.#connect() },
    );
    const transport = createGrpcTransport({
      baseUrl: BASE_URL,
      sessionManager: this.#sessions,
      readMaxBytes: READ_MAX_BYTES,
      acceptCompression: [],
    });
    this.#client = createClient(PeerService, transport);
  }

  /** Throws `Failure`: what the other end said, or HOST_UNREACHABLE, IDENTITY_REFUSED, DEADLINE_EXCEEDED, CANCELED. */
  async call<T>(
    options: PeerCallOptions,
    run: (client: Client<typeof PeerService>, options: { signal?: AbortSignal; timeoutMs: number }) => Promise<T>,
  ): Promise<T> {
    this.#calls += 1;
    this.#problem = null;
    const { signal, timeoutMs = USUAL_TIMEOUT_MS } = options;
    try {
      return await run(this.#client, { ...(signal ? { signal } : {}), timeoutMs });
    } catch (error) {
      throw this.#problem ?? toFailure(error, this.#parts.name, signal);
    } finally {
      this.#calls -= 1;
      this.#closeWhenUnused();
    }
  }

  /** No new calls; the connection ends with the last one that is under way. */
  retire(): void {
    this.#isRetired = true;
    this.#closeWhenUnused();
  }

  close(): void {
    this.#sessions.abort();
  }

  #closeWhenUnused(): void {
    if (this.#isRetired && this.#calls === 0) this.close();
  }

  #connect(): TLSSocket {
    const { address, credentials, judge } = this.#parts;
    const socket: TLSSocket = connect({
      host: address.ipAddress,
      port: address.port,
      ...credentials,
      ...TLS_OPTIONS,
      ALPNProtocols: [...ALPN],
      // Called after the library has found a chain to our roots, and before anything is sent.
      checkServerIdentity: () => {
        this.#problem = judge(chainOf(socket));
        return this.#problem ?? undefined;
      },
    });
    socket.setNoDelay(true);
    socket.once("error", (error) => {
      this.#problem ??= handshakeProblem(error, this.#parts.name);
    });
    return socket;
  }
}

/** What OpenSSL found wrong with the other end's chain is about who it is; everything else is about the way there. */
function handshakeProblem(error: Error, name: string): Failure | null {
  const code = "code" in error ? String(error.code) : "";
  if (!/CERT|SELF_SIGNED|ISSUER|UNABLE_TO|ERR_TLS/.test(code)) return null;
  const reason = code.toLowerCase().replaceAll("_", " ");
  return new Failure({
    code: ErrorCode.IDENTITY_REFUSED,
    message: `${name} did not show a certificate of this cluster: ${reason}.`,
    hint: "Another program may listen at its address, or the clocks of the hosts differ.",
  });
}

/** @param signal of the caller: a stream that the other end reset looks like a call that was canceled here */
export function toFailure(error: unknown, name: string, signal?: AbortSignal): Failure {
  if (error instanceof Failure) return error;
  const told = failureFromConnectError(error);
  if (told) return told;
  const code = error instanceof ConnectError ? error.code : Code.Unknown;
  if (code === Code.DeadlineExceeded) {
    const message = `${name} did not answer in time.`;
    return new Failure({ code: ErrorCode.DEADLINE_EXCEEDED, message, retryable: true, host: name }, { cause: error });
  }
  if (signal?.aborted) return new Failure({ code: ErrorCode.CANCELED, message: "The call was canceled." });
  const reason = error instanceof ConnectError ? error.rawMessage : String(error);
  return new Failure(
    {
      code: ErrorCode.HOST_UNREACHABLE,
      message: `${name} cannot be reached over the peer link: ${reason.slice(0, 300)}.`,
      retryable: true,
      host: name,
    },
    { cause: error },
  );
}
