/** The kernel's lists of interfaces and traffic filters (rtnetlink): questions, and word of changes. */
import { closeSync, readSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { getSystemErrorName } from "node:util";
import { openSocket, setSocketOption } from "../ffi/libc.ts";
import { inNetworkNamespace } from "./namespace.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const RTNLGRP_LINK = 1;
const RECEIVE_BYTES = 1 << 16;
const HEADER_BYTES = 16;
const ALIGNMENT = 4;
const NLMSG_NOOP = 1;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 1;
const NLM_F_REQUEST_DUMP = 0x301;
const NLM_F_DUMP_INTERRUPTED = 0x10;
/** What is listed may change while it is listed; then the kernel says so and the list is asked for again. */
const MAX_ATTEMPTS = 20;

function open(networkNamespace: string | null, protocol = NETLINK_ROUTE): number {
  const type = SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const fileDescriptor = inNetworkNamespace(networkNamespace, () => openSocket(AF_NETLINK, type, protocol));
  if (fileDescriptor === null) throw new Error("the kernel refused a netlink socket");
  return fileDescriptor;
}

/** 0 = nothing there. */
function receive(fileDescriptor: number, into: Buffer): number {
  try {
    return readSync(fileDescriptor, into, 0, into.length, null);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EAGAIN") return 0;
    throw error;
  }
}

interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Buffer;
}

function* messages(bytes: Buffer): Generator<Message> {
  for (let start = 0; start + HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readUInt32LE(start);
    if (length < HEADER_BYTES || start + length > bytes.length) throw new Error("a netlink message is cut short");
    yield {
      type: bytes.readUInt16LE(start + 4),
      flags: bytes.readUInt16LE(start + 6),
      sequence: bytes.readUInt32LE(start + 8),
      payload: bytes.subarray(start + HEADER_BYTES, start + length),
    };
    start += Math.ceil(length / ALIGNMENT) * ALIGNMENT;
  }
}

/** Asks for lists. Every answer is there when the question was sent, so nothing waits. */
export class RouteQuestions {
  readonly #fileDescriptor: number;
  readonly #received = Buffer.allocUnsafe(RECEIVE_BYTES);
  #sequence = 0;

  /** Stays in the namespace that it was made in. @param protocol of netlink; rtnetlink unless given */
  constructor(networkNamespace: string | null, protocol?: number) {
    this.#fileDescriptor = open(networkNamespace, protocol);
  }

  /** Payloads of the whole list. `body` follows the message's header. */
  list(type: number, body: Buffer): readonly Buffer[] {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const answer = this.#listOnce(type, body);
      if (answer !== null) return answer;
    }
    throw new Error("the kernel's list changes all the time");
  }

  #listOnce(type: number, body: Buffer): readonly Buffer[] | null {
    this.#send(type, NLM_F_REQUEST_DUMP, body);
    const answers: Buffer[] = [];
    let interrupted = false;
    for (;;) {
      const length = receive(this.#fileDescriptor, this.#received);
      if (length === 0) throw new Error("the kernel did not end its list");
      for (const message of messages(this.#received.subarray(0, length))) {
        if (message.sequence !== this.#sequence) continue;
        interrupted ||= (message.flags & NLM_F_DUMP_INTERRUPTED) !== 0;
        if (message.type === NLMSG_DONE) return interrupted ? null : answers;
        if (message.type === NLMSG_ERROR)
          throw new Error(`netlink request ${type}: ${getSystemErrorName(message.payload.readInt32LE(0))}`);
        answers.push(Buffer.from(message.payload));
      }
    }
  }

  /** The payload of the one answer; `null` = there is nothing of that kind. `body` follows the message's header. */
  one(type: number, body: Buffer): Buffer | null {
    this.#send(type, NLM_F_REQUEST, body);
    for (;;) {
      const length = receive(this.#fileDescriptor, this.#received);
      if (length === 0) throw new Error("the kernel did not answer");
      for (const message of messages(this.#received.subarray(0, length))) {
        if (message.sequence !== this.#sequence) continue;
        if (message.type !== NLMSG_ERROR) return Buffer.from(message.payload);
        const errno = message.payload.readInt32LE(0);
        if (errno === -constants.errno.ENOENT) return null;
        throw new Error(`netlink request ${type}: ${getSystemErrorName(errno)}`);
      }
    }
  }

  #send(type: number, flags: number, body: Buffer): void {
    this.#sequence += 1;
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32LE(HEADER_BYTES + body.length, 0);
    header.writeUInt16LE(type, 4);
    header.writeUInt16LE(flags, 6);
    header.writeUInt32LE(this.#sequence, 8);
    writeSync(this.#fileDescriptor, Buffer.concat([header, body]));
  }

  close(): void {
    closeSync(this.#fileDescriptor);
  }
}

/** Says whether an interface came, went or changed since it was asked last. */
export class LinkChanges {
  readonly #fileDescriptor: number;
  readonly #received = Buffer.allocUnsafe(RECEIVE_BYTES);

  constructor(networkNamespace: string | null) {
    this.#fileDescriptor = open(networkNamespace);
    const group = Buffer.alloc(4);
    group.writeUInt32LE(RTNLGRP_LINK);
    if (!setSocketOption(this.#fileDescriptor, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)) {
      closeSync(this.#fileDescriptor);
      throw new Error("the kernel refused to tell of changes of interfaces");
    }
    // A socket gets an address when it first sends, and no news without one.
    const nothing = Buffer.alloc(HEADER_BYTES);
    nothing.writeUInt32LE(HEADER_BYTES, 0);
    nothing.writeUInt16LE(NLMSG_NOOP, 4);
    writeSync(this.#fileDescriptor, nothing);
  }

  /** One system call when there is nothing new. */
  happened(): boolean {
    let news = false;
    try {
      while (receive(this.#fileDescriptor, this.#received) > 0) news = true;
    } catch (error) {
      // More than the socket could hold: something changed, and that is all that is asked.
      if (!(error instanceof Error && "code" in error && error.code === "ENOBUFS")) throw error;
      return true;
    }
    return news;
  }

  close(): void {
    closeSync(this.#fileDescriptor);
  }
}
