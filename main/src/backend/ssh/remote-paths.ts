/** Paths on machines, before they go anywhere. */
import { ErrorCode, Failure } from "@wardline/domain/errors";

/** `sun_path` of Linux has 108 bytes with the zero at its end. */
const LONGEST_SOCKET_PATH_BYTES = 107;
const LONGEST_PATH_BYTES = 4095;

/** @throws Failure INVALID_ARGUMENT */
export function requireSocketPath(path: string): void {
  if (path.startsWith("/") && !hasControl(path) && Buffer.byteLength(path) <= LONGEST_SOCKET_PATH_BYTES) return;
  throw refused(
    `${JSON.stringify(path.slice(0, 120))} is not the path of a socket.`,
    `Give an absolute path of at most ${LONGEST_SOCKET_PATH_BYTES} bytes.`,
  );
}

/** Absolute, or below the home directory there. @throws Failure INVALID_ARGUMENT */
export function requireUploadPath(path: string): void {
  const isBad = path === "" || path.endsWith("/") || path.split("/").includes("..") || hasControl(path);
  if (!isBad && Buffer.byteLength(path) <= LONGEST_PATH_BYTES) return;
  throw refused(`${JSON.stringify(path.slice(0, 120))} is not the path of a file.`, "Give a path without `..`.");
}

function hasControl(path: string): boolean {
  return /\p{Cc}/u.test(path);
}

function refused(message: string, hint: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}
