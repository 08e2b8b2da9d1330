/** Ports for servers that have to be told theirs before they start. */
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

/** Below the range that kernels give to outgoing connections, so that none of them takes it meanwhile. */
const FIRST_PORT = 12_000;
const PORTS = 20_000;
const MAX_ATTEMPTS = 200;

/**
 * A TCP port on which nobody listens. This process keeps the UDP port of the same number for as long as it runs: so none of
 * the test processes that run beside it is given the same one before the server has taken it, and none gets it twice.
 * @param address of the interface that the server listens on
 */
export async function freePort(address = "127.0.0.1"): Promise<number> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    if (!(await isUnused(address, port))) continue;
    if (await claim(address, port)) return port;
  }
  throw new Error(`no free port on ${address}`);
}

function claim(address: string, port: number): Promise<boolean> {
  const socket = createSocket({ type: address.includes(":") ? "udp6" : "udp4" }).unref();
  return new Promise((resolve) => {
    socket.once("error", () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ address, port, exclusive: true }, () => resolve(true));
  });
}

/** A server that was started long ago may have come by its port in another way. */
function isUnused(address: string, port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
