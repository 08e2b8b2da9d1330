import { createServer, type Http2Server } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { Duplex } from "node:stream";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { AgentService } from "@wardline/api/wardline/agent/v1/agent";
import { afterEach, beforeEach, expect, it } from "vitest";
import { http2Link } from "./http2-link.ts";

let server: Http2Server;
beforeEach(async () => {
  const routes = connectNodeAdapter({
    routes: (router) => router.service(AgentService, { handshake: () => ({ actor: "somebody" }) }),
  });
  server = createServer(routes);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(() => void server.close());

/** What the other side writes within some milliseconds arrives in one piece, as through an SSH channel. */
function inOnePiece(port: number): Duplex {
  const socket = connect(port, "127.0.0.1");
  let pieces: Buffer[] = [];
  const stream = new Duplex({
    read() {},
    write: (chunk, _, done) => socket.write(chunk, done),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on("error", () => stream.destroy());
  socket.on("data", (chunk: Buffer) => {
    if (pieces.length === 0) {
      setTimeout(() => {
        stream.push(Buffer.concat(pieces));
        pieces = [];
      }, 10);
    }
    pieces.push(chunk);
  });
  return stream;
}

it("reads answers that arrive whole, with their end", async () => {
  const link = http2Link(inOnePiece((server.address() as AddressInfo).port));
  try {
    for (let call = 0; call < 20; call++) {
      expect((await link.client.handshake({})).actor).toBe("somebody");
      // Other work in between, as a busy console has it.
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    link.close();
  }
});
