import { ErrorCode, Failure } from "@wardline/domain/errors";
import { BpfError } from "../../linux/bpf/libbpf.ts";

/** Runs kernel calls; their errors become `Failure` KERNEL_REFUSED with the kernel's own reason. */
export function asFailure<T>(intention: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    const isSystemError = error instanceof BpfError || (error instanceof Error && "syscall" in error);
    if (!isSystemError) throw error;
    throw new Failure(
      { code: ErrorCode.KERNEL_REFUSED, message: `The kernel did not ${intention}: ${error.message}.` },
      { cause: error },
    );
  }
}
