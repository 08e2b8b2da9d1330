/** Somebody out there: `outside-main.ts ADDRESS PORT...` answers every HTTP request, however much is sent with it. */
import { once } from "node:events";
import { createServer } from "node:http";

// Whoever started it holds the other end.
process.stdin.resume().on("end", () => process.exit());

const [, , address = "", ...ports] = process.argv;

for (const port of ports) {
  const server = createServer((request, response) => {
    request.on("error", () => {});
    request.resume().once("end", () => response.end("nothing to do\n"));
  });
  server.on("clientError", (_, socket) => socket.destroy());
  server.listen(Number(port), address);
  await once(server, "listening");
}
process.stdout.write("ready\n");
