/**
 * Programs at interfaces: tcx links and XDP links, and filters of a clsact qdisc for kernels before 6.6. Interface indexes
 * mean those of the calling thread's network namespace.
 */
import { getRawPointer } from "node:ffi";
import { BpfError, checked, functions, keepAlive } from "./library.ts";

/** `enum bpf_attach_type`. */
const BPF_XDP = 37;
const TCX = { ingress: 46, egress: 47 } as const;
/** `enum bpf_tc_attach_point`. */
const TC = { ingress: 1, egress: 2 } as const;
/** In front of everybody who is there. */
const BPF_F_BEFORE = 8;
const BPF_TC_F_REPLACE = 1;
const XDP_FLAGS = { generic: 2, native: 4 } as const;
const EEXIST = 17;
const ENOENT = 2;
const EINVAL = 22;

export type InterfaceDirection = keyof typeof TCX;
export type XdpMode = keyof typeof XDP_FLAGS;

export interface InterfaceLinkInfo {
  readonly programId: number;
  /** 0 when the interface is gone, or somebody detached the link. */
  readonly interfaceIndex: number;
}

/** Of a tcx or XDP link. */
export function interfaceLinkInfo(linkFd: number): InterfaceLinkInfo {
  const info = Buffer.alloc(64);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(info.length);
  checked("bpf_obj_get_info_by_fd", functions().libbpf.bpf_obj_get_info_by_fd(linkFd, info, length));
  return { programId: info.readUInt32LE(8), interfaceIndex: info.readUInt32LE(16) };
}

/** `struct bpf_link_create_opts` with flags alone. */
function linkOptions(flags: number): Buffer {
  const options = Buffer.alloc(16);
  options.writeBigUInt64LE(16n, 0);
  options.writeUInt32LE(flags, 8);
  return options;
}

/**
 * Returns a link whose program runs before those that are there: one of them could let a packet pass for good. `null` when this
 * kernel has no tcx (before 6.6). Throws `BpfError`, ENODEV when there is no such interface.
 */
export function attachTcx(programFd: number, interfaceIndex: number, direction: InterfaceDirection): number | null {
  const options = linkOptions(BPF_F_BEFORE);
  const { libbpf } = functions();
  const result = libbpf.bpf_link_create(programFd, interfaceIndex, TCX[direction], getRawPointer(options));
  keepAlive(options, result);
  return result === -EINVAL ? null : checked(`bpf_link_create(tcx ${direction})`, result);
}

/** Ids of the programs that tcx runs on an interface, in order, whoever attached them. */
export function tcxPrograms(interfaceIndex: number, direction: InterfaceDirection): readonly number[] {
  const flags = Buffer.alloc(4);
  const ids = Buffer.alloc(4 * 64);
  const count = Buffer.alloc(4);
  count.writeUInt32LE(64);
  const result = functions().libbpf.bpf_prog_query(interfaceIndex, TCX[direction], 0, flags, ids, count);
  if (result === -ENOENT) return [];
  checked("bpf_prog_query", result);
  return Array.from({ length: count.readUInt32LE() }, (_, position) => ids.readUInt32LE(position * 4));
}

export function attachXdp(programFd: number, interfaceIndex: number, mode: XdpMode): number {
  const options = linkOptions(XDP_FLAGS[mode]);
  const result = functions().libbpf.bpf_link_create(programFd, interfaceIndex, BPF_XDP, getRawPointer(options));
  return keepAlive(options, checked(`bpf_link_create(xdp ${mode})`, result));
}

/** Which filter of a clsact qdisc is meant. */
export interface FilterPlace {
  readonly interfaceIndex: number;
  readonly direction: InterfaceDirection;
  readonly handle: number;
  readonly priority: number;
}

/** `struct bpf_tc_hook`. */
function tcHook(interfaceIndex: number, attachPoint: number): Buffer {
  const hook = Buffer.alloc(24);
  hook.writeBigUInt64LE(24n, 0);
  hook.writeInt32LE(interfaceIndex, 8);
  hook.writeUInt32LE(attachPoint, 12);
  return hook;
}

/** `struct bpf_tc_opts`. */
function tcOptions({ handle, priority }: FilterPlace, programFd = 0, flags = 0): Buffer {
  const options = Buffer.alloc(32);
  options.writeBigUInt64LE(32n, 0);
  options.writeInt32LE(programFd, 8);
  options.writeUInt32LE(flags, 12);
  options.writeUInt32LE(handle, 20);
  options.writeUInt32LE(priority, 24);
  return options;
}

/** Gives an interface a clsact qdisc; false when it has one. */
export function createClsact(interfaceIndex: number): boolean {
  const result = functions().libbpf.bpf_tc_hook_create(tcHook(interfaceIndex, TC.ingress | TC.egress));
  if (result === -EEXIST) return false;
  checked("bpf_tc_hook_create", result);
  return true;
}

/** Removes the qdisc with every filter that is still in it. */
export function destroyClsact(interfaceIndex: number): void {
  checked(
    "bpf_tc_hook_destroy",
    functions().libbpf.bpf_tc_hook_destroy(tcHook(interfaceIndex, TC.ingress | TC.egress)),
  );
}

/** Makes the filter, or puts the program in its place in one step. */
export function replaceFilter(place: FilterPlace, programFd: number): void {
  const hook = tcHook(place.interfaceIndex, TC[place.direction]);
  checked("bpf_tc_attach", functions().libbpf.bpf_tc_attach(hook, tcOptions(place, programFd, BPF_TC_F_REPLACE)));
}

/** Id of the filter's program; `null` when there is no such filter. */
export function filterProgram(place: FilterPlace): number | null {
  const options = tcOptions(place);
  const result = functions().libbpf.bpf_tc_query(tcHook(place.interfaceIndex, TC[place.direction]), options);
  // Without the qdisc the kernel says EINVAL.
  if (result === -ENOENT || result === -EINVAL) return null;
  checked("bpf_tc_query", result);
  return options.readUInt32LE(16);
}

/** False when it was not there. */
export function removeFilter(place: FilterPlace): boolean {
  const hook = tcHook(place.interfaceIndex, TC[place.direction]);
  const result = functions().libbpf.bpf_tc_detach(hook, tcOptions(place));
  if (result === -ENOENT || result === -EINVAL) return false;
  checked("bpf_tc_detach", result);
  return true;
}

/** ENODEV: the interface went away between listing and use. */
export function isGone(error: unknown): boolean {
  return error instanceof BpfError && error.errno === 19;
}
