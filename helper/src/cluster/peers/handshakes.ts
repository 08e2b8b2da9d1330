/** Connections that are not TLS yet, or never will be: bounded, and ended with the server, which would wait for them. */
import type { Http2SecureServer } from "node:http2";
import type { Socket } from "node:net";

/** A whole cluster may come back at the same moment; who is dropped tries again by itself. */
const MAX_AT_ONCE = 1_024;

export class Handshakes {
  /** By the other end: the TLS socket that grows out of one says nothing else of it in public. */
  readonly #sockets = new Map<string, Socket>();

  watch(server: Http2SecureServer): void {
    server.on("connection", (socket: Socket) => {
      const end = otherEnd(socket);
      if (this.#sockets.size >= MAX_AT_ONCE) {
        socket.destroy();
        return;
      }
      this.#sockets.set(end, socket);
      socket.once("close", () => {
        if (this.#sockets.get(end) === socket) this.#sockets.delete(end);
      });
    });
    // It is a session's from here on.
    server.on("secureConnection", (socket) => this.#sockets.delete(otherEnd(socket)));
    // What comes here speaks no TLS, is too slow, or vanished: its own affair.
    server.on("tlsClientError", (_error, socket) => socket.destroy());
  }

  /** How many are under way. */
  get size(): number {
    return this.#sockets.size;
  }

  end(): void {
    for (const socket of this.#sockets.values()) socket.destroy();
    this.#sockets.clear();
  }
}

function otherEnd({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
