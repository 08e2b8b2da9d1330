/**
 * Echo requests and their replies (ICMP and ICMPv6). An unprivileged socket where `net.ipv4.ping_group_range` lets this
 * process have one, else a raw one. Sends whole packets only (don't fragment), whatever the kernel believes of the path.
 */
import { randomInt } from "node:crypto";
import { closeSync } from "node:fs";
import { openSocket, setSocketOption } from "../ffi/libc.ts";
import { attachFilter, DatagramReader, type FilterInstruction, sendDatagram } from "./datagrams.ts";

export type AddressFamily = 4 | 6;

export interface EchoReply {
  readonly sequence: number;
  /** Views that hold only during the call. */
  readonly payload: Buffer;
  /** A `sockaddr`. */
  readonly from: Buffer;
  /** Wall clock of the kernel, in nanoseconds; `null` = it did not say. */
  readonly receivedAtNs: bigint | null;
}

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_TIMESTAMPNS = 35;
const SOL_IP = 0;
const IP_MTU_DISCOVER = 10;
const SOL_IPV6 = 41;
const IPV6_MTU_DISCOVER = 23;
const IPV6_DONTFRAG = 62;
const PMTUDISC_PROBE = 3;
const RECEIVE_BUFFER_BYTES = 1 << 18;
/** Of one look: a flood must not hold up the process. What is left waits, and then the kernel drops. */
const MAX_RECEIVED = 2_048;

const HEADER_BYTES = 8;
const IP_HEADER_BYTES = { 4: 20, 6: 40 } as const;
export const MAX_PACKET_BYTES = 65_535;
const TYPE = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;

const LDX_IHL = 0xb1;
const LD_BYTE_AT_X = 0x50;
const LD_HALF_AT_X = 0x48;
const LD_BYTE = 0x30;
const LD_HALF = 0x28;
const JEQ = 0x15;
const RETURN = 0x06;
const WHOLE = 0xffff_ffff;

const step = (code: number, operand: number, jumpFalse = 0): FilterInstruction => ({
  ...{ code, operand, jumpTrue: 0, jumpFalse },
});

/** Replies with our identifier only: raw sockets get every ICMP packet of the host. */
function replyFilter(family: AddressFamily, identifier: number): readonly FilterInstruction[] {
  const loads = family === 4 ? [step(LD_BYTE_AT_X, 0), step(LD_HALF_AT_X, 4)] : [step(LD_BYTE, 0), step(LD_HALF, 4)];
  const [loadType, loadIdentifier] = loads as [FilterInstruction, FilterInstruction];
  return [
    ...(family === 4 ? [step(LDX_IHL, 0)] : []),
    loadType,
    step(JEQ, TYPE[family].reply, 3),
    loadIdentifier,
    step(JEQ, identifier, 1),
    step(RETURN, WHOLE),
    step(RETURN, 0),
  ];
}

/** The checksum of the internet. */
function checksum(bytes: Buffer, lengthBytes: number): number {
  let sum = 0;
  for (let at = 0; at + 1 < lengthBytes; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  if (lengthBytes % 2 === 1) sum += (bytes[lengthBytes - 1] ?? 0) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
};

export class EchoSocket {
  readonly #family: AddressFamily;
  readonly #isRaw: boolean;
  readonly #fileDescriptor: number;
  readonly #identifier = randomInt(0x1_0000);
  readonly #packet = Buffer.alloc(MAX_PACKET_BYTES);
  readonly #reader = new DatagramReader();

  /** Throws where this process may have no such socket. */
  constructor(family: AddressFamily) {
    this.#family = family;
    const [domain, protocol] = family === 4 ? [AF_INET, IPPROTO_ICMP] : [AF_INET6, IPPROTO_ICMPV6];
    const flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    const unprivileged = openSocket(domain, SOCK_DGRAM | flags, protocol);
    const opened = unprivileged ?? openSocket(domain, SOCK_RAW | flags, protocol);
    if (opened === null) {
      throw new Error(
        "The kernel gives the agent no socket for echoes; the sysctl net.ipv4.ping_group_range has to take in its group (0 0 does)",
      );
    }
    this.#isRaw = unprivileged === null;
    this.#fileDescriptor = opened;
    try {
      this.#configure();
    } catch (error) {
      closeSync(opened);
      throw error;
    }
  }

  #configure(): void {
    this.#set("SO_TIMESTAMPNS", SOL_SOCKET, SO_TIMESTAMPNS, 1);
    this.#set("SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
    if (this.#family === 4) this.#set("IP_MTU_DISCOVER", SOL_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE);
    else {
      this.#set("IPV6_MTU_DISCOVER", SOL_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE);
      this.#set("IPV6_DONTFRAG", SOL_IPV6, IPV6_DONTFRAG, 1);
    }
    if (this.#isRaw && !attachFilter(this.#fileDescriptor, replyFilter(this.#family, this.#identifier)))
      throw new Error("the kernel refused the filter for echo replies");
  }

  #set(name: string, level: number, option: number, value: number): void {
    if (!setSocketOption(this.#fileDescriptor, level, option, int32(value)))
      throw new Error(`the kernel refused ${name} on a socket for echoes`);
  }

  /** `raw` or `unprivileged`. */
  get kind(): string {
    return this.#isRaw ? "raw" : "unprivileged";
  }

  /**
   * A request of `packetBytes` with its IP header, filled up with zeros. Returns 0, or the positive error number of the kernel's
   * refusal: EMSGSIZE = more than the interface takes.
   */
  send(to: Buffer, sequence: number, payload: Buffer, packetBytes: number): number {
    const lengthBytes = Math.max(HEADER_BYTES + payload.length, packetBytes - IP_HEADER_BYTES[this.#family]);
    const packet = this.#packet;
    packet.fill(0, 0, lengthBytes);
    packet.writeUInt8(TYPE[this.#family].request, 0);
    packet.writeUInt16BE(this.#identifier, 4);
    packet.writeUInt16BE(sequence, 6);
    packet.set(payload, HEADER_BYTES);
    // Of ICMPv6 the kernel makes the sum itself, and of unprivileged sockets sum and identifier.
    if (this.#isRaw && this.#family === 4) packet.writeUInt16BE(checksum(packet, lengthBytes), 2);
    return sendDatagram(this.#fileDescriptor, packet, lengthBytes, to);
  }

  /** Visits the replies that wait. Whose they are and what they hold is the caller's to judge. */
  receive(visit: (reply: EchoReply) => void): void {
    this.#reader.read(this.#fileDescriptor, MAX_RECEIVED, ({ data, from, receivedAtNs }) => {
      const start = this.#isRaw && this.#family === 4 ? ((data[0] ?? 0) & 0xf) * 4 : 0;
      if (data.length < start + HEADER_BYTES || data[start] !== TYPE[this.#family].reply) return;
      const [sequence, payload] = [data.readUInt16BE(start + 6), data.subarray(start + HEADER_BYTES)];
      visit({ sequence, payload, from, receivedAtNs });
    });
  }

  close(): void {
    closeSync(this.#fileDescriptor);
  }
}
