/** Reads what living flows have carried, out of the flow table. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { readBatches } from "../../linux/bpf/libbpf.ts";
import type { FlowProgress } from "../enforcer.ts";
import { type FlowEntry, readProgress, secondsAt } from "./flowEntry.ts";
import { FLOW, FLOW_FLAG, FLOW_KEY } from "./layout.ts";
import type { SweepClocks } from "./sweep.ts";

/** Read by one system call, of some 0.2 ms. */
const ENTRIES_AT_ONCE = 1024;
/** For which the event loop is kept at once, looked at after every few entries. */
const TURN_MS = 2;
const ENTRIES_BETWEEN_LOOKS = 32;
/** Entries carry the time of the kernel's last tick: at most 10 ms ago, when the packet came. */
const TICK_NS = 20_000_000n;
const SIZES = { keySize: FLOW_KEY.size, valueSize: FLOW.size, cursorSize: 4 };

export interface ProgressReading {
  readonly flowsFd: number;
  readonly clocks: SweepClocks;
  readonly generationOf: (epoch: number) => number;
  /** False once the table is no longer held: its descriptor may be another's by then. */
  readonly isOpen: () => boolean;
}

/** Flows that are not ended and were seen since then, in batches; see `Enforcer.flowProgress`. Throws `BpfError`. */
export async function* readFlowProgress(
  { flowsFd, clocks, generationOf, isOpen }: ProgressReading,
  seenSinceBootNs: bigint,
): AsyncIterable<readonly FlowProgress[]> {
  const sleptNs = clocks.bootNs - clocks.monotonicNs;
  const sinceSeconds = Number(seenSinceBootNs - sleptNs - TICK_NS) / 1e9;
  const progressOf = (entry: FlowEntry): FlowProgress => {
    const { values, value } = entry;
    const seenNs = values.readBigUInt64LE(value + FLOW.lastSeenNs) + sleptNs;
    return readProgress(entry, seenNs, generationOf(values.readUInt32LE(value + FLOW.epoch)));
  };
  if (!isOpen()) return;
  const batches = readBatches(flowsFd, SIZES, ENTRIES_AT_ONCE);
  for (let next = batches.next(); !next.done; next = batches.next()) {
    const { keys, values, count } = next.value;
    const entries = livingEntries(keys, values, count, sinceSeconds);
    for (let first = 0; first < entries.length; ) {
      const flows = forOneTurn(entries, first, progressOf);
      first += flows.length;
      yield flows;
      await nextTurn();
    }
    if (entries.length === 0) await nextTurn();
    if (!isOpen()) return;
  }
}

function forOneTurn(
  entries: readonly FlowEntry[],
  first: number,
  progressOf: (entry: FlowEntry) => FlowProgress,
): FlowProgress[] {
  const endMs = performance.now() + TURN_MS;
  const flows: FlowProgress[] = [];
  do {
    const from = first + flows.length;
    for (const entry of entries.slice(from, from + ENTRIES_BETWEEN_LOOKS)) flows.push(progressOf(entry));
  } while (first + flows.length < entries.length && performance.now() < endMs);
  return flows;
}

function livingEntries(keys: Buffer, values: Buffer, count: number, sinceSeconds: number): FlowEntry[] {
  const entries: FlowEntry[] = [];
  for (let position = 0; position < count; position++) {
    const value = position * FLOW.size;
    if (secondsAt(values, value + FLOW.lastSeenNs) < sinceSeconds) continue;
    if ((values.readUInt32LE(value + FLOW.flags) & FLOW_FLAG.ended) !== 0) continue;
    entries.push({ keys, key: position * FLOW_KEY.size, values, value });
  }
  return entries;
}
