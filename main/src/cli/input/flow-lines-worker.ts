/** The thread behind `readFlowFileOnThread`. */
import { closeSync, openSync, readSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { type ColumnBatch, type FlowColumns, FlowLineReader, type LineProblem } from "@wardline/domain/policy/simulate";

export type FlowLinesMessage =
  | ({
      readonly kind: "batch";
      /** What the list of texts grew by; with {@link isNewList} it begins anew. */
      readonly newTexts: readonly string[];
      readonly isNewList: boolean;
      readonly problems: readonly LineProblem[];
      readonly problemCount: number;
    } & Omit<FlowColumns, "texts">)
  | { readonly kind: "end" }
  | { readonly kind: "failed"; readonly message: string; readonly code: string | undefined };

const CHUNK_BYTES = 1024 * 1024;
/** Batches that nobody has taken yet; bounds what is in memory. */
const MAX_WAITING = 8;

const port = parentPort;
if (port === null) throw new Error("This file is a thread, not a program.");
const { path } = workerData as { readonly path: string };

let waiting = 0;
let wake: (() => void) | null = null;
let sentTexts: readonly string[] = [];
let sentCount = 0;

port.on("message", () => {
  waiting--;
  wake?.();
});

async function send({ columns, problems, problemCount }: ColumnBatch): Promise<void> {
  while (waiting >= MAX_WAITING) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  waiting++;
  const { count, timesMs, words, texts } = columns;
  const isNewList = texts !== sentTexts;
  const newTexts = texts.slice(isNewList ? 0 : sentCount);
  sentTexts = texts;
  sentCount = texts.length;
  const message: FlowLinesMessage = {
    kind: "batch",
    count,
    timesMs,
    words,
    newTexts,
    isNewList,
    problems,
    problemCount,
  };
  port?.postMessage(message, [timesMs.buffer, words.buffer]);
}

/** One buffer for all of the file: this thread has nothing else to do while it waits for the disk. */
async function readFile(): Promise<void> {
  const reader = new FlowLineReader();
  const chunk = new Uint8Array(CHUNK_BYTES);
  const file = openSync(path, "r");
  try {
    for (let length = readSync(file, chunk); length > 0; length = readSync(file, chunk)) {
      await send(reader.push(chunk.subarray(0, length)));
    }
  } finally {
    closeSync(file);
  }
  await send(reader.finish());
}

try {
  await readFile();
  port.postMessage({ kind: "end" } satisfies FlowLinesMessage);
} catch (error) {
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  const message = error instanceof Error ? error.message : String(error);
  port.postMessage({ kind: "failed", message, code } satisfies FlowLinesMessage);
} finally {
  port.close();
}
