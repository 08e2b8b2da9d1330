/**
 * libbpf.so.1 through node:ffi. Only files of this folder touch a pointer: callers see file descriptors,
 * Buffers and ArrayBuffers.
 *
 * Every call is synchronous and short, with one exception: replacing inner maps waits for an RCU grace period (about
 * 11 ms). Failed calls throw {@link BpfError}.
 */
import { getRawPointer, toArrayBuffer } from "node:ffi";
import { BpfError, checked, functions, keepAlive } from "./library.ts";

export { BpfError, libbpfProblem } from "./library.ts";
export { type LoadedObject, loadObject, type ObjectOptions } from "./object.ts";

export const BPF_MAP_TYPE = { hash: 1, array: 2, percpuArray: 6, lpmTrie: 11, arrayOfMaps: 12, ringbuf: 27 } as const;
export const BPF_ATTACH_TYPE = { cgroupInetIngress: 0, cgroupInetEgress: 1 } as const;
export const BPF_F_NO_PREALLOC = 1;
export const BPF_F_MMAPABLE = 1 << 10;
export const BPF_F_INNER_MAP = 1 << 12;

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const ENOENT = 2;
const MS_NOSUID_NODEV_NOEXEC = 14n;
const SIZE_OF_SK_BUFF = 192;

export function libbpfVersion(): string {
  const { libbpf } = functions();
  return `${libbpf.libbpf_major_version()}.${libbpf.libbpf_minor_version()}`;
}

export function possibleCpuCount(): number {
  return checked("libbpf_num_possible_cpus", functions().libbpf.libbpf_num_possible_cpus());
}

export interface MapSpec {
  readonly type: number;
  readonly name: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags?: number;
}

/** `struct bpf_map_create_opts`: only `map_flags` is used. */
function mapCreateOptions(flags: number): Buffer {
  const options = Buffer.alloc(48);
  options.writeBigUInt64LE(BigInt(options.length), 0);
  options.writeUInt32LE(flags, 28);
  return options;
}

/** Returns a descriptor; the map lives as long as it, a pin or an outer map holds it. */
export function createMap(spec: MapSpec): number {
  const options = mapCreateOptions(spec.flags ?? 0);
  const { type, name, keySize, valueSize, maxEntries } = spec;
  const pointer = getRawPointer(options);
  const fd = functions().libbpf.bpf_map_create(type, name, keySize, valueSize, maxEntries, pointer);
  return keepAlive(options, checked(`bpf_map_create(${name})`, fd));
}

export function updateElement(fd: number, key: Buffer, value: Buffer): void {
  checked("bpf_map_update_elem", functions().libbpf.bpf_map_update_elem(fd, key, value, 0n));
}

/** Fills `value`; false when the map has no such key. `value` must have the map's value size (per CPU: all of them). */
export function lookupElement(fd: number, key: Buffer, value: Buffer): boolean {
  const result = functions().libbpf.bpf_map_lookup_elem(fd, key, value);
  if (result === -ENOENT) return false;
  checked("bpf_map_lookup_elem", result);
  return true;
}

export function lookupAndDeleteElement(fd: number, key: Buffer, value: Buffer): boolean {
  const result = functions().libbpf.bpf_map_lookup_and_delete_elem(fd, key, value);
  if (result === -ENOENT) return false;
  checked("bpf_map_lookup_and_delete_elem", result);
  return true;
}

export function deleteElement(fd: number, key: Buffer): boolean {
  const result = functions().libbpf.bpf_map_delete_elem(fd, key);
  if (result === -ENOENT) return false;
  checked("bpf_map_delete_elem", result);
  return true;
}

/** Writes `count` packed keys and values. One grace period for the whole batch when the map holds maps. */
export function updateBatch(fd: number, keys: Buffer, values: Buffer, count: number): void {
  if (count === 0) return;
  const done = Buffer.alloc(4);
  done.writeUInt32LE(count);
  const result = functions().libbpf.bpf_map_update_batch(fd, keys, values, done, 0n);
  checked("bpf_map_update_batch", result);
  if (done.readUInt32LE() !== count) throw new BpfError("bpf_map_update_batch", 0, "wrote only a part");
}

export interface BatchSizes {
  readonly keySize: number;
  readonly valueSize: number;
  /** Size of libbpf's position: the key size for tries, 4 for hashes and arrays. */
  readonly cursorSize: number;
}

export interface MapBatch {
  readonly keys: Buffer;
  readonly values: Buffer;
  readonly count: number;
}

