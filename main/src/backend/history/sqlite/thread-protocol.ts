/** Calls between the main thread and the threads of the history. */
import { parentPort } from "node:worker_threads";
import { DamagedFile, errorCode } from "./partition-database.ts";
import { Cancelled } from "./query-control.ts";

export interface ThreadCall {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}

/** Why a call failed, in words that cross between threads. */
export interface ThreadProblem {
  readonly kind: "damaged" | "missing" | "cancelled" | "lost-ownership" | "other";
  readonly message: string;
  /** Of SQLite or the file system; empty when there is none. */
  readonly code: string;
  /** Of the damaged or missing file. */
  readonly path: string;
}

export type ThreadAnswer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly problem: ThreadProblem };

/** Answers calls by name, one after the other. */
export function serve(methods: Readonly<Record<string, (argument: never) => unknown>>): void {
  const port = parentPort;
  if (port === null) throw new Error("This file is a thread, not a program.");
  port.on("message", ({ id, method, argument }: ThreadCall) => {
    try {
      port.postMessage({ id, value: methods[method]?.(argument as never) } satisfies ThreadAnswer);
    } catch (error) {
      port.postMessage({ id, problem: problemOf(error) } satisfies ThreadAnswer);
    }
  });
}

function problemOf(error: unknown): ThreadProblem {
  const message = error instanceof Error ? error.message : String(error);
  const code = errorCode(error);
  const path = error instanceof DamagedFile ? error.path : String((error as NodeJS.ErrnoException).path ?? "");
  const kind =
    error instanceof DamagedFile
      ? "damaged"
      : error instanceof Cancelled
        ? "cancelled"
        : error instanceof Error && error.name === "LostOwnership"
          ? "lost-ownership"
          : code === "ENOENT" || code === "SQLITE_CANTOPEN"
            ? "missing"
            : "other";
  return { kind, message, code, path };
}
