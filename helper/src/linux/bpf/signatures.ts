/**
 * Every C function that the agent calls through node:ffi, in one place. A wrong signature crashes a privileged process:
 * compare with <bpf/bpf.h> and <bpf/libbpf.h> of libbpf 1.0 or later before you change one.
 *
 * 64-bit arguments and results are bigint. Pointers are bigint, 0n is NULL. `buffer` arguments are valid only during the
 * call. No variadic function may be added: node:ffi has no form for them.
 */

/** A C `int`, and the `enum`s that libbpf passes. */
const int = "int32";

export const LIBBPF_SIGNATURES = {
  libbpf_major_version: { arguments: [], return: "uint32" },
  libbpf_minor_version: { arguments: [], return: "uint32" },
  libbpf_set_print: { arguments: ["pointer"], return: "pointer" },
  libbpf_num_possible_cpus: { arguments: [], return: int },

  bpf_object__open_mem: { arguments: ["buffer", "uint64", "pointer"], return: "pointer" },
  bpf_object__load: { arguments: ["pointer"], return: int },
  bpf_object__close: { arguments: ["pointer"], return: "void" },
  bpf_object__find_map_by_name: { arguments: ["pointer", "string"], return: "pointer" },
  bpf_object__find_program_by_name: { arguments: ["pointer", "string"], return: "pointer" },
  bpf_map__fd: { arguments: ["pointer"], return: int },
  bpf_map__set_max_entries: { arguments: ["pointer", "uint32"], return: int },
  bpf_map__reuse_fd: { arguments: ["pointer", int], return: int },
  bpf_program__fd: { arguments: ["pointer"], return: int },

  bpf_map_create: { arguments: [int, "string", "uint32", "uint32", "uint32", "pointer"], return: int },
  bpf_map_update_elem: { arguments: [int, "buffer", "buffer", "uint64"], return: int },
  bpf_map_lookup_elem: { arguments: [int, "buffer", "buffer"], return: int },
  bpf_map_lookup_and_delete_elem: { arguments: [int, "buffer", "buffer"], return: int },
  bpf_map_delete_elem: { arguments: [int, "buffer"], return: int },
  bpf_map_update_batch: { arguments: [int, "buffer", "buffer", "buffer", "pointer"], return: int },
  bpf_map_lookup_batch: { arguments: [int, "pointer", "buffer", "buffer", "buffer", "buffer", "pointer"], return: int },
  bpf_map_get_fd_by_id: { arguments: ["uint32"], return: int },

  bpf_obj_pin: { arguments: [int, "string"], return: int },
  bpf_obj_get: { arguments: ["string"], return: int },
  bpf_obj_get_info_by_fd: { arguments: [int, "buffer", "buffer"], return: int },

  bpf_link_create: { arguments: [int, int, int, "pointer"], return: int },
  bpf_link_update: { arguments: [int, int, "pointer"], return: int },
  bpf_tc_hook_create: { arguments: ["buffer"], return: int },
  bpf_tc_hook_destroy: { arguments: ["buffer"], return: int },
  bpf_tc_attach: { arguments: ["buffer", "buffer"], return: int },
  bpf_tc_detach: { arguments: ["buffer", "buffer"], return: int },
  bpf_tc_query: { arguments: ["buffer", "buffer"], return: int },

  bpf_prog_query: { arguments: [int, int, "uint32", "buffer", "buffer", "buffer"], return: int },
  bpf_prog_get_fd_by_id: { arguments: ["uint32"], return: int },
  bpf_prog_test_run_opts: { arguments: [int, "buffer"], return: int },
} as const;

export const LIBC_SIGNATURES = {
  mmap: { arguments: ["pointer", "uint64", int, int, int, "int64"], return: "pointer" },
  munmap: { arguments: ["pointer", "uint64"], return: int },
  mount: { arguments: ["string", "string", "string", "uint64", "string"], return: int },
  memcpy: { arguments: ["pointer", "buffer", "uint64"], return: "pointer" },
  memcmp: { arguments: ["pointer", "buffer", "uint64"], return: int },
  mallopt: { arguments: [int, int], return: int },
  malloc_trim: { arguments: ["uint64"], return: int },
  madvise: { arguments: ["pointer", "uint64", int], return: int },
  umount2: { arguments: ["string", int], return: int },
  getpagesize: { arguments: [], return: int },
} as const;
