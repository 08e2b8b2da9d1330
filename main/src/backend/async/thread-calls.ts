/** Calls between the main thread and the threads of a `ThreadPool`: the thread's side, and what crosses. */
import { parentPort, workerData } from "node:worker_threads";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { ErrorDetailSchema } from "@wardline/api/wardline/v1/error";
import { Failure } from "@wardline/domain/errors";
import { detailToFailure, failureToDetail } from "@wardline/domain/wire";

export interface ThreadData {
  /** Not 0 = nobody waits for the answer any more. */
  readonly stop: Int32Array<SharedArrayBuffer>;
}

export interface ThreadCall {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}

/** Failures cross as they cross the wire; anything else that was thrown is a defect, in words. */
export type ThreadAnswer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: Uint8Array }
  | { readonly id: number; readonly defect: string };

/** Thrown by checkpoints: nobody waits any more, so nobody hears of it. */
export class Unwanted extends Error {}

/** Ends the work of a call that nobody waits for. To be called between its parts. */
export type Checkpoint = () => void;

/** A value with the buffers that go over instead of being copied. */
export class Transferred {
  readonly value: unknown;
  readonly buffers: readonly ArrayBuffer[];

  constructor(value: unknown, buffers: readonly ArrayBuffer[]) {
    this.value = value;
    this.buffers = buffers;
  }
}

/** Answers calls by name, one after the other, for as long as the thread lives. */
export function serveCalls(
  methods: Readonly<Record<string, (argument: never, checkpoint: Checkpoint) => unknown>>,
): void {
  const port = parentPort;
  if (port === null) throw new Error("This file is a thread, not a program.");
  const { stop } = workerData as ThreadData;
  const checkpoint = () => {
    if (Atomics.load(stop, 0) !== 0) throw new Unwanted("nobody waits for this");
  };
  port.on("message", ({ id, method, argument }: ThreadCall) => {
    try {
      const value = methods[method]?.(argument as never, checkpoint);
      if (value instanceof Transferred) port.postMessage({ id, value: value.value }, [...value.buffers]);
      else port.postMessage({ id, value } satisfies ThreadAnswer);
    } catch (error) {
      port.postMessage(problemOf(id, error));
    }
  });
}

function problemOf(id: number, error: unknown): ThreadAnswer {
  if (error instanceof Failure) return { id, failure: toBinary(ErrorDetailSchema, failureToDetail(error)) };
  return { id, defect: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

export function failureFromBytes(bytes: Uint8Array): Failure {
  return detailToFailure(fromBinary(ErrorDetailSchema, bytes));
}