/** Reads up to `limit` entries that follow the key `after` (`null` = from the start). For arrays. */
export function readBatch(fd: number, sizes: BatchSizes, after: Buffer | null, limit: number): MapBatch {
  const keys = Buffer.alloc(sizes.keySize * limit);
  const values = Buffer.alloc(sizes.valueSize * limit);
  const position = Buffer.alloc(sizes.cursorSize);
  const count = Buffer.alloc(4);
  count.writeUInt32LE(limit);
  const start = after === null ? 0n : getRawPointer(after);
  const result = functions().libbpf.bpf_map_lookup_batch(fd, start, position, keys, values, count, 0n);
  if (result !== -ENOENT) checked("bpf_map_lookup_batch", keepAlive(after ?? position, result));
  return { keys, values, count: count.readUInt32LE() };
}

/**
 * Reads a whole map in chunks. The yielded Buffers are reused by the next step.
 */
export function* readBatches(fd: number, sizes: BatchSizes, chunk = 4096): Generator<MapBatch> {
  const keys = Buffer.alloc(sizes.keySize * chunk);
  const values = Buffer.alloc(sizes.valueSize * chunk);
  const cursors = [Buffer.alloc(sizes.cursorSize), Buffer.alloc(sizes.cursorSize)] as const;
  const count = Buffer.alloc(4);
  for (let step = 0; ; step++) {
    const from = cursors[(step + 1) % 2] ?? cursors[0];
    const to = cursors[step % 2] ?? cursors[1];
    count.writeUInt32LE(chunk);
    const start = step === 0 ? 0n : getRawPointer(from);
    const result = functions().libbpf.bpf_map_lookup_batch(fd, start, to, keys, values, count, 0n);
    keepAlive(from, result);
    if (result < 0 && result !== -ENOENT) checked("bpf_map_lookup_batch", result);
    const read = count.readUInt32LE();
    // ENOENT means that this chunk was the last; on an empty map the kernel leaves the count as it was given.
    if (read > 0 && !(result === -ENOENT && read === chunk && step === 0 && keys.every((byte) => byte === 0)))
      yield { keys, values, count: read };
    if (result === -ENOENT) return;
  }
}

export function pin(fd: number, path: string): void {
  checked(`bpf_obj_pin(${path})`, functions().libbpf.bpf_obj_pin(fd, path));
}

/** Descriptor of a pinned object; `null` when there is no such pin. */
export function openPin(path: string): number | null {
  const result = functions().libbpf.bpf_obj_get(path);
  return result === -ENOENT ? null : checked(`bpf_obj_get(${path})`, result);
}

export function openMapById(id: number): number {
  return checked("bpf_map_get_fd_by_id", functions().libbpf.bpf_map_get_fd_by_id(id));
}

function objectInfo(fd: number, size: number): Buffer {
  const info = Buffer.alloc(size);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(size);
  checked("bpf_obj_get_info_by_fd", functions().libbpf.bpf_obj_get_info_by_fd(fd, info, length));
  return info;
}

export interface ProgramInfo {
  readonly id: number;
  /** 16 hex digits: the kernel's digest of the instructions. */
  readonly tag: string;
  /** Instructions that the verifier walked; 0 before kernel 5.16. */
  readonly verifiedInstructions: number;
}

export function programInfo(fd: number): ProgramInfo {
  const info = objectInfo(fd, 232);
  return {
    id: info.readUInt32LE(4),
    tag: info.subarray(8, 16).toString("hex"),
    verifiedInstructions: info.readUInt32LE(216),
  };
}

export interface MapInfo {
  readonly type: number;
  readonly id: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
}

export function mapInfo(fd: number): MapInfo {
  const info = objectInfo(fd, 80);
  return {
    type: info.readUInt32LE(0),
    id: info.readUInt32LE(4),
    keySize: info.readUInt32LE(8),
    valueSize: info.readUInt32LE(12),
    maxEntries: info.readUInt32LE(16),
  };
}

export interface CgroupLinkInfo {
  readonly id: number;
  readonly programId: number;
  /** 0n when the cgroup is gone and the kernel detached the link. */
  readonly cgroupId: bigint;
  readonly attachType: number;
}

export function cgroupLinkInfo(fd: number): CgroupLinkInfo {
  const info = objectInfo(fd, 64);
  return {
    id: info.readUInt32LE(4),
    programId: info.readUInt32LE(8),
    cgroupId: info.readBigUInt64LE(16),
    attachType: info.readUInt32LE(24),
  };
}

export function attachToCgroup(programFd: number, cgroupFd: number, attachType: number): number {
  const result = functions().libbpf.bpf_link_create(programFd, cgroupFd, attachType, 0n);
  return checked("bpf_link_create", result);
}

/** Replaces the program behind a link atomically. */
export function updateLink(linkFd: number, programFd: number): void {
  checked("bpf_link_update", functions().libbpf.bpf_link_update(linkFd, programFd, 0n));
}

export interface TestRunResult {
  readonly returnValue: number;
  /** Average over `repeat`. */
  readonly durationNs: number;
  /** `struct __sk_buff` after the run. */
  readonly context: Buffer;
}

