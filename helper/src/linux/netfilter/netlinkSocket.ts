/**
 * Asks the kernel over a netlink socket and waits for the answer. A request takes microseconds where a program that
 * prints the same takes milliseconds (or seconds, when it reads everything there is before it prints one line).
 */
import { closeSync, readSync, writeSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { getSystemErrorName } from "node:util";
import { openSocket, setSocketOption } from "../ffi/libc.ts";
import { inNetworkNamespace } from "../network/namespace.ts";
import { ATTRIBUTE_HEADER_BYTES } from "./attributes.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_NETFILTER = 12;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const ANSWER_TIMEOUT_SECONDS = 5n;
const RECEIVE_BYTES = 1 << 17;

const HEADER_BYTES = 16;
/** Of netfilter, after the header of every message. */
const FAMILY_BYTES = 4;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;
const NLM_F_MULTI = 2;
const NLM_F_DUMP_INTERRUPTED = 0x10;
/** Changes of the rules while they are read: each time the answer is asked for again. */
const MAX_ATTEMPTS = 20;

/** The kernel's refusal of a request. */
export class NetlinkError extends Error {
  /** Positive. */
  readonly errno: number;

  constructor(request: string, errno: number) {
    super(`${request}: ${getSystemErrorName(-errno)}`);
    this.name = "NetlinkError";
    this.errno = errno;
  }
}

export interface NetlinkRequest {
  /** For messages. */
  readonly name: string;
  /** Subsystem and message. */
  readonly type: number;
  readonly family: number;
  readonly attributes: Buffer;
  /** Every object that fits instead of one. */
  readonly dump: boolean;
}

export class NetlinkSocket {
  readonly #fileDescriptor: number;
  readonly #received = Buffer.allocUnsafe(RECEIVE_BYTES);
  #sequence = 0;

  /** `networkNamespace` is the path of one; `null` = the one of this process. It stays there. Throws when no socket can be made. */
  constructor(networkNamespace: string | null) {
    const fileDescriptor = inNetworkNamespace(networkNamespace, open);
    if (fileDescriptor === null) throw new Error("the kernel refused a netlink socket");
    this.#fileDescriptor = fileDescriptor;
    const timeout = Buffer.alloc(16);
    timeout.writeBigInt64LE(ANSWER_TIMEOUT_SECONDS);
    setSocketOption(fileDescriptor, SOL_SOCKET, SO_RCVTIMEO, timeout);
  }

  /** Attributes of every message of the answer. Throws {@link NetlinkError}. */
  ask(request: NetlinkRequest): readonly Buffer[] {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const answers: Buffer[] = [];
      const exchange = this.#exchange(request);
      let step = exchange.next();
      for (; !step.done; step = exchange.next()) answers.push(...step.value);
      if (step.value) return answers;
    }
    throw new Error(`${request.name}: the rules change all the time`);
  }

  /** As {@link ask}, letting others run now and then. Nothing else may be asked on this socket meanwhile. */
  async askSlowly(request: NetlinkRequest): Promise<readonly Buffer[]> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const answers: Buffer[] = [];
      const exchange = this.#exchange(request);
      let step = exchange.next();
      for (; !step.done; step = exchange.next()) {
        answers.push(...step.value);
        await nextTurn();
      }
      if (step.value) return answers;
    }
    throw new Error(`${request.name}: the rules change all the time`);
  }

  /** Yields what each look into the socket brings; returns false when what was read changed meanwhile. */
  *#exchange({ name, type, family, attributes, dump }: NetlinkRequest): Generator<readonly Buffer[], boolean> {
    this.#sequence += 1;
    const message = Buffer.alloc(HEADER_BYTES + FAMILY_BYTES);
    message.writeUInt32LE(message.length + attributes.length, 0);
    message.writeUInt16LE(type, 4);
    message.writeUInt16LE(NLM_F_REQUEST | (dump ? NLM_F_DUMP : NLM_F_ACK), 6);
    message.writeUInt32LE(this.#sequence, 8);
    message[HEADER_BYTES] = family;
    writeSync(this.#fileDescriptor, Buffer.concat([message, attributes]));
    let isInterrupted = false;
    for (;;) {
      const length = readSync(this.#fileDescriptor, this.#received, 0, RECEIVE_BYTES, null);
      const answers: Buffer[] = [];
      let isDone = false;
      for (const { type: kind, flags, sequence, payload } of messages(this.#received.subarray(0, length))) {
        if (sequence !== this.#sequence) continue;
        isInterrupted ||= (flags & NLM_F_MULTI) !== 0 && (flags & NLM_F_DUMP_INTERRUPTED) !== 0;
        const errno = kind === NLMSG_ERROR ? -payload.readInt32LE(0) : 0;
        if (errno !== 0) throw new NetlinkError(name, errno);
        isDone = kind === NLMSG_ERROR || kind === NLMSG_DONE;
        if (!isDone) answers.push(Buffer.from(payload.subarray(FAMILY_BYTES)));
      }
      yield answers;
      if (isDone) return !isInterrupted;
    }
  }

  close(): void {
    closeSync(this.#fileDescriptor);
  }
}

function* messages(bytes: Buffer) {
  for (let start = 0; start + HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readUInt32LE(start);
    if (length < HEADER_BYTES || start + length > bytes.length) throw new Error("a netlink message is cut short");
    yield {
      type: bytes.readUInt16LE(start + 4),
      flags: bytes.readUInt16LE(start + 6),
      sequence: bytes.readUInt32LE(start + 8),
      payload: bytes.subarray(start + HEADER_BYTES, start + length),
    };
    start += Math.ceil(length / ATTRIBUTE_HEADER_BYTES) * ATTRIBUTE_HEADER_BYTES;
  }
}

function open(): number | null {
  return openSocket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
}
