import { ErrorCode, Failure } from "@wardline/domain/errors";

/** Bounds of a desired state; the agent has the same. */
export const WORKSPACE_LIMITS = {
  fileSizeBytes: 1024 * 1024,
  totalSizeBytes: 16 * 1024 * 1024,
  fileCount: 2000,
} as const;

const MEBIBYTE = 1024 * 1024;

export function tooLargeFile(path: string, sizeBytes: number): Failure {
  return new Failure({
    code: ErrorCode.TOO_LARGE,
    message: `${path} has ${sizeBytes.toLocaleString("en")} bytes; a policy file may have up to ${WORKSPACE_LIMITS.fileSizeBytes / MEBIBYTE} MiB.`,
    hint: "Split it into several files.",
  });
}

/** @throws Failure TOO_LARGE when the workspace would grow beyond its bounds. */
export function requireWorkspaceBounds(fileCount: number, sizeBytes: number): void {
  if (fileCount > WORKSPACE_LIMITS.fileCount) {
    throw new Failure({
      code: ErrorCode.TOO_LARGE,
      message: `The workspace would have ${fileCount.toLocaleString("en")} files; it may have up to ${WORKSPACE_LIMITS.fileCount.toLocaleString("en")}.`,
      hint: "Put several documents into one file, or delete files that are no longer needed.",
    });
  }
  if (sizeBytes > WORKSPACE_LIMITS.totalSizeBytes) {
    throw new Failure({
      code: ErrorCode.TOO_LARGE,
      message: `The workspace would have ${sizeBytes.toLocaleString("en")} bytes; it may have up to ${WORKSPACE_LIMITS.totalSizeBytes / MEBIBYTE} MiB.`,
      hint: "Delete files that are no longer needed.",
    });
  }
}
