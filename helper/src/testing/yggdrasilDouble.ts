/**
 * A daemon as it looks from its admin socket, in each of the three ways in which releases speak: the shapes are those of the releases,
 * the socket is a real one. It can also misbehave in every way in which something at the other end of a socket can.
 */
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { yggdrasilAddress, yggdrasilSubnet } from "@wardline/domain/mesh";

export type DoubleGeneration = "0.4.0" | "0.4.5" | "0.5";

export type DoubleMode =
  | "honest"
  /** Takes connections and says nothing. */
  | "silent"
  | "garbage"
  | "half"
  | "hang-up"
  /** A hundred megabytes of one answer. */
  | "endless"
  /** JSON that is nested a million times. */
  | "deep"
  /** JSON of a shape that no release has. */
  | "strange"
  /** Its list of commands is that of a release nobody has seen. */
  | "unseen"
  /** Its own address belongs to another key. */
  | "liar"
  /** Refuses everything. */
  | "refusing";

export interface DoublePeer {
  readonly key: string;
  readonly remote: string;
  readonly up: boolean;
  readonly inbound?: boolean;
  /** Nanoseconds, as the daemon has it. */
  readonly latencyNs?: number;
  readonly cost?: number;
  readonly rate?: number;
  readonly bytesReceived?: number;
  readonly bytesSent?: number;
  readonly uptimeSeconds?: number;
  readonly lastError?: string;
  readonly lastErrorAgeNs?: number;
  /** Written into its entry as they are: fields that nobody knows, or wrong ones. */
  readonly more?: Readonly<Record<string, unknown>>;
}

export interface DoubleOptions {
  readonly path: string;
  readonly generation: DoubleGeneration;
  /** Counters of peers came with 0.4.3. */
  readonly hasCounters?: boolean;
  /** The name of the latency before 0.5.12. */
  readonly isLatencyMs?: boolean;
}

export const randomKey = (): string => randomBytes(32).toString("hex");

const ENDLESS_BYTES = 100 * 1024 * 1024;
type Values = Readonly<Record<string, unknown>>;

