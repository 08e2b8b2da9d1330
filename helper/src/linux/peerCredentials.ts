/** Who is at the other end of a Unix socket, as the kernel recorded it when the peer connected. */
import type { Socket } from "node:net";
import { getSocketOption } from "./ffi/libc.ts";

export interface PeerCredentials {
  readonly processId: number;
  readonly userId: number;
  /** Primary group. */
  readonly groupId: number;
}

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const UCRED_SIZE_BYTES = 12;
/** macOS: level of options of Unix sockets, `struct xucred` and its version, and the process id (sys/un.h, sys/ucred.h). */
const SOL_LOCAL = 0;
const LOCAL_PEERCRED = 1;
const LOCAL_PEERPID = 2;
const XUCRED_SIZE_BYTES = 76;
const XUCRED_VERSION = 0;
/** The kernel answers with (uid_t)-1 for sockets without a peer process. */
const NO_USER = 0xffffffff;

function fileDescriptorOf(socket: Socket): number | null {
  // Node has no public way to the descriptor of an accepted socket.
  const handle: unknown = Reflect.get(socket, "_handle");
  if (typeof handle !== "object" || handle === null) return null;
  const fileDescriptor: unknown = Reflect.get(handle, "fd");
  return typeof fileDescriptor === "number" && fileDescriptor >= 0 ? fileDescriptor : null;
}

/** `null` when the kernel does not tell (not a Unix socket, already closed): the caller must then refuse the peer. */
export function readPeerCredentials(socket: Socket): PeerCredentials | null {
  const fileDescriptor = fileDescriptorOf(socket);
  if (fileDescriptor === null) return null;
  return process.platform === "darwin" ? readOnMacos(fileDescriptor) : readOnLinux(fileDescriptor);
}

function readOnLinux(fileDescriptor: number): PeerCredentials | null {
  const ucred = Buffer.alloc(UCRED_SIZE_BYTES);
  if (getSocketOption(fileDescriptor, SOL_SOCKET, SO_PEERCRED, ucred) !== UCRED_SIZE_BYTES) return null;
  const userId = ucred.readUInt32LE(4);
  if (userId === NO_USER) return null;
  return { processId: ucred.readInt32LE(0), userId, groupId: ucred.readUInt32LE(8) };
}

function readOnMacos(fileDescriptor: number): PeerCredentials | null {
  const xucred = Buffer.alloc(XUCRED_SIZE_BYTES);
  const processId = Buffer.alloc(4);
  if (getSocketOption(fileDescriptor, SOL_LOCAL, LOCAL_PEERCRED, xucred) !== XUCRED_SIZE_BYTES) return null;
  if (getSocketOption(fileDescriptor, SOL_LOCAL, LOCAL_PEERPID, processId) !== processId.length) return null;
  return decodeXucred(xucred, processId.readInt32LE());
}

/** `struct xucred`: version, user, number of groups, padding, groups of which the first is the effective one. */
export function decodeXucred(xucred: Buffer, processId: number): PeerCredentials | null {
  const userId = xucred.readUInt32LE(4);
  if (xucred.readUInt32LE(0) !== XUCRED_VERSION || userId === NO_USER || xucred.readInt16LE(8) < 1) return null;
  return { processId, userId, groupId: xucred.readUInt32LE(12) };
}
