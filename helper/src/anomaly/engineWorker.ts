/** The thread of the detectors: nothing that they do can keep the agent from enforcing. */
import { parentPort } from "node:worker_threads";
import { createAnomalyEngine } from "@wardline/domain/anomaly";
import { HeapUpkeep } from "../agent/heapUpkeep.ts";
import { EngineCore } from "./engineCore.ts";
import type { AnswerMessage, CallMessage } from "./engineProtocol.ts";

const port = parentPort;
const core = new EngineCore(createAnomalyEngine);

function cpuUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

port?.on("message", ({ id, slot, name, given }: CallMessage) => {
  let answer: AnswerMessage;
  try {
    const result = core.call(slot, name, given);
    answer = { id, result, cpuUs: cpuUs() };
  } catch (error) {
    answer = { id, problem: error instanceof Error ? error.message : String(error), cpuUs: cpuUs() };
  }
  port.postMessage(answer);
});

const HEAP_EVERY_MS = 30_000;
const heap = new HeapUpkeep();
setInterval(() => heap.look(), HEAP_EVERY_MS).unref();
