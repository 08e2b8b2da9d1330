/** Child of {@link SocketPeer}: one command per line in, one answer per line out. Ends when its input ends. */
import { createSocket } from "node:dgram";
import { connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { type Destination, serveTransfers, type TransferSizes, transferTcp, transferUdp } from "./transfers.ts";

export type PeerCommand =
  | { readonly do: "hello" }
  | { readonly do: "listenTcp"; readonly port: number }
  | { readonly do: "listenUdp"; readonly port: number; readonly address: string | null }
  | {
      readonly do: "connectTcp";
      readonly name: string;
      readonly address: string;
      readonly port: number;
      readonly timeoutMs: number;
      readonly source: string | null;
    }
  | { readonly do: "exchange"; readonly name: string; readonly timeoutMs: number }
  | { readonly do: "disconnect"; readonly name: string }
  | {
      readonly do: "askUdp";
      readonly address: string;
      readonly port: number;
      readonly size: number;
      readonly timeoutMs: number;
      readonly source: string | null;
    }
  | { readonly do: "serveTransfers"; readonly port: number }
  | { readonly do: "transferTcp"; readonly name: string; readonly to: Destination; readonly sizes: TransferSizes }
  | { readonly do: "transferUdp"; readonly to: Destination; readonly sizes: TransferSizes; readonly count: number }
  | { readonly do: "listenUdpSilently"; readonly port: number }
  | { readonly do: "startUdp"; readonly address: string; readonly port: number }
  | { readonly do: "stopUdp" }
  | { readonly do: "countUdp"; readonly port: number }
  | { readonly do: "floodTcp"; readonly address: string; readonly port: number; readonly count: number };

export interface PeerAnswer {
  readonly id: number;
  /** "ok", "timeout", or the error code of the socket. */
  readonly outcome: string;
}

/** Datagrams that arrived, by port. */
const received = new Map<number, number>();
const connections = new Map<string, Socket>();

function codeOf(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}

/** How long an answer that is already here may wait for this process to get a processor. */
const GRACE_MS = 150;

/**
 * Runs when there was no answer in time. Twice: when the process was not scheduled for a while, its timers run before it
 * looks at its sockets, and an answer that came long ago would count as none.
 */
function giveUp(run: () => void, timeoutMs: number): { cancel(): void } {
  let timer = setTimeout(() => {
    timer = setTimeout(run, GRACE_MS);
  }, timeoutMs);
  return { cancel: () => clearTimeout(timer) };
}

function exchange(socket: Socket, timeoutMs: number): Promise<string> {
  return new Promise((resolve) => {
    const done = (outcome: string): void => {
      timer.cancel();
      socket.off("data", onData).off("error", onError).off("close", onClose);
      resolve(outcome);
    };
    const onData = (): void => done("ok");
    const onError = (error: Error): void => done(codeOf(error));
    const onClose = (): void => done("closed");
    const timer = giveUp(() => done("timeout"), timeoutMs);
    socket.on("data", onData).on("error", onError).on("close", onClose);
    socket.write("x");
  });
}

interface Target {
  readonly address: string;
  readonly port: number;
  readonly timeoutMs: number;
  /** Own address; the kernel's choice when null. */
  readonly source: string | null;
}

async function connectTcp({ address, port, timeoutMs, source }: Target, name: string | null): Promise<string> {
  const socket = connect({ host: address, port, ...(source === null ? {} : { localAddress: source }) });
  const outcome = await new Promise<string>((resolve) => {
    const timer = giveUp(() => resolve("timeout"), timeoutMs);
    socket.once("error", (error) => resolve(codeOf(error)));
    socket.once("connect", () => {
      timer.cancel();
      resolve("ok");
    });
  });
  socket.on("error", () => {});
  if (outcome !== "ok" || name === null) {
    const closed = new Promise((resolve) => socket.once("close", resolve));
    if (outcome === "ok") socket.end();
    else socket.destroy();
    await closed;
    return outcome;
  }
  connections.set(name, socket);
  return exchange(socket, timeoutMs);
}

async function askUdp({ address, port, timeoutMs, source }: Target, size: number): Promise<string> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  if (source !== null) await new Promise<void>((resolve) => socket.bind(0, source, resolve));
  return new Promise<string>((resolve) => {
    const timer = giveUp(() => resolve("timeout"), timeoutMs);
    socket.once("error", (error) => resolve(codeOf(error)));
    socket.once("message", (message) => {
      timer.cancel();
      resolve(message.length === size ? "ok" : `got ${message.length} bytes`);
    });
    socket.send(Buffer.alloc(size), port, address, (error) => {
      if (error) resolve(codeOf(error));
    });
  }).finally(() => socket.close());
}

