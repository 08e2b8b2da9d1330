/** Opens libbpf and libc once, and turns results into errors. Only files of this folder import it. */
import { dlopen } from "node:ffi";
import { getSystemErrorName } from "node:util";
import { LIBBPF_SIGNATURES, LIBC_SIGNATURES } from "./signatures.ts";

const LIBRARY_NAME = "libbpf.so.1";

/** A call into libbpf or the kernel that failed, with the error number it gave. */
export class BpfError extends Error {
  /** Positive errno; 0 when the library does not say. */
  readonly errno: number;

  constructor(call: string, errno: number, detail = "") {
    const reason = errno > 0 ? getSystemErrorName(-errno) : "failed";
    super(`${call}: ${reason}${detail === "" ? "" : `: ${detail}`}`);
    this.name = "BpfError";
    this.errno = errno;
  }
}

type Functions = ReturnType<typeof openLibraries>;
let opened: Functions | undefined;
let openProblem: string | undefined;

function openLibraries() {
  const libbpf = dlopen(LIBRARY_NAME, LIBBPF_SIGNATURES).functions;
  const libc = dlopen("libc.so.6", LIBC_SIGNATURES).functions;
  return { libbpf, libc };
}

/** Opens the library once. Returns why it cannot be used, or `null`. */
export function libbpfProblem(): string | null {
  if (opened === undefined && openProblem === undefined) {
    try {
      const functions = openLibraries();
      if (functions.libbpf.libbpf_major_version() !== 1) openProblem = `${LIBRARY_NAME} is not version 1`;
      else {
        functions.libbpf.libbpf_set_print(0n);
        opened = functions;
      }
    } catch (error) {
      openProblem = `${LIBRARY_NAME} cannot be opened: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return openProblem ?? null;
}

export function functions(): Functions {
  const problem = libbpfProblem();
  if (opened === undefined) throw new BpfError("libbpf", 0, problem ?? "");
  return opened;
}

export function checked(call: string, result: number): number {
  if (result < 0) throw new BpfError(call, -result);
  return result;
}

/** Keeps a Buffer whose raw pointer was passed reachable until the call is over. */
export function keepAlive<T>(buffer: Buffer, result: T): T {
  if (buffer.length === 0) throw new RangeError("empty buffer");
  return result;
}
