/**
 * Reads a file of flows on a thread of its own, so that reading and judging share two processors. Batches come over in
 * order, a few at a time: the thread waits when nobody takes them.
 */
import { on } from "node:events";
import { Worker } from "node:worker_threads";
import { ColumnBatch, type FlowBatch } from "@wardline/domain/policy/simulate";
import type { FlowLinesMessage } from "./flow-lines-worker.ts";

/** @throws the error of opening or reading the file, with its `code` */
export async function* readFlowFileOnThread(path: string, signal: AbortSignal): AsyncGenerator<FlowBatch> {
  const worker = new Worker(new URL("./flow-lines-worker.ts", import.meta.url), { workerData: { path } });
  let texts: string[] = [];
  try {
    for await (const [given] of on(worker, "message", { signal, close: ["exit"] })) {
      const message = given as FlowLinesMessage;
      if (message.kind === "end") return;
      if (message.kind === "failed") throw Object.assign(new Error(message.message), { code: message.code });
      if (message.isNewList) texts = [];
      for (const text of message.newTexts) texts.push(text);
      const { count, timesMs, words, problems, problemCount } = message;
      yield new ColumnBatch({ count, timesMs, words, texts }, problems, problemCount);
      worker.postMessage(null);
    }
    throw new Error("The thread that reads flows ended too early.");
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await worker.terminate();
  }
}
