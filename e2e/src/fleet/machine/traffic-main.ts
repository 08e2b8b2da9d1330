/**
 * A service of a test machine that makes traffic: `listen=PORT` answers on a port (`listen=PORT/BYTES` with so much),
 * `call=HOST:PORT/MS` opens a connection every MS milliseconds, asks one thing and closes it. Refused and lost calls are what policies are for: it goes on.
 */
import { connect, createServer } from "node:net";

const CALL_LIMIT_MS = 1500;
const GREETING = "how are you\n";

function listen(port: number, bytes: number): void {
  const answer = "fine\n".padEnd(bytes, ".");
  createServer((socket) => {
    socket.on("error", () => {});
    socket.setTimeout(5000, () => socket.destroy());
    socket.once("data", () => socket.end(answer));
  }).listen({ port, host: "::", ipv6Only: false });
}

function callOnce(host: string, port: number): void {
  const socket = connect({ host, port });
  const end = () => socket.destroy();
  socket.setTimeout(CALL_LIMIT_MS, end);
  socket.on("error", end);
  socket.once("connect", () => socket.write(GREETING));
  socket.resume().once("end", end);
}

for (const argument of process.argv.slice(2)) {
  const [, port, bytes = "0"] = /^listen=(\d+)(?:\/(\d+))?$/.exec(argument) ?? [];
  const [, host, target, everyMs] = /^call=([\w.:-]+):(\d+)\/(\d+)$/.exec(argument) ?? [];
  if (port !== undefined) listen(Number(port), Number(bytes));
  else if (host !== undefined) setInterval(() => callOnce(host, Number(target)), Number(everyMs));
  else throw new Error(`"${argument}" is neither listen=PORT[/BYTES] nor call=HOST:PORT/MS`);
}
