/** Packets for the self-test: the first packet of a connection, as bytes. */
import { type Direction, PROTOCOL, parseAddress } from "@wardline/domain/policy";

export interface ProbePacket {
  readonly direction: Direction;
  readonly remote: string;
  readonly local?: string | undefined;
  readonly protocol: number;
  readonly port: number;
}

const ETHERNET_SIZE = 14;
const ETHERTYPE = { 4: 0x0800, 6: 0x86dd } as const;
/** Addresses for documentation: no host has them. */
const LOCAL_ADDRESS = { 4: "198.51.100.254", 6: "2001:db8:ffff::fe" } as const;
const OTHER_PORT = 40_000;
const HOP_LIMIT = 255;

function addressBytes(text: string): { family: 4 | 6; bytes: Uint8Array } {
  const address = parseAddress(text);
  if (!address.ok) throw new RangeError(`"${text}" ${address.message}`);
  return address;
}

/** From the pool: there are hundreds of them in each apply. */
function zeroed(length: number): Buffer {
  return Buffer.allocUnsafe(length).fill(0);
}

/** Header and first bytes of the transport protocol, for the first packet of a flow. */
function transportBytes(protocol: number, port: number): Buffer {
  const bytes = zeroed(protocol === PROTOCOL.tcp ? 20 : protocol === PROTOCOL.sctp ? 32 : 16);
  if (protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmpv6) {
    bytes.writeUInt16BE(port, 0);
    return bytes;
  }
  bytes.writeUInt16BE(OTHER_PORT, 0);
  bytes.writeUInt16BE(port, 2);
  if (protocol === PROTOCOL.tcp) {
    bytes.writeUInt8(5 << 4, 12);
    bytes.writeUInt8(0x02, 13);
  } else if (protocol === PROTOCOL.udp) bytes.writeUInt16BE(bytes.length, 4);
  else if (protocol === PROTOCOL.sctp) bytes.writeUInt8(1, 12);
  return bytes;
}

function ipHeader(
  family: 4 | 6,
  protocol: number,
  source: Uint8Array,
  destination: Uint8Array,
  length: number,
): Buffer {
  const header = zeroed(family === 4 ? 20 : 40);
  if (family === 4) {
    header.writeUInt8(0x45, 0);
    header.writeUInt16BE(header.length + length, 2);
    header.writeUInt8(HOP_LIMIT, 8);
    header.writeUInt8(protocol, 9);
    header.set(source, 12);
    header.set(destination, 16);
  } else {
    header.writeUInt8(0x60, 0);
    header.writeUInt16BE(length, 4);
    header.writeUInt8(protocol, 6);
    header.writeUInt8(HOP_LIMIT, 7);
    header.set(source, 8);
    header.set(destination, 24);
  }
  return header;
}

/** An Ethernet frame, as BPF_PROG_TEST_RUN wants it. */
export function buildProbePacket(probe: ProbePacket): Buffer {
  const remote = addressBytes(probe.remote);
  const local = addressBytes(probe.local ?? LOCAL_ADDRESS[remote.family]);
  const [source, destination] = probe.direction === "egress" ? [local, remote] : [remote, local];
  const transport = transportBytes(probe.protocol, probe.port);
  const header = ipHeader(remote.family, probe.protocol, source.bytes, destination.bytes, transport.length);
  const ethernet = zeroed(ETHERNET_SIZE);
  ethernet.writeUInt16BE(ETHERTYPE[remote.family], 12);
  return Buffer.concat([ethernet, header, transport]);
}

const EXTENSION_HEADERS = new Set([0, 43, 44, 51, 60, 135, 139, 140]);

/** Whether there is such a packet: numbers that IPv6 reads as extension headers are no protocol of one. */
export function canBeBuilt({ remote, protocol }: Pick<ProbePacket, "remote" | "protocol">): boolean {
  return addressBytes(remote).family === 4 || !EXTENSION_HEADERS.has(protocol);
}

/**
 * Whether such a packet asks the kernel the very question that the fields say. Not so for answers (they are judged as
 * their query), ICMP of the other family (no type there), and numbers that IPv6 reads as extension headers.
 */
export function isFaithfulProbe({ remote, protocol, port }: ProbePacket): boolean {
  const { family } = addressBytes(remote);
  const type = port >> 8;
  if (protocol === PROTOCOL.icmp) return family === 4 && type !== 0 && type !== 14;
  if (protocol === PROTOCOL.icmpv6) return family === 6 && type !== 129;
  const hasPorts = protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp || protocol === PROTOCOL.sctp;
  return (hasPorts || port === 0) && canBeBuilt({ remote, protocol });
}
