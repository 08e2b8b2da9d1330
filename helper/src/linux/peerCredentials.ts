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
  const ucred = Buffer.alloc(UCRED_SIZE_BYTES);
  if (getSocketOption(fileDescriptor, SOL_SOCKET, SO_PEERCRED, ucred) !== UCRED_SIZE_BYTES) return null;
  const userId = ucred.readUInt32LE(4);
  // The kernel answers with (uid_t)-1 for sockets without a peer process.
  if (userId === 0xffffffff) return null;
  return { processId: ucred.readInt32LE(0), userId, groupId: ucred.readUInt32LE(8) };
}
