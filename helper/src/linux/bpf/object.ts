/** Loading an ELF object through the verifier. */
import { getRawPointer } from "node:ffi";
import { BpfError, checked, functions, keepAlive } from "./library.ts";

export interface ObjectOptions {
  /** Sizes to set before loading, by map name. */
  readonly maxEntries: ReadonlyMap<string, number>;
  /** Descriptors of existing maps to use in place of new ones, by map name. */
  readonly reuse: ReadonlyMap<string, number>;
}

export interface LoadedObject {
  /** Descriptors belong to the object: pin what has to outlive `close`. */
  mapFd(name: string): number;
  programFd(name: string): number;
  close(): void;
}

const VERIFIER_LOG_BYTES = 1 << 20;

/** `struct bpf_object_open_opts` with a buffer for the verifier's log; both must outlive the object. */
function objectOpenOptions(log: Buffer): Buffer {
  const options = Buffer.alloc(80);
  options.writeBigUInt64LE(80n, 0);
  options.writeBigUInt64LE(getRawPointer(log), 56);
  options.writeBigUInt64LE(BigInt(log.length), 64);
  return options;
}

/** Opens an ELF object from memory and loads it through the verifier. The error carries the end of the verifier's log. */
export function loadObject(bytes: Uint8Array, settings: ObjectOptions): LoadedObject {
  const { libbpf } = functions();
  const image = Buffer.from(bytes);
  const log = Buffer.alloc(VERIFIER_LOG_BYTES);
  const options = objectOpenOptions(log);
  const object = libbpf.bpf_object__open_mem(image, BigInt(image.length), getRawPointer(options));
  if (object === 0n) throw new BpfError("bpf_object__open_mem", 0, "not a BPF object that this libbpf can read");
  const findMap = (name: string): bigint => {
    const map = libbpf.bpf_object__find_map_by_name(object, name);
    if (map === 0n) throw new BpfError("bpf_object__find_map_by_name", 0, name);
    return map;
  };
  try {
    for (const [name, size] of settings.maxEntries)
      checked("bpf_map__set_max_entries", libbpf.bpf_map__set_max_entries(findMap(name), size));
    for (const [name, fd] of settings.reuse)
      checked(`bpf_map__reuse_fd(${name})`, libbpf.bpf_map__reuse_fd(findMap(name), fd));
    const result = libbpf.bpf_object__load(object);
    const end = log.indexOf(0);
    if (result < 0) throw new BpfError("bpf_object__load", -result, log.toString("utf8", Math.max(0, end - 2000), end));
    keepAlive(options, keepAlive(image, result));
  } catch (error) {
    libbpf.bpf_object__close(object);
    throw error;
  }
  return {
    mapFd: (name) => checked("bpf_map__fd", libbpf.bpf_map__fd(findMap(name))),
    programFd(name) {
      const program = libbpf.bpf_object__find_program_by_name(object, name);
      if (program === 0n) throw new BpfError("bpf_object__find_program_by_name", 0, name);
      return checked("bpf_program__fd", libbpf.bpf_program__fd(program));
    },
    close: () => libbpf.bpf_object__close(object),
  };
}
