import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { askServers } from "./dnsLookup.ts";

const TYPES = { A: 1, AAAA: 28 } as const;

interface Zone {
  readonly [name: string]: { readonly A?: readonly Uint8Array[]; readonly AAAA?: readonly Uint8Array[] };
}

/** A name server with one zone, by RFC 1035: one question, its answers with 20 and 50 seconds to live. */
function answerTo(query: Buffer, zone: Zone): Buffer {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("ascii", at + 1, at + 1 + length));
    at += 1 + length;
  }
  const question = query.subarray(12, at + 5);
  const found = zone[labels.join(".").toLowerCase()];
  const records = (query.readUInt16BE(at + 1) === TYPES.A ? found?.A : found?.AAAA) ?? [];
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(found ? 0x8180 : 0x8183, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  const answers = records.map((address, index) => {
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(address.length === 4 ? TYPES.A : TYPES.AAAA, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(index === 0 ? 50 : 20, 6);
    record.writeUInt16BE(address.length, 10);
    return Buffer.concat([record, address]);
  });
  return Buffer.concat([header, question, ...answers]);
}

let server: Socket | null = null;

async function serve(zone: Zone | null): Promise<readonly string[]> {
  const socket = createSocket("udp4");
  server = socket;
  if (zone) socket.on("message", (query, from) => socket.send(answerTo(query, zone), from.port, from.address));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return [`127.0.0.1:${socket.address().port}`];
}

afterEach(() => {
  server?.close();
  server = null;
});

describe("asking the name servers", () => {
  const soon = () => AbortSignal.timeout(5_000);

  it("gives the addresses of both families and the shortest time to live", async () => {
    const six = Uint8Array.from([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
    const servers = await serve({
      "a.test": { A: [Uint8Array.of(192, 0, 2, 1), Uint8Array.of(192, 0, 2, 2)], AAAA: [six] },
    });
    const answer = await askServers("a.test", soon(), servers);
    expect(new Set(answer.addresses)).toEqual(new Set(["192.0.2.1", "192.0.2.2", "2001:db8::5"]));
    expect(answer.timeToLiveMs).toBe(20_000);
  });

  it("takes one family for an answer, and says that a name has none", async () => {
    const servers = await serve({ "four.test": { A: [Uint8Array.of(192, 0, 2, 1)] } });
    expect((await askServers("four.test", soon(), servers)).addresses).toEqual(["192.0.2.1"]);
    expect((await askServers("nothing-here.test", soon(), servers)).addresses).toEqual([]);
  });

  it("rejects when nobody answers, within the time given", async () => {
    const servers = await serve(null);
    await expect(askServers("a.test", AbortSignal.timeout(500), servers)).rejects.toThrow();
  });
});
