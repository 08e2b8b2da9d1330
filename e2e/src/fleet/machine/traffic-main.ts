/**
 * A service of a test machine that makes traffic: `listen=PORT` answers on a port, `call=HOST:PORT/MS` opens a connection
 * every MS milliseconds, asks one thing and closes it. Refused and lost calls are what policies are for: it goes on.
 */
import { connect, createServer } from "node:net";

const CALL_LIMIT_MS = 1500;
const GREETING = "how are you\n";

function listen(port: number): void {
  createServer((socket) => {
    socket.on("error", () => {});
    socket.setTimeout(5000, () => socket.destroy());
    socket.once("data", () => socket.end("fine\n"));
  }).listen({ port, host: "::", ipv6Only: false });
}

function callOnce(host: string, port: number): void {
  const socket = connect({ host, port });
  const end = () => socket.destroy();
  socket.setTimeout(CALL_LIMIT_MS, end);
  socket.on("error", end);
  socket.once("connect", () => socket.write(GREETING));
  socket.once("data", end);
}

for (const argument of process.argv.slice(2)) {
  const [, port] = /^listen=(\d+)$/.exec(argument) ?? [];
  const [, host, target, everyMs] = /^call=([\w.:-]+):(\d+)\/(\d+)$/.exec(argument) ?? [];
  if (port !== undefined) listen(Number(port));
  else if (host !== undefined) setInterval(() => callOnce(host, Number(target)), Number(everyMs));
  else throw new Error(`"${argument}" is neither listen=PORT nor call=HOST:PORT/MS`);
}