export class YggdrasilDouble {
  readonly key = randomKey();
  mode: DoubleMode = "honest";
  peers: DoublePeer[] = [];
  paths: { readonly key: string; readonly path: readonly number[] }[] = [];
  tree: { readonly key: string; readonly parent: string }[] = [];
  /** `null` = it has no interface. */
  tun: { readonly name: string; readonly mtu: number } | null = null;
  /** Everything that was asked, newest last, with what was in it. */
  readonly asked: Values[] = [];
  /** Bytes that readers took of endless answers. */
  sentBytes = 0;
  readonly #options: DoubleOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(options: DoubleOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(options: DoubleOptions): Promise<YggdrasilDouble> {
    const double = new YggdrasilDouble(options);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    double.#server.once("error", reject);
    double.#server.listen(options.path, resolve);
    await promise;
    return double;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#options.path, { force: true });
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => this.#sockets.delete(socket));
    let text = "";
    socket.on("data", (chunk) => {
      text += String(chunk);
      try {
        const request = JSON.parse(text) as Values;
        text = "";
        this.asked.push(request);
        this.#respond(socket, request);
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
      }
    });
  }

  #respond(socket: Socket, request: Values): void {
    const honest = () => `${JSON.stringify(this.#answer(request), null, 2)}\n`;
    switch (this.mode) {
      case "silent":
        return;
      case "hang-up":
        socket.destroy();
        return;
      case "garbage":
        socket.end("Yggdrasil peers:\n  KEY  PORT\n}");
        return;
      case "half":
        socket.end(honest().slice(0, 40));
        return;
      case "endless":
        this.#pour(socket);
        return;
      case "deep":
        socket.end("[".repeat(1_000_000) + "]".repeat(1_000_000));
        return;
      default:
        socket.end(honest());
    }
  }

  #pour(socket: Socket): void {
    const part = Buffer.alloc(256 * 1024, " ");
    const more = () => {
      while (this.sentBytes < ENDLESS_BYTES && !socket.destroyed) {
        this.sentBytes += part.length;
        if (!socket.write(part)) {
          socket.once("drain", more);
          return;
        }
      }
      socket.end();
    };
    more();
  }

  #answer(request: Values): Values {
    const name = String(request.request).toLowerCase();
    const isOld = this.#options.generation === "0.4.0";
    const values = (isOld ? request : (request.arguments ?? {})) as Values;
    if (this.mode === "strange")
      return { status: "success", request: null, response: { peers: "many", list: 7, self: [] } };
    const response = this.mode === "refusing" ? null : this.#response(name, values);
    if (typeof response === "string" || response === null) return this.#failure(response ?? "not today", request);
    return { status: "success", request: this.#echo(request), response };
  }

  #failure(error: string, request: Values): Values {
    if (this.#options.generation === "0.4.0")
      return { status: "error", request: this.#echo(request), response: { error } };
    return { status: "error", error, request: this.#echo(request), response: null };
  }

  #echo(request: Values): unknown {
    if (this.#options.generation === "0.4.0") return { request: request.request, keepalive: false };
    return this.#options.generation === "0.4.5"
      ? null
      : { request: request.request, arguments: request.arguments ?? {} };
  }

  /** A text is a refusal. */
  #response(name: string, values: Values): Values | string {
    const { generation } = this.#options;
    if (!this.#commands().includes(name)) return `Unknown action '${name}', try 'list' for help`;
    if (name === "list") return { list: this.#list() };
    if (name === "getself") return this.#self();
    if (name === "getpeers") return { peers: this.#mapped(this.peers.filter(({ up }) => up || generation === "0.5")) };
    if (name === "getpaths")
      return {
        paths: this.#byAddress(
          this.paths.map((path) => ({ ...path, ...(generation === "0.5" ? { sequence: 1 } : {}) })),
        ),
      };
    if (name === "getsessions") return { sessions: generation === "0.4.0" ? {} : [] };
    if (name === "gettree")
      return { tree: this.tree.map((entry) => ({ address: addressOf(entry.key), ...entry, sequence: 1 })) };
    if (name === "getdht") return { dht: generation === "0.4.0" ? {} : [] };
    if (name === "gettuntap") return this.tun ? { [this.tun.name]: { mtu: this.tun.mtu } } : {};
    if (name === "gettun") return this.tun ? { enabled: true, ...this.tun } : { enabled: false };
    if (name === "addpeer") return this.#add(String(values.uri));
    if (name === "removepeer") return this.#remove(String(values.uri));
    return {};
  }

  #commands(): readonly string[] {
    const common = ["list", "getself", "getpeers", "getpaths", "getsessions"];
    if (this.mode === "unseen") return ["list", "self", "neighbours"];
    if (this.#options.generation === "0.4.0") return [...common, "getdht", "gettuntap"];
    const edits = ["addpeer", "removepeer", "gettun"];
    return [...common, ...edits, this.#options.generation === "0.5" ? "gettree" : "getdht"];
  }

  #list(): unknown {
    if (this.#options.generation === "0.4.0") {
      return Object.fromEntries(this.#commands().map((name) => [name, { fields: [] }]));
    }
    return this.#commands().map((command) => ({ command, description: `About ${command}` }));
  }

  #self(): Values {
    const address = addressOf(this.mode === "liar" ? randomKey() : this.key);
    const own = { build_name: "unknown", build_version: "unknown", key: this.key, subnet: yggdrasilSubnet(this.key) };
    if (this.#options.generation === "0.4.0") return { self: { [address]: { ...own, coords: [] } } };
    if (this.#options.generation === "0.4.5") return { ...own, address, coords: [] };
    return { ...own, address, routing_entries: 3 };
  }

  #mapped(peers: readonly DoublePeer[]): unknown {
    return this.#byAddress(peers.map((peer, index) => this.#entry(peer, index + 1)));
  }

  #byAddress(entries: readonly { readonly key: string }[]): unknown {
    if (this.#options.generation === "0.4.0") {
      return Object.fromEntries(entries.map((entry) => [addressOf(entry.key), entry]));
    }
    return entries.map((entry) => ({ ...(entry.key === "" ? {} : { address: addressOf(entry.key) }), ...entry }));
  }

  #entry(peer: DoublePeer, port: number) {
    const { key, remote, more = {}, bytesReceived = 0, bytesSent = 0, uptimeSeconds = 0 } = peer;
    const counters = { bytes_recvd: bytesReceived, bytes_sent: bytesSent, uptime: uptimeSeconds };
    if (this.#options.generation === "0.4.0") {
      return { key, port, coords: [], remote, ...(this.#options.hasCounters ? counters : {}), ...more };
    }
    if (this.#options.generation === "0.4.5")
      return { key, port, priority: 0, coords: [], remote, ...counters, ...more };
    const { up, inbound = false, latencyNs = 0, cost = 0, rate = 0, lastError = "", lastErrorAgeNs = 0 } = peer;
    const latency = { [this.#options.isLatencyMs ? "latency_ms" : "latency"]: latencyNs };
    const mayBeMissing = {
      ...counters,
      ...latency,
      cost,
      rate_recvd: rate,
      last_error: lastError,
      last_error_time: lastErrorAgeNs,
    };
    const told = Object.entries(mayBeMissing).filter(([, value]) => value !== 0 && value !== "");
    return {
      remote,
      up,
      inbound,
      key: up ? key : "",
      port: up ? port : 0,
      priority: 0,
      ...Object.fromEntries(told),
      ...more,
    };
  }

  #add(uri: string): Values | string {
    if (!/^(tcp|tls|quic|ws|wss):/.test(uri)) return `unknown call scheme: ${uri.split(":")[0]}`;
    if (this.peers.some(({ remote }) => remote === uri)) return "peer already configured";
    this.peers.push({ key: randomKey(), remote: uri, up: true });
    return {};
  }

  #remove(uri: string): Values | string {
    const left = this.peers.filter(({ remote }) => remote !== uri);
    if (left.length === this.peers.length) return "peer not configured";
    this.peers = left;
    return {};
  }
}

function addressOf(key: string): string {
  return yggdrasilAddress(key) ?? "";
}
