/** Per-CPU counters, added up. */
import { lookupElement, possibleCpuCount, readBatches } from "../../linux/bpf/libbpf.ts";
import type { DecisionCounter, EventLosses } from "../enforcer.ts";
import { COUNTER, LOSS } from "./layout.ts";

/** Counters of one slot; decisions that were never hit are included. */
export function readCounterMap(fd: number): readonly DecisionCounter[] {
  const cpus = possibleCpuCount();
  const valueSize = COUNTER.size * cpus;
  const counters: DecisionCounter[] = [];
  for (const batch of readBatches(fd, { keySize: 4, valueSize, cursorSize: 4 })) {
    for (let position = 0; position < batch.count; position++) {
      let packets = 0n;
      let bytes = 0n;
      let lastSeenBootNs = 0n;
      for (let cpu = 0; cpu < cpus; cpu++) {
        const at = position * valueSize + cpu * COUNTER.size;
        packets += batch.values.readBigUInt64LE(at + COUNTER.packets);
        bytes += batch.values.readBigUInt64LE(at + COUNTER.bytes);
        const seen = batch.values.readBigUInt64LE(at + COUNTER.lastSeenNs);
        if (seen > lastSeenBootNs) lastSeenBootNs = seen;
      }
      counters.push({ decision: batch.keys.readUInt32LE(position * 4), packets, bytes, lastSeenBootNs });
    }
  }
  return counters;
}

export interface DatapathLosses extends EventLosses {
  /** Flows that got their verdict but no entry in the flow table. */
  readonly flowTable: bigint;
}

export function readLosses(fd: number): DatapathLosses {
  const cpus = possibleCpuCount();
  const read = (index: number): bigint => {
    const key = Buffer.alloc(4);
    const value = Buffer.alloc(8 * cpus);
    key.writeUInt32LE(index);
    lookupElement(fd, key, value);
    return Array.from({ length: cpus }, (_, cpu) => value.readBigUInt64LE(cpu * 8)).reduce(
      (sum, part) => sum + part,
      0n,
    );
  };
  return {
    ringFull: read(LOSS.flowRingFull) + read(LOSS.denyRingFull),
    rateLimited: read(LOSS.rateLimited),
    flowTable: read(LOSS.flowTable),
  };
}
