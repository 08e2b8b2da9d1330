/**
 * The few libc calls that Node has no interface for. Every signature is declared here and nowhere else: a wrong one
 * crashes a privileged process. Loaded on first use, so that code which never needs it starts without FFI.
 */
import { dlopen } from "node:ffi";

const LIBRARY = process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6";

const EVERYWHERE = {
  clock_gettime: { arguments: ["int32", "buffer"], return: "int32" },
  flock: { arguments: ["int32", "int32"], return: "int32" },
  socket: { arguments: ["int32", "int32", "int32"], return: "int32" },
  getsockopt: { arguments: ["int32", "int32", "int32", "buffer", "buffer"], return: "int32" },
  setsockopt: { arguments: ["int32", "int32", "int32", "buffer", "uint32"], return: "int32" },
} as const;
/** A name that the library does not have fails the load of all of them. */
const ON_LINUX = { setns: { arguments: ["int32", "int32"], return: "int32" } } as const;

function load() {
  return dlopen(LIBRARY, EVERYWHERE).functions;
}

function loadOnLinux() {
  return dlopen(LIBRARY, ON_LINUX).functions;
}

let loaded: ReturnType<typeof load> | null = null;
let loadedOnLinux: ReturnType<typeof loadOnLinux> | null = null;

function libc(): ReturnType<typeof load> {
  loaded ??= load();
  return loaded;
}

/** One for all calls: memory outside of the heap for each would wake the collector of a process that reads clocks all day. */
let timespec: Buffer | null = null;

/** Time of a POSIX clock in nanoseconds. Throws when the kernel does not know the clock. */
export function readClockNs(clockId: number): bigint {
  timespec ??= Buffer.alloc(16);
  if (libc().clock_gettime(clockId, timespec) !== 0) throw new Error(`clock_gettime(${clockId}) failed`);
  return timespec.readBigInt64LE(0) * 1_000_000_000n + timespec.readBigInt64LE(8);
}

const LOCK_EX = 2;
const LOCK_NB = 4;

/** Takes an advisory lock that the kernel drops when the process ends. False when somebody else holds it. */
export function tryLockFile(fileDescriptor: number): boolean {
  return libc().flock(fileDescriptor, LOCK_EX | LOCK_NB) === 0;
}

/** Opens a socket; the caller closes its descriptor. `null` when the kernel refused. */
export function openSocket(family: number, type: number, protocol: number): number | null {
  const fileDescriptor = libc().socket(family, type, protocol);
  return fileDescriptor < 0 ? null : fileDescriptor;
}

/** Fills `value` with a socket option; returns the number of bytes the kernel wrote, or `null` when it refused. */
export function getSocketOption(fileDescriptor: number, level: number, option: number, value: Buffer): number | null {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.length);
  return libc().getsockopt(fileDescriptor, level, option, value, length) === 0 ? length.readUInt32LE() : null;
}

/** False when the kernel refused. */
export function setSocketOption(fileDescriptor: number, level: number, option: number, value: Buffer): boolean {
  return libc().setsockopt(fileDescriptor, level, option, value, value.length) === 0;
}

const CLONE_NEWNET = 0x40000000;

/** Moves the calling thread, and only it, into the network namespace behind a descriptor. False when refused. */
export function enterNetworkNamespace(fileDescriptor: number): boolean {
  loadedOnLinux ??= loadOnLinux();
  return loadedOnLinux.setns(fileDescriptor, CLONE_NEWNET) === 0;
}