/** Runs a program on one packet. cgroup_skb programs see what follows the first 14 bytes (an Ethernet header). */
export function testRun(programFd: number, packet: Buffer, context: Buffer | null, repeat = 1): TestRunResult {
  // From the pool: an apply asks hundreds of times, and memory of its own for each brings on garbage collections.
  const contextOut = Buffer.allocUnsafe(SIZE_OF_SK_BUFF).fill(0);
  const options = Buffer.allocUnsafe(80).fill(0);
  options.writeBigUInt64LE(80n, 0);
  options.writeBigUInt64LE(getRawPointer(packet), 8);
  options.writeUInt32LE(packet.length, 24);
  if (context !== null) {
    options.writeBigUInt64LE(getRawPointer(context), 32);
    options.writeUInt32LE(context.length, 48);
  }
  options.writeBigUInt64LE(getRawPointer(contextOut), 40);
  options.writeUInt32LE(contextOut.length, 52);
  options.writeInt32LE(repeat, 60);
  checked("bpf_prog_test_run_opts", functions().libbpf.bpf_prog_test_run_opts(programFd, options));
  keepAlive(packet, context);
  return { returnValue: options.readUInt32LE(56), durationNs: options.readUInt32LE(64), context: contextOut };
}

export interface MappedMemory {
  readonly memory: ArrayBuffer;
  /** The memory must not be read or written afterwards. */
  unmap(): void;
}

/** Maps a map's memory. `offset` must be a multiple of {@link pageSize}. */
export function mapMemory(fd: number, length: number, offset: number, writable: boolean): MappedMemory {
  const { libc } = functions();
  const protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const pointer = libc.mmap(0n, BigInt(length), protection, MAP_SHARED, fd, BigInt(offset));
  if (BigInt.asIntN(64, pointer) === -1n) throw new BpfError("mmap", 0);
  return { memory: toArrayBuffer(pointer, length, false), unmap: () => void libc.munmap(pointer, BigInt(length)) };
}

/** A part of a map's memory for one call. No ArrayBuffer: the memory would count as the process' own until it is collected. */
function withMapMemory<T>(
  fd: number,
  { from, to, protection }: { from: number; to: number; protection: number },
  use: (pointer: bigint) => T,
): T {
  const { libc } = functions();
  const page = libc.getpagesize();
  const first = Math.floor(from / page) * page;
  const length = BigInt(Math.ceil(to / page) * page - first);
  const mapped = libc.mmap(0n, length, protection, MAP_SHARED, fd, BigInt(first));
  if (BigInt.asIntN(64, mapped) === -1n) throw new BpfError("mmap", 0);
  try {
    return use(mapped + BigInt(from - first));
  } finally {
    libc.munmap(mapped, length);
  }
}

/** All of a map's memory, for reading it again and again: mapping takes three times as long as comparing. */
export interface MapWindow {
  /** Whether the memory has these bytes at `offset`. */
  holds(offset: number, bytes: Uint8Array): boolean;
  /** The window must not be used afterwards. It keeps the map alive until then. */
  close(): void;
}

/** `length`: bytes of the map's memory. */
export function openMapWindow(fd: number, length: number): MapWindow {
  const { libc } = functions();
  const page = libc.getpagesize();
  const size = BigInt(Math.ceil(length / page) * page);
  const mapped = libc.mmap(0n, size, PROT_READ, MAP_SHARED, fd, 0n);
  if (BigInt.asIntN(64, mapped) === -1n) throw new BpfError("mmap", 0);
  return {
    holds: (offset, bytes) =>
      offset + bytes.length <= length && libc.memcmp(mapped + BigInt(offset), bytes, BigInt(bytes.length)) === 0,
    close: () => void libc.munmap(mapped, size),
  };
}

/** Copies bytes into a map's memory, which has room for them behind `offset`. */
export function writeMapMemory(fd: number, offset: number, bytes: Uint8Array): void {
  const range = { from: offset, to: offset + bytes.length, protection: PROT_READ | PROT_WRITE };
  withMapMemory(fd, range, (pointer) => void functions().libc.memcpy(pointer, bytes, BigInt(bytes.length)));
}

/** Mounts a BPF file system on an existing directory. */
export function mountBpffs(directory: string): void {
  const result = functions().libc.mount("bpf", directory, "bpf", MS_NOSUID_NODEV_NOEXEC, "mode=0700");
  if (result !== 0) throw new BpfError(`mount(${directory})`, 0, "the kernel refused to mount a BPF file system");
}

export function unmount(directory: string): void {
  if (functions().libc.umount2(directory, 0) !== 0) throw new BpfError(`umount(${directory})`, 0);
}

export function pageSize(): number {
  return functions().libc.getpagesize();
}
