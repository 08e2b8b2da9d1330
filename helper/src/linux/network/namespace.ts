/** Work in another network namespace, for what has to be done from inside. */
import { closeSync, openSync } from "node:fs";
import { enterNetworkNamespace } from "../ffi/libc.ts";

/**
 * Runs something synchronous in the network namespace at `path` (`null` = this process' own, at no cost). Only the calling
 * thread moves, and it is back before this returns; a process that cannot go back ends at once, because everything
 * that it did afterwards would hit the wrong namespace.
 */
export function inNetworkNamespace<T>(path: string | null, run: () => T): T {
  if (path === null) return run();
  const other = openSync(path, "r");
  try {
    const own = openSync("/proc/thread-self/ns/net", "r");
    try {
      if (!enterNetworkNamespace(other)) throw new Error(`the network namespace ${path} cannot be entered`);
      try {
        return run();
      } finally {
        if (!enterNetworkNamespace(own)) process.abort();
      }
    } finally {
      closeSync(own);
    }
  } finally {
    closeSync(other);
  }
}
