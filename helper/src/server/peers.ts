/** Knows for every call over which connection it came and who is at its other end. */
import type { Http2Server, Http2Session, ServerHttp2Session } from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import { type ContextKey, createContextKey } from "@connectrpc/connect";
import { type PeerCredentials, readPeerCredentials } from "../linux/peerCredentials.ts";

export interface Peer {
  readonly credentials: PeerCredentials | null;
  /** Counts accepted connections from 1: of two connections the one with the higher number was opened later. */
  readonly order: number;
}

export const UNKNOWN_PEER: Peer = { credentials: null, order: 0 };
export const PEER: ContextKey<Peer> = createContextKey(UNKNOWN_PEER, { description: "who calls" });

/** A console holds a handful; the bound keeps one user from taking all descriptors. */
const MAX_CONNECTIONS = 256;

/** Accepts connections, asks the kernel who is there, then hands them to HTTP/2. */
export class PeerListener {
  readonly server: Server;
  readonly #http2: Http2Server;
  readonly #peers = new WeakMap<Http2Session, Peer>();
  readonly #sockets = new Set<Socket>();
  #order = 0;

  constructor(http2: Http2Server) {
    this.#http2 = http2;
    this.server = createServer((socket) => this.#accept(socket));
    this.server.maxConnections = MAX_CONNECTIONS;
  }

  get newestConnection(): number {
    return this.#order;
  }

  peerOf(session: Http2Session | undefined): Peer {
    return (session && this.#peers.get(session)) ?? UNKNOWN_PEER;
  }

  /** Ends every connection: streams would keep the process alive. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#order += 1;
    const peer = { credentials: readPeerCredentials(socket), order: this.#order };
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // A peer that vanishes is its own affair: without a listener its reset would end the agent.
    socket.on("error", () => socket.destroy());
    // The session is made while "connection" is emitted, so it can only be this socket's.
    const remember = (session: ServerHttp2Session) => {
      this.#peers.set(session, peer);
      session.on("error", () => session.destroy());
    };
    this.#http2.once("session", remember);
    this.#http2.emit("connection", socket);
    this.#http2.off("session", remember);
  }
}