function listenTcp(port: number): Promise<string> {
  const server = createServer((socket) => socket.on("error", () => {}).pipe(socket));
  return new Promise((resolve) => server.listen({ port, host: "::", ipv6Only: false }, () => resolve("ok")));
}

async function listenUdp(port: number, only: string | null): Promise<string> {
  const wildcards = [
    ["udp4", "0.0.0.0"],
    ["udp6", "::"],
  ] as const;
  const places = only === null ? wildcards : ([[only.includes(":") ? "udp6" : "udp4", only]] as const);
  for (const [type, address] of places) {
    const socket = createSocket({ type, ipv6Only: type === "udp6" });
    socket.on("message", (message, from) => {
      received.set(port, (received.get(port) ?? 0) + 1);
      socket.send(message, from.port, from.address, () => {});
    });
    await new Promise<void>((resolve) => socket.bind(port, address, resolve));
  }
  return "ok";
}

/** Takes datagrams over IPv4 and says nothing: an answer would be a packet of the same flow. */
async function listenUdpSilently(port: number): Promise<string> {
  const socket = createSocket("udp4");
  socket.on("message", () => received.set(port, (received.get(port) ?? 0) + 1));
  await new Promise<void>((resolve) => socket.bind(port, "0.0.0.0", resolve));
  return "ok";
}

let stopSending: (() => Promise<string>) | null = null;

/** One datagram a millisecond until `stopUdp`, whose outcome is how many were sent. */
function startUdp(address: string, port: number): string {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  let sent = 0;
  const timer = setInterval(() => {
    socket.send("probe", port, address);
    sent += 1;
  }, 1);
  stopSending = async () => {
    clearInterval(timer);
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.close();
    return String(sent);
  };
  return "ok";
}

async function floodTcp(address: string, port: number, count: number): Promise<string> {
  for (let done = 0; done < count; done++) {
    const outcome = await connectTcp({ address, port, timeoutMs: 2000, source: null }, null);
    if (outcome !== "ok") return outcome;
  }
  return "ok";
}

async function run(command: PeerCommand): Promise<string> {
  switch (command.do) {
    case "hello":
      return "ok";
    case "listenTcp":
      return listenTcp(command.port);
    case "listenUdp":
      return listenUdp(command.port, command.address);
    case "listenUdpSilently":
      return listenUdpSilently(command.port);
    case "connectTcp":
      return connectTcp(command, command.name);
    case "exchange": {
      const socket = connections.get(command.name);
      return socket === undefined ? "no such connection" : exchange(socket, command.timeoutMs);
    }
    case "disconnect": {
      const socket = connections.get(command.name);
      connections.delete(command.name);
      if (socket !== undefined && !socket.destroyed) {
        const closed = new Promise((resolve) => socket.once("close", resolve));
        socket.end();
        // Where the road is closed the other end never answers.
        const timer = setTimeout(() => socket.destroy(), 300);
        await closed;
        clearTimeout(timer);
      }
      return "ok";
    }
    case "serveTransfers":
      return serveTransfers(command.port);
    case "transferTcp":
      return transferTcp(connections, command.name, command.to, command.sizes);
    case "transferUdp":
      return transferUdp(command.to, command.sizes, command.count);
    case "askUdp":
      return askUdp(command, command.size);
    case "startUdp":
      return startUdp(command.address, command.port);
    case "stopUdp":
      return stopSending === null ? "0" : stopSending();
    case "countUdp":
      return String(received.get(command.port) ?? 0);
    case "floodTcp":
      return floodTcp(command.address, command.port, command.count);
  }
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line) as PeerCommand & { readonly id: number };
    void run(command).then((outcome) => process.stdout.write(`${JSON.stringify({ id: command.id, outcome })}\n`));
  })
  .on("close", () => process.exit(0));
