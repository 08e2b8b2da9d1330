/**
 * Datagrams with the time at which the kernel took them, through libc: Node's own sockets have neither ICMP nor that time.
 * Only files of this folder touch a pointer. Every call returns at once.
 */
import { dlopen, getInt32, getRawPointer } from "node:ffi";

/** Compare with <sys/socket.h> before you change one: a wrong signature crashes a privileged process. */
const SIGNATURES = {
  sendto: { arguments: ["int32", "buffer", "uint64", "int32", "buffer", "uint32"], return: "int64" },
  recvmmsg: { arguments: ["int32", "buffer", "uint32", "int32", "pointer"], return: "int32" },
  setsockopt: { arguments: ["int32", "int32", "int32", "buffer", "uint32"], return: "int32" },
  __errno_location: { arguments: [], return: "pointer" },
} as const;

const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SO_TIMESTAMPNS = 35;

function load() {
  return dlopen("libc.so.6", SIGNATURES).functions;
}

let loaded: ReturnType<typeof load> | null = null;

function libc(): ReturnType<typeof load> {
  loaded ??= load();
  return loaded;
}

/** Of the call before, in this thread; nothing may run between that and this. */
function errorNumber(): number {
  return getInt32(libc().__errno_location());
}

/** Returns 0, or why the kernel did not take it: a positive error number. `to` is a `sockaddr`. */
export function sendDatagram(fileDescriptor: number, packet: Buffer, lengthBytes: number, to: Buffer): number {
  if (lengthBytes > packet.length) throw new RangeError("more than the packet holds");
  const { sendto } = libc();
  const sent = sendto(fileDescriptor, packet, BigInt(lengthBytes), MSG_DONTWAIT, to, to.length);
  return sent < 0n ? errorNumber() : 0;
}

/** One instruction of a classic packet filter. */
export interface FilterInstruction {
  readonly code: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
  readonly operand: number;
}

/** What the filter does not accept is dropped before it takes room in the socket. False when the kernel refused. */
export function attachFilter(fileDescriptor: number, program: readonly FilterInstruction[]): boolean {
  const instructions = Buffer.alloc(program.length * 8);
  program.forEach(({ code, jumpTrue, jumpFalse, operand }, index) => {
    instructions.writeUInt16LE(code, index * 8);
    instructions.writeUInt8(jumpTrue, index * 8 + 2);
    instructions.writeUInt8(jumpFalse, index * 8 + 3);
    instructions.writeUInt32LE(operand, index * 8 + 4);
  });
  // `struct sock_fprog`.
  const header = Buffer.alloc(16);
  header.writeUInt16LE(program.length, 0);
  header.writeBigUInt64LE(getRawPointer(instructions), 8);
  const isTaken = libc().setsockopt(fileDescriptor, SOL_SOCKET, SO_ATTACH_FILTER, header, header.length) === 0;
  // Reachable until the call is over.
  return instructions.length > 0 && isTaken;
}

export interface ReceivedDatagram {
  /** A view that holds only during the call; the first {@link DATA_BYTES} of what came. */
  readonly data: Buffer;
  /** Of all that came. */
  readonly lengthBytes: number;
  /** The `sockaddr` of the sender: a view as well. */
  readonly from: Buffer;
  /** Wall clock at which the kernel took it, in nanoseconds; `null` = it did not say. */
  readonly receivedAtNs: bigint | null;
}

/** An IPv4 header with options, an ICMP header and a payload of ours. */
export const DATA_BYTES = 128;
const BATCH = 32;
const NAME_BYTES = 32;
const CONTROL_BYTES = 64;
/** `struct mmsghdr` and `struct iovec` of 64-bit Linux. */
const HEADER_BYTES = 64;
const VECTOR_BYTES = 16;
const OFFSET = { nameLength: 8, vectors: 16, vectorCount: 24, control: 32, controlLength: 40, received: 56 } as const;

