/** Transfers of known sizes: a request says in its first bytes how long it is and how many bytes it wants back. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface Destination {
  readonly address: string;
  readonly port: number;
}

/** Payload in bytes; 8 at least are sent. */
export interface TransferSizes {
  readonly sent: number;
  readonly received: number;
}

const HEADER_BYTES = 8;

function request({ sent, received }: TransferSizes): Buffer {
  const bytes = Buffer.alloc(sent);
  bytes.writeUInt32LE(sent, 0);
  bytes.writeUInt32LE(received, 4);
  return bytes;
}

/** Answers each request of a connection when it is there as a whole. */
function serve(socket: Socket): void {
  let head = Buffer.alloc(0);
  let missing = 0;
  socket
    .on("error", () => {})
    .on("data", (data: Buffer) => {
      for (let rest = data; rest.length > 0; ) {
        if (missing === 0) {
          const taken = rest.subarray(0, HEADER_BYTES - head.length);
          head = Buffer.concat([head, taken]);
          rest = rest.subarray(taken.length);
          if (head.length < HEADER_BYTES) return;
          missing = head.readUInt32LE(0) - HEADER_BYTES;
        }
        const body = rest.subarray(0, missing);
        missing -= body.length;
        rest = rest.subarray(body.length);
        if (missing > 0) return;
        socket.write(Buffer.alloc(head.readUInt32LE(4)));
        head = Buffer.alloc(0);
      }
    });
}

export async function serveTransfers(port: number): Promise<string> {
  const server = createServer(serve);
  server.listen({ port, host: "::", ipv6Only: false });
  await once(server, "listening");
  for (const [type, address] of [
    ["udp4", "0.0.0.0"],
    ["udp6", "::"],
  ] as const) {
    const socket = createSocket({ type, ipv6Only: type === "udp6" });
    socket.on("message", (message, from) =>
      socket.send(Buffer.alloc(message.readUInt32LE(4)), from.port, from.address, () => {}),
    );
    await new Promise<void>((resolve) => socket.bind(port, address, resolve));
  }
  return "ok";
}

/** Opens the connection when there is none of that name, and leaves it open. */
export async function transferTcp(
  connections: Map<string, Socket>,
  name: string,
  to: Destination,
  sizes: TransferSizes,
): Promise<string> {
  let socket = connections.get(name);
  if (socket === undefined) {
    socket = connect({ host: to.address, port: to.port });
    connections.set(name, socket);
    await once(socket, "connect");
    socket.on("error", () => {});
  }
  const { promise, resolve } = Promise.withResolvers<string>();
  let received = 0;
  const count = (data: Buffer): void => {
    received += data.length;
    if (received >= sizes.received) resolve(received === sizes.received ? "ok" : `got ${received} bytes`);
  };
  const close = (): void => resolve("closed");
  socket.on("data", count).once("close", close).write(request(sizes));
  const outcome = await promise;
  socket.off("data", count).off("close", close);
  return outcome;
}

export async function transferUdp(
  { address, port }: Destination,
  sizes: TransferSizes,
  count: number,
): Promise<string> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  try {
    socket.connect(port, address);
    await once(socket, "connect");
    for (let turn = 0; turn < count; turn++) {
      const answer = once(socket, "message");
      socket.send(request(sizes));
      const [message] = (await answer) as [Buffer];
      if (message.length !== sizes.received) return `got ${message.length} bytes`;
    }
    return "ok";
  } finally {
    socket.close();
  }
}
