/**
 * Answers ICMP echoes in place of its kernel, and badly: `node echoForgerMain.ts MODE`, started in a network namespace whose kernel
 * answers none. Modes: see {@link FORGERIES}.
 */
import { openSocket } from "../linux/ffi/libc.ts";
import { DatagramReader, sendDatagram } from "../linux/icmp/datagrams.ts";

const AF_INET = 2;
const SOCK_RAW = 3;
const IPPROTO_ICMP = 1;
const [REQUEST, REPLY] = [8, 0];
const LOOK_EVERY_MS = 5;
const FLOOD_PER_LOOK = 400;

function withChecksum(packet: Buffer): Buffer {
  packet.writeUInt16BE(0, 2);
  let sum = 0;
  for (let at = 0; at < packet.length; at += 2) sum += packet.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  packet.writeUInt16BE(~sum & 0xffff, 2);
  return packet;
}

type Forge = (reply: Buffer, send: (packet: Buffer) => void) => void;

const changed = (reply: Buffer, change: (packet: Buffer) => void): Buffer => {
  const copy = Buffer.from(reply);
  change(copy);
  return copy;
};

const FORGERIES: Readonly<Record<string, Forge>> = {
  honest: (reply, send) => send(reply),
  identifier: (reply, send) =>
    send(changed(reply, (packet) => packet.writeUInt16BE((packet.readUInt16BE(4) + 1) & 0xffff, 4))),
  sequence: (reply, send) =>
    send(changed(reply, (packet) => packet.writeUInt16BE((packet.readUInt16BE(6) + 1) & 0xffff, 6))),
  payload: (reply, send) => send(changed(reply, (packet) => packet.writeUInt8(packet.readUInt8(20) ^ 1, 20))),
  short: (reply, send) => send(Buffer.from(reply.subarray(0, 16))),
  slow: (reply, send) => void setTimeout(() => send(reply), 40),
  late: (reply, send) => void setTimeout(() => send(reply), 1_100),
  duplicate: (reply, send) => {
    for (let count = 0; count < 5; count++) send(Buffer.from(reply));
  },
  flood: (reply, send) => {
    for (let count = 0; count < FLOOD_PER_LOOK; count++)
      send(changed(reply, (packet) => packet.writeUInt16BE(count, count % 2 === 0 ? 6 : 4)));
    send(reply);
  },
};

const forge = FORGERIES[process.argv[2] ?? ""];
const fileDescriptor = openSocket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
if (forge === undefined || fileDescriptor === null) throw new Error("no such forgery, or no socket");
const reader = new DatagramReader();
process.stdout.write("ready\n");
setInterval(() => {
  reader.read(fileDescriptor, 64, ({ data, from, lengthBytes }) => {
    const start = ((data[0] ?? 0) & 0xf) * 4;
    // Packets that look for the path MTU are longer than what is read of them: they get no answer.
    if (data[start] !== REQUEST || lengthBytes > data.length) return;
    const [reply, to] = [Buffer.from(data.subarray(start)), Buffer.from(from)];
    reply.writeUInt8(REPLY, 0);
    forge(reply, (packet) => sendDatagram(fileDescriptor, withChecksum(packet), packet.length, to));
  });
}, LOOK_EVERY_MS);
process.stdin.on("end", () => process.exit()).resume();
