/** Recorded flows for a command: a file, standard input, or the console's store. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FlowFilterSchema } from "@wardline/api/wardline/console/v1/flows";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { ColumnBatch, columnsSince, type FlowBatch, readFlowLines } from "@wardline/domain/policy/simulate";
import type { FlowSourceOptions } from "../commands/policy-simulate.options.ts";
import { UsageError } from "../exit-code.ts";
import { visible } from "../terminal/visible.ts";
import { readFlowFileOnThread } from "./flow-lines-thread.ts";

const CHUNK_BYTES = 1024 * 1024;
const SHOWN_PROBLEMS = 10;
/** Starting a thread takes about as long as reading this much. */
const MIN_THREAD_BYTES = 32 * 1024 * 1024;

export interface FlowInput {
  /** For people: `flows.ndjson`, `standard input`, `the store`. */
  readonly name: string;
  /** Flows that are there; `null` = nobody knows before they are read. */
  readonly total: number | null;
  /** The first lines that are no flows, found so far. */
  readonly problems: string[];
  readonly batches: AsyncIterable<FlowBatch>;
}

/**
 * Opens the flows for as long as `body` runs.
 * @throws UsageError when there is no such file; Failure INVALID_ARGUMENT at an unreadable line with `--strict`
 */
export async function withRecordedFlows<Result>(
  options: FlowSourceOptions,
  signal: AbortSignal,
  body: (input: FlowInput) => Promise<Result>,
): Promise<Result> {
  const sinceMs = options.since === undefined ? null : Date.now() - options.since;
  if (options.flows !== undefined) {
    const name = options.flows === "-" ? "standard input" : options.flows;
    const problems: string[] = [];
    const lines = await openLines(options.flows, signal);
    return body({ name, total: null, problems, batches: checked(lines, { name, problems, sinceMs, ...options }) });
  }
  const { withSession } = await import("../session.ts");
  return withSession(options, {}, async ({ backend }) => {
    const filter = sinceMs === null ? undefined : create(FlowFilterSchema, { since: timestampFromMs(sinceMs) });
    const { total, batches } = await backend.services.flows.recorded(filter, signal);
    return body({ name: "the store", total, problems: [], batches });
  });
}

interface Checks {
  readonly name: string;
  readonly problems: string[];
  readonly sinceMs: number | null;
  readonly strict: boolean;
}

/** Keeps the first problems, and the flows of the window. A flow without a time is in every window. */
async function* checked(batches: AsyncIterable<FlowBatch>, checks: Checks): AsyncGenerator<FlowBatch> {
  for await (const batch of batches) {
    for (const { line, problem } of batch.problems) {
      const text = `${checks.name}:${line}: ${problem}`;
      if (checks.strict) {
        throw new Failure({
          code: ErrorCode.INVALID_ARGUMENT,
          message: `${visible(text)}.`,
          hint: "Leave --strict out to pass over such lines; they are counted.",
        });
      }
      if (checks.problems.length < SHOWN_PROBLEMS) checks.problems.push(text);
    }
    yield checks.sinceMs === null ? batch : batchSince(batch, checks.sinceMs);
  }
}

function batchSince(batch: FlowBatch, sinceMs: number): FlowBatch {
  const { columns, problems, problemCount } = batch;
  if (columns) return new ColumnBatch(columnsSince(columns, sinceMs), problems, problemCount);
  const flows = batch.flows.filter(({ timeMs }) => timeMs === null || timeMs >= sinceMs);
  return { flows, problems, problemCount };
}

async function openLines(path: string, signal: AbortSignal): Promise<AsyncIterable<FlowBatch>> {
  if (path === "-") return readFlowLines(process.stdin as AsyncIterable<Uint8Array>);
  try {
    const file = await stat(path);
    if (file.isDirectory()) throw new UsageError(`${path} is a folder, not a file with flows.`);
    if (file.isFile() && file.size >= MIN_THREAD_BYTES) return onThread(path, signal);
  } catch (error) {
    throw cannotOpen(path, error);
  }
  return readFlowLines(readable(path, signal));
}

async function* onThread(path: string, signal: AbortSignal): AsyncGenerator<FlowBatch> {
  try {
    yield* readFlowFileOnThread(path, signal);
  } catch (error) {
    throw cannotOpen(path, error);
  }
}

async function* readable(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const stream = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  const stop = () => stream.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (error) {
    if (!signal.aborted) throw cannotOpen(path, error);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function cannotOpen(path: string, error: unknown): unknown {
  if (error instanceof UsageError || !(error instanceof Error) || !("code" in error)) return error;
  if (error.code === "ENOENT" || error.code === "ENOTDIR") return new UsageError(`There is no file ${path}.`);
  if (error.code === "EACCES" || error.code === "EPERM") {
    return new Failure({ code: ErrorCode.PERMISSION_DENIED, message: `You may not read ${path}.` }, { cause: error });
  }
  return error;
}
