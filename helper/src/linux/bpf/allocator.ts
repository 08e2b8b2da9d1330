/**
 * How the C library keeps memory for this process. It is made for programs that want it back: what a burst of flow records
 * took (buffers of a quarter MiB, from several threads) stays with the process until somebody asks for it.
 */
import { functions } from "./library.ts";

/** Numbers of <malloc.h>. */
const M_MMAP_THRESHOLD = -3;
const M_ARENA_MAX = -8;
/** Larger pieces are mappings of their own, which go when they are freed. Unless it is set, it grows with what is freed. */
const MAPPED_FROM_BYTES = 128 * 1024;
/** Each thread would have one otherwise, and memory that is free in one is not free for the others. */
const ARENAS = 2;

/** Call before threads begin to work. Changes nothing where there is no glibc. */
export function boundAllocator(): void {
  try {
    const { mallopt } = functions().libc;
    mallopt(M_ARENA_MAX, ARENAS);
    mallopt(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES);
  } catch {
    // Without the library memory is kept as the system does it.
  }
}

/** Gives pages back on which nothing is in use. Takes a millisecond or two. */
export function trimAllocator(): void {
  try {
    functions().libc.malloc_trim(0n);
  } catch {
    // As above.
  }
}