/** Reads what waits on sockets, many datagrams at a call. */
export class DatagramReader {
  readonly #headers = Buffer.alloc(BATCH * HEADER_BYTES);
  readonly #vectors = Buffer.alloc(BATCH * VECTOR_BYTES);
  readonly #names = Buffer.alloc(BATCH * NAME_BYTES);
  readonly #controls = Buffer.alloc(BATCH * CONTROL_BYTES);
  readonly #data = Buffer.alloc(BATCH * DATA_BYTES);

  constructor() {
    const [names, vectors] = [getRawPointer(this.#names), getRawPointer(this.#vectors)];
    const [controls, data] = [getRawPointer(this.#controls), getRawPointer(this.#data)];
    for (let index = 0; index < BATCH; index++) {
      const start = index * HEADER_BYTES;
      this.#headers.writeBigUInt64LE(names + BigInt(index * NAME_BYTES), start);
      this.#headers.writeBigUInt64LE(vectors + BigInt(index * VECTOR_BYTES), start + OFFSET.vectors);
      this.#headers.writeBigUInt64LE(1n, start + OFFSET.vectorCount);
      this.#headers.writeBigUInt64LE(controls + BigInt(index * CONTROL_BYTES), start + OFFSET.control);
      this.#vectors.writeBigUInt64LE(data + BigInt(index * DATA_BYTES), index * VECTOR_BYTES);
      this.#vectors.writeBigUInt64LE(BigInt(DATA_BYTES), index * VECTOR_BYTES + 8);
      this.#allow(index);
    }
  }

  /** The kernel writes what it used of a name and of the control data over what it may use. */
  #allow(index: number): void {
    const start = index * HEADER_BYTES;
    this.#headers.writeUInt32LE(NAME_BYTES, start + OFFSET.nameLength);
    this.#headers.writeBigUInt64LE(BigInt(CONTROL_BYTES), start + OFFSET.controlLength);
  }

  /** Visits at most `limit` waiting datagrams, rounded up to whole batches. Returns how many there were. */
  read(fileDescriptor: number, limit: number, visit: (datagram: ReceivedDatagram) => void): number {
    let total = 0;
    while (total < limit) {
      const count = libc().recvmmsg(fileDescriptor, this.#headers, BATCH, MSG_DONTWAIT | MSG_TRUNC, 0n);
      for (let index = 0; index < count; index++) {
        visit(this.#at(index));
        this.#allow(index);
      }
      if (count > 0) total += count;
      if (count < BATCH) break;
    }
    return total;
  }

  #at(index: number): ReceivedDatagram {
    const start = index * HEADER_BYTES;
    const lengthBytes = this.#headers.readUInt32LE(start + OFFSET.received);
    const nameLength = Math.min(NAME_BYTES, this.#headers.readUInt32LE(start + OFFSET.nameLength));
    const [data, name] = [index * DATA_BYTES, index * NAME_BYTES];
    return {
      data: this.#data.subarray(data, data + Math.min(DATA_BYTES, lengthBytes)),
      lengthBytes,
      from: this.#names.subarray(name, name + nameLength),
      receivedAtNs: this.#timestampOf(index),
    };
  }

  #timestampOf(index: number): bigint | null {
    const used = Number(this.#headers.readBigUInt64LE(index * HEADER_BYTES + OFFSET.controlLength));
    const control = this.#controls.subarray(
      index * CONTROL_BYTES,
      index * CONTROL_BYTES + Math.min(used, CONTROL_BYTES),
    );
    // `struct cmsghdr`, then a `struct timespec`. Nothing else was asked for.
    if (control.length < 32 || control.readInt32LE(8) !== SOL_SOCKET || control.readInt32LE(12) !== SO_TIMESTAMPNS)
      return null;
    return control.readBigInt64LE(16) * 1_000_000_000n + control.readBigInt64LE(24);
  }
}
