/** Packets byte by byte, valid or not, as BPF_PROG_TEST_RUN takes them: with an Ethernet header in front. */
import { parseAddress } from "@wardline/domain/policy";

export const TCP_FLAG = { fin: 1, syn: 2, rst: 4, ack: 16 } as const;

export function addressBytes(text: string): Buffer {
  const address = parseAddress(text);
  if (!address.ok) throw new RangeError(text);
  return Buffer.from(address.bytes);
}

export function tcp(sourcePort: number, destinationPort: number, flags: number, dataOffset = 5): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(sourcePort, 0);
  header.writeUInt16BE(destinationPort, 2);
  header.writeUInt8(dataOffset << 4, 12);
  header.writeUInt8(flags, 13);
  return header;
}

export function udp(sourcePort: number, destinationPort: number, size = 8): Buffer {
  const header = Buffer.alloc(size);
  header.writeUInt16BE(sourcePort, 0);
  header.writeUInt16BE(destinationPort, 2);
  header.writeUInt16BE(size, 4);
  return header;
}

/** `rest` follows the first four bytes: identifier and sequence of a query, or four unused bytes and a quoted packet. */
export function icmp(type: number, code: number, rest: Buffer = Buffer.alloc(4)): Buffer {
  return Buffer.concat([Buffer.from([type, code, 0, 0]), rest]);
}

export function echo(type: number, identifier: number): Buffer {
  return icmp(type, 0, Buffer.from([identifier >> 8, identifier & 0xff, 0, 1]));
}

export function icmpError(type: number, code: number, quoted: Buffer): Buffer {
  return icmp(type, code, Buffer.concat([Buffer.alloc(4), quoted]));
}

export interface Ipv4Options {
  readonly headerWords?: number;
  readonly totalLength?: number;
  /** Flags and offset as in the header. */
  readonly fragment?: number;
}

export function ipv4(
  source: string,
  destination: string,
  protocol: number,
  payload: Buffer,
  options: Ipv4Options = {},
) {
  const header = Buffer.alloc(20);
  header.writeUInt8(0x40 | (options.headerWords ?? 5), 0);
  header.writeUInt16BE(options.totalLength ?? header.length + payload.length, 2);
  header.writeUInt16BE(options.fragment ?? 0, 6);
  header.writeUInt8(64, 8);
  header.writeUInt8(protocol, 9);
  header.set(addressBytes(source), 12);
  header.set(addressBytes(destination), 16);
  return Buffer.concat([header, payload]);
}

/** `extensions` are whole headers; their first byte (next header) is filled in here. */
export function ipv6(
  source: string,
  destination: string,
  protocol: number,
  payload: Buffer,
  extensions: readonly { readonly type: number; readonly bytes: Buffer }[] = [],
  hopLimit = 64,
): Buffer {
  const chain = extensions.map(({ bytes }, position) => {
    const copy = Buffer.from(bytes);
    copy.writeUInt8(extensions[position + 1]?.type ?? protocol, 0);
    return copy;
  });
  const body = Buffer.concat([...chain, payload]);
  const header = Buffer.alloc(40);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(body.length, 4);
  header.writeUInt8(extensions[0]?.type ?? protocol, 6);
  header.writeUInt8(hopLimit, 7);
  header.set(addressBytes(source), 8);
  header.set(addressBytes(destination), 24);
  return Buffer.concat([header, body]);
}

export function ethernet(packet: Buffer, etherType?: number): Buffer {
  const header = Buffer.alloc(14);
  header.writeUInt16BE(etherType ?? ((packet[0] ?? 0) >> 4 === 4 ? 0x0800 : 0x86dd), 12);
  return Buffer.concat([header, packet]);
}
