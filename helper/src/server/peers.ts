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

/** A console holds a handful; the bounds keep users from taking all descriptors, and each other's connections. */
const MAX_CONNECTIONS = 256;
const MAX_CONNECTIONS_OF_USER = 128;
/** Nobody but root can have the last ones: whoever pulls the brake comes through. */
const KEPT_FOR_ROOT = 16;
const ROOT = 0;

/** Accepts connections, asks the kernel who is there, then hands them to HTTP/2. */
export class PeerListener {
  readonly server: Server;
  readonly #http2: Http2Server;
  readonly #peers = new WeakMap<Http2Session, Peer>();
  /** With the user at the other end; `null` = the kernel did not say. */
  readonly #sockets = new Map<Socket, number | null>();
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
    for (const socket of this.#sockets.keys()) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#order += 1;
    const peer = { credentials: readPeerCredentials(socket), order: this.#order };
    const userId = peer.credentials?.userId ?? null;
    if (!this.#hasRoomFor(userId)) {
      socket.destroy();
      return;
    }
    this.#sockets.set(socket, userId);
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

  #hasRoomFor(userId: number | null): boolean {
    if (userId === ROOT) return true;
    if (this.#sockets.size >= MAX_CONNECTIONS - KEPT_FOR_ROOT) return false;
    let count = 0;
    for (const each of this.#sockets.values()) if (each === userId) count += 1;
    return count < MAX_CONNECTIONS_OF_USER;
  }
}
