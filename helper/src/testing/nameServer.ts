/** A name server on loopback with one zone, by RFC 1035 and 2782: one question, its answers, UDP only. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { parseAddress } from "@wardline/domain/policy";

const A = 1;
const AAAA = 28;
const SRV = 33;

export interface ZoneEntry {
  /** IPv4 and IPv6. */
  readonly addresses?: readonly string[];
  /** `host:port`, the first preferred. */
  readonly targets?: readonly string[];
  readonly timeToLiveS?: number;
}

export class NameServer {
  readonly #socket: Socket = createSocket("udp4");
  /** By name in lower case. Change it while it runs. */
  zone: Readonly<Record<string, ZoneEntry>> = {};
  /** It hears and says nothing. */
  isSilent = false;
  /** Names that were asked for, in order, once for each question. */
  readonly asked: string[] = [];

  static async start(zone: Readonly<Record<string, ZoneEntry>> = {}): Promise<NameServer> {
    const server = new NameServer();
    server.zone = zone;
    server.#socket.on("message", (query, from) => {
      const answer = server.#answer(query);
      if (answer !== null) server.#socket.send(answer, from.port, from.address);
    });
    server.#socket.bind(0, "127.0.0.1");
    await once(server.#socket, "listening");
    return server;
  }

  /** For `askServers`. */
  get servers(): readonly string[] {
    return [`127.0.0.1:${this.#socket.address().port}`];
  }

  async close(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, "close");
  }

  #answer(query: Buffer): Buffer | null {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString("ascii", at + 1, at + 1 + length));
      at += 1 + length;
    }
    const name = labels.join(".").toLowerCase();
    this.asked.push(name);
    if (this.isSilent) return null;
    const entry = this.zone[name];
    const records = entry === undefined ? [] : recordsOf(entry, query.readUInt16BE(at + 1));
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(entry === undefined ? 0x8183 : 0x8180, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    return Buffer.concat([header, query.subarray(12, at + 5), ...records]);
  }
}

function recordsOf({ addresses = [], targets = [], timeToLiveS = 30 }: ZoneEntry, type: number): readonly Buffer[] {
  if (type === SRV) {
    return targets.map((target, place) => {
      const [host = "", port = "0"] = target.split(":");
      const data = Buffer.alloc(6);
      data.writeUInt16BE(place, 0);
      data.writeUInt16BE(Number(port), 4);
      return record(SRV, timeToLiveS, Buffer.concat([data, encodeName(host)]));
    });
  }
  const length = type === A ? 4 : type === AAAA ? 16 : 0;
  return addresses.flatMap((text) => {
    const parsed = parseAddress(text);
    return parsed.ok && parsed.bytes.length === length ? [record(type, timeToLiveS, Buffer.from(parsed.bytes))] : [];
  });
}

function record(type: number, timeToLiveS: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(timeToLiveS, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function encodeName(name: string): Buffer {
  const parts = name.split(".").map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]));
  return Buffer.concat([...parts, Buffer.of(0)]);
}
