/** The open connections of a peer server and who is at their other ends. */
import type { ServerHttp2Session } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { PeerIdentity } from "../../identity/ports.ts";
import { chainOf } from "./tlsLinks.ts";

export interface PeerSession {
  readonly session: ServerHttp2Session;
  readonly remoteAddress: string;
  /** Empty = it came without a certificate. */
  readonly chain: readonly Uint8Array[];
  /** Proven once, with roots of then; its times count anew at each call. */
  identity: PeerIdentity | null;
  /** A call of it was let through as that of a member. */
  isMember: boolean;
}

export class PeerSessions {
  readonly #sessions = new Map<object, PeerSession>();
  #strangers = 0;

  /** @param prove who the chain proves, if anybody: asked once, before anything else is read */
  add(session: ServerHttp2Session, prove: (chain: readonly Uint8Array[]) => PeerIdentity | null): PeerSession {
    const socket = session.socket as unknown as TLSSocket;
    const chain = chainOf(socket);
    const identity = prove(chain);
    const remoteAddress = socket.remoteAddress ?? "";
    const entry: PeerSession = { session, remoteAddress, chain, identity, isMember: false };
    const weight = identity ? 0 : 1;
    this.#strangers += weight;
    this.#sessions.set(session, entry);
    session.once("close", () => {
      this.#strangers -= weight;
      this.#sessions.delete(session);
    });
    return entry;
  }

  of(session: object | undefined): PeerSession | null {
    return (session && this.#sessions.get(session)) ?? null;
  }

  all(): PeerSession[] {
    return [...this.#sessions.values()];
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Connections that came without a certificate that holds. */
  get strangers(): number {
    return this.#strangers;
  }
}
