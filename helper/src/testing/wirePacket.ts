/** First packets of connections as they are on the wire: with valid checksums and of any length. */
import { PROTOCOL } from "@wardline/domain/policy";
import { addressBytes, icmp, ipv4, ipv6, TCP_FLAG, tcp, udp } from "./rawPacket.ts";

export interface WirePacket {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  /** Destination port, or `type << 8 | code`. */
  readonly port: number;
  /** Source port, or the identifier of an echo request: what makes it a connection of its own. */
  readonly otherPort: number;
  readonly tcpFlags?: number;
  /** Bytes after the transport header. */
  readonly paddingBytes?: number;
}

/** From the IP header on. */
export function wirePacket(packet: WirePacket): Buffer {
  const source = addressBytes(packet.source);
  const destination = addressBytes(packet.destination);
  const payload = Buffer.concat([transport(packet), Buffer.alloc(packet.paddingBytes ?? 0, 0x5a)]);
  if (packet.protocol === PROTOCOL.udp) payload.writeUInt16BE(payload.length, 4);
  const offset = CHECKSUM_OFFSET.get(packet.protocol);
  if (offset !== undefined) {
    const usesPseudoHeader = packet.protocol !== PROTOCOL.icmp;
    const pseudo = Buffer.alloc(8);
    pseudo.writeUInt32BE(payload.length, 0);
    pseudo.writeUInt8(packet.protocol, 7);
    const covered = usesPseudoHeader ? [source, destination, pseudo, payload] : [payload];
    payload.writeUInt16BE(checksum(Buffer.concat(covered)), offset);
  }
  if (source.length === 16) return ipv6(packet.source, packet.destination, packet.protocol, payload, [], 255);
  const whole = ipv4(packet.source, packet.destination, packet.protocol, payload);
  whole.writeUInt16BE(checksum(whole.subarray(0, 20)), 10);
  return whole;
}

const CHECKSUM_OFFSET = new Map<number, number>([
  [PROTOCOL.tcp, 16],
  [PROTOCOL.udp, 6],
  [PROTOCOL.icmp, 2],
  [PROTOCOL.icmpv6, 2],
]);

function transport({ protocol, port, otherPort, tcpFlags }: WirePacket): Buffer {
  switch (protocol) {
    case PROTOCOL.tcp:
      return tcp(otherPort, port, tcpFlags ?? TCP_FLAG.syn);
    case PROTOCOL.udp:
      return udp(otherPort, port);
    case PROTOCOL.sctp: {
      // Common header and an INIT chunk: type, flags, length, and sixteen bytes of parameters.
      const init = Buffer.concat([Buffer.from([1, 0, 0, 20]), Buffer.alloc(16, 1)]);
      return Buffer.concat([udp(otherPort, port, 12), init]);
    }
    case PROTOCOL.icmp:
    case PROTOCOL.icmpv6:
      return icmp(port >> 8, port & 0xff, Buffer.from([otherPort >> 8, otherPort & 0xff, 0, 1]));
    default:
      return Buffer.alloc(16);
  }
}

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let position = 0; position < bytes.length; position += 2) {
    sum += ((bytes[position] ?? 0) << 8) | (bytes[position + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum >> 16) + (sum & 0xffff);
  return ~sum & 0xffff;
}
