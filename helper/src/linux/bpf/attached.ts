/** Which programs a cgroup runs on packets, whoever attached them. */
import { closeSync, openSync } from "node:fs";
import { checked, functions } from "./library.ts";

/** Numbers of `enum bpf_attach_type` by the names to answer with. */
export type HookNumbers = Readonly<Record<string, number>>;

export interface AttachedProgram {
  readonly id: number;
  /** The kernel's name: at most 15 bytes, may be empty. */
  readonly name: string;
  readonly hook: string;
}

const BPF_F_QUERY_EFFECTIVE = 1;
/** The kernel's own limit for one hook of one cgroup; ancestors come on top. */
const MAX_PROGRAMS = 64 * 4;

/** What runs at these hooks for processes of this cgroup, programs of its ancestors included. Throws `BpfError`. */
export function attachedPrograms(cgroupDir: string, hooks: HookNumbers): readonly AttachedProgram[] {
  const cgroupFd = openSync(cgroupDir, "r");
  try {
    return Object.entries(hooks).flatMap(([hook, number]) =>
      programIds(cgroupFd, number).map((id) => ({ id, name: programName(id), hook })),
    );
  } finally {
    closeSync(cgroupFd);
  }
}

function programIds(cgroupFd: number, attachType: number): readonly number[] {
  const attachFlags = Buffer.alloc(4);
  const ids = Buffer.alloc(MAX_PROGRAMS * 4);
  const count = Buffer.alloc(4);
  count.writeUInt32LE(MAX_PROGRAMS);
  const { libbpf } = functions();
  const result = libbpf.bpf_prog_query(cgroupFd, attachType, BPF_F_QUERY_EFFECTIVE, attachFlags, ids, count);
  checked("bpf_prog_query", result);
  return Array.from({ length: count.readUInt32LE() }, (_, position) => ids.readUInt32LE(position * 4));
}

/** Offset of `name` in `struct bpf_prog_info`, and its length. */
const INFO_NAME = { offset: 64, length: 16 } as const;

function programName(id: number): string {
  const { libbpf } = functions();
  const fd = libbpf.bpf_prog_get_fd_by_id(id);
  // It may have gone since.
  if (fd < 0) return "";
  try {
    const info = Buffer.alloc(232);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(info.length);
    if (libbpf.bpf_obj_get_info_by_fd(fd, info, length) < 0) return "";
    const name = info.subarray(INFO_NAME.offset, INFO_NAME.offset + INFO_NAME.length);
    return name.toString("utf8", 0, name.indexOf(0));
  } finally {
    closeSync(fd);
  }
}
