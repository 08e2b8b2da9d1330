/** Child of {@link SocketPeer}: one command per line in, one answer per line out. Ends when its input ends. */
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { type Destination, serveTransfers, type TransferSizes, transferTcp, transferUdp } from "./transfers.ts";

export type PeerCommand =
  | { readonly do: "hello" }
  | { readonly do: "conclude"; readonly wait: number }
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
  | { readonly do: "stopUdp"; readonly atLeast: number }
  | { readonly do: "countUdp"; readonly port: number }
  | { readonly do: "floodTcp"; readonly address: string; readonly port: number; readonly count: number };

export interface PeerAnswer {
  readonly id: number;
  /** "ok", "timeout", or the error code of the socket. */
  readonly outcome: string;
}

/** A wait has lasted its time: whoever asked sees to it that everybody has had a processor, and says `conclude`. */
export interface PeerLate {
  readonly lateWait: number;
}

/** Datagrams that arrived, by port. */
const received = new Map<number, number>();
const connections = new Map<string, Socket>();

function codeOf(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}

/** How long an answer that is already here may wait for this process to get a processor. */
const GRACE_MS = 150;

let waits = 0;
/** What to do when everybody who could have answered has had the time to. */
const lateWaits = new Map<number, () => void>();

/**
 * Runs when there was no answer in time, and none either after every process of the test has looked at its sockets: on a
 * busy machine one that answers may get no processor for as long as the whole time.
 */
function giveUp(run: () => void, timeoutMs: number): { cancel(): void } {
  waits += 1;
  const wait = waits;
  let timer = setTimeout(() => {
    lateWaits.set(wait, () => {
      // This process as well: after a while without a processor its timers run before it looks at its sockets.
      timer = setTimeout(run, GRACE_MS);
    });
    const late: PeerLate = { lateWait: wait };
    process.stdout.write(`${JSON.stringify(late)}\n`);
  }, timeoutMs);
  return {
    cancel: () => {
      clearTimeout(timer);
      lateWaits.delete(wait);
    },
  };
}

function conclude(wait: number): string {
  lateWaits.get(wait)?.();
  lateWaits.delete(wait);
  return "ok";
}

/**
 * Datagrams that reached a port and that this process was too slow to take: no more than the kernel's count of full buffers,
 * because the socket's own column of drops counts what a policy refused as well. Of a port that nothing came to, none.
 */
function untaken(port: number): number {
  if (!received.has(port)) return 0;
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = ["udp", "udp6"].flatMap((name) => readFileSync(`/proc/self/net/${name}`, "utf8").trim().split("\n"));
  const columns = lines.map((line) => line.trim().split(/\s+/));
  const own = columns.filter(([, local]) => local?.endsWith(suffix));
  const dropped = own.reduce((sum, fields) => sum + Number(fields.at(-1)), 0);
  return Math.min(dropped, fullBuffers());
}

/** Of all sockets of this network namespace. */
function fullBuffers(): number {
  return ["snmp", "snmp6"].reduce((sum, name) => {
    const lines = readFileSync(`/proc/self/net/${name}`, "utf8").trim().split("\n");
    if (name === "snmp6") {
      const line = lines.find((each) => each.startsWith("Udp6RcvbufErrors"));
      return sum + Number(line?.split(/\s+/)[1] ?? 0);
    }
    const [names = [], values = []] = lines.filter((line) => line.startsWith("Udp: ")).map((line) => line.split(" "));
    return sum + Number(values[names.indexOf("RcvbufErrors")] ?? 0);
  }, 0);
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
    // The kernel makes of it what it gives at most: what comes while this process has no processor waits there.
    const socket = createSocket({ type, ipv6Only: type === "udp6", recvBufferSize: 2 ** 22 });
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

let stopSending: ((atLeast: number) => Promise<string>) | null = null;

/** One datagram a millisecond until `stopUdp`, whose outcome is how many were sent. */
function startUdp(address: string, port: number): string {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  let sent = 0;
  const timer = setInterval(() => {
    socket.send("probe", port, address);
    sent += 1;
  }, 1);
  stopSending = async (atLeast) => {
    while (sent < atLeast) await new Promise((resolve) => setTimeout(resolve, 1));
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
    case "conclude":
      return conclude(command.wait);
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
      return stopSending === null ? "0" : stopSending(command.atLeast);
    case "countUdp":
      return String((received.get(command.port) ?? 0) + untaken(command.port));
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
