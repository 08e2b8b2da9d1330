/** What the kernel knows of TCP connections (sock_diag): what was sent over them and not acknowledged. Needs no privilege. */
import { RouteQuestions } from "./routeSocket.ts";

const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const IPPROTO_TCP = 6;
/** Of `idiag_ext`: the answer carries `struct tcp_info`. */
const WITH_INFO = 1 << 1;
const INET_DIAG_INFO = 2;
const ESTABLISHED = 1 << 1;
/** `struct inet_diag_req_v2`, which ends with a `struct inet_diag_sockid`. */
const REQUEST = { bytes: 56, states: 4, id: 8, remotePort: 10 } as const;
/** `struct inet_diag_msg`. */
const ANSWER = { bytes: 72, id: 4, remotePort: 6, remoteAddress: 24 } as const;
const ID_BYTES = 48;
const INFO = { bytes: 104, retransmits: 2, unacknowledged: 24, resent: 100 } as const;
const FAMILIES = { 4: 2, 6: 10 } as const;
const MAPPED = Buffer.from("00000000000000000000ffff", "hex");

export interface TcpConnection {
  readonly family: 4 | 6;
  /** What the kernel finds it by, and no other one that comes after it. */
  readonly id: Buffer;
  /** Dotted, or eight groups of hexadecimal digits; without a zone. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Times in a row that the first of what waits was sent again, each after twice the time of the one before. */
  readonly retransmits: number;
  /** Segments that were sent and not acknowledged. */
  readonly unacknowledged: number;
  /** Segments that were sent again since it began. */
  readonly resent: number;
}

export interface TcpTable {
  /** Those that are established, to this port of other hosts: goes through all of the host's. */
  to(family: 4 | 6, remotePort: number): readonly TcpConnection[];
  /** The same one, now; `null` = it is gone, or not established any more. */
  again(connection: TcpConnection): TcpConnection | null;
  close(): void;
}

/** Answers at once; throws where the kernel refuses. */
export class TcpConnections implements TcpTable {
  readonly #questions: RouteQuestions;

  /** Throws where the kernel gives no such socket. @param networkNamespace `null` = this process' own */
  constructor(networkNamespace: string | null = null) {
    this.#questions = new RouteQuestions(networkNamespace, NETLINK_SOCK_DIAG);
  }

  to(family: 4 | 6, remotePort: number): readonly TcpConnection[] {
    const request = requestOf(family);
    request.writeUInt16BE(remotePort, REQUEST.remotePort);
    return this.#questions.list(SOCK_DIAG_BY_FAMILY, request).flatMap((answer) => read(answer, family) ?? []);
  }

  again({ family, id }: TcpConnection): TcpConnection | null {
    const request = requestOf(family);
    id.copy(request, REQUEST.id);
    const answer = this.#questions.one(SOCK_DIAG_BY_FAMILY, request);
    return answer === null ? null : read(answer, family);
  }

  close(): void {
    this.#questions.close();
  }
}

function requestOf(family: 4 | 6): Buffer {
  const request = Buffer.alloc(REQUEST.bytes);
  request[0] = FAMILIES[family];
  request[1] = IPPROTO_TCP;
  request[2] = WITH_INFO;
  request.writeUInt32LE(ESTABLISHED, REQUEST.states);
  return request;
}

const ESTABLISHED_STATE = 1;

function read(answer: Buffer, family: 4 | 6): TcpConnection | null {
  const info = infoOf(answer);
  if (info === null || answer[1] !== ESTABLISHED_STATE) return null;
  const from = ANSWER.remoteAddress;
  return {
    family,
    id: Buffer.from(answer.subarray(ANSWER.id, ANSWER.id + ID_BYTES)),
    remoteAddress: family === 4 ? dotted(answer.subarray(from, from + 4)) : groups(answer.subarray(from, from + 16)),
    remotePort: answer.readUInt16BE(ANSWER.remotePort),
    retransmits: info[INFO.retransmits] ?? 0,
    unacknowledged: info.readUInt32LE(INFO.unacknowledged),
    resent: info.readUInt32LE(INFO.resent),
  };
}

function infoOf(answer: Buffer): Buffer | null {
  for (let at = ANSWER.bytes; at + 4 <= answer.length; ) {
    const length = answer.readUInt16LE(at);
    if (length < 4 || at + length > answer.length) return null;
    if (answer.readUInt16LE(at + 2) === INET_DIAG_INFO && length - 4 >= INFO.bytes)
      return answer.subarray(at + 4, at + length);
    at += Math.ceil(length / 4) * 4;
  }
  return null;
}

const dotted = (bytes: Buffer) => [...bytes].join(".");

/** A socket that listens for both families has addresses of IPv4 within those of IPv6. */
function groups(bytes: Buffer): string {
  if (bytes.subarray(0, MAPPED.length).equals(MAPPED)) return dotted(bytes.subarray(MAPPED.length));
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(":");
}
