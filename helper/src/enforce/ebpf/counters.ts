/** Per-CPU counters, added up. */

import { bootTimeNs, monotonicTimeNs } from "../../linux/bootClock.ts";
import { lookupElement, possibleCpuCount, readBatch, updateBatch } from "../../linux/bpf/libbpf.ts";
import type { DecisionCounter, EventLosses } from "../enforcer.ts";
import { COUNTER, LOSS } from "./layout.ts";

/** Counters of one slot; decisions that were never hit are included. Those of the other slot lie in between. */
export function readSlotCounters(fd: number, slot: 0 | 1, count: number): readonly DecisionCounter[] {
  const cpus = possibleCpuCount();
  // The datapath stamps the cheap clock; what is told outside counts suspend in. Wrong by a suspend after the last hit.
  const suspendedNs = bootTimeNs() - monotonicTimeNs();
  const valueSize = COUNTER.size * cpus;
  const { values, count: read } = readBatch(fd, { keySize: 4, valueSize, cursorSize: 4 }, null, count * 2);
  return Array.from({ length: read >> 1 }, (_, decision) => {
    let packets = 0n;
    let bytes = 0n;
    let lastSeenNs = 0n;
    for (let cpu = 0; cpu < cpus; cpu++) {
      const at = (decision * 2 + slot) * valueSize + cpu * COUNTER.size;
      packets += values.readBigUInt64LE(at + COUNTER.packets);
      bytes += values.readBigUInt64LE(at + COUNTER.bytes);
      const seen = values.readBigUInt64LE(at + COUNTER.lastSeenNs);
      if (seen > lastSeenNs) lastSeenNs = seen;
    }
    return { decision, packets, bytes, lastSeenBootNs: lastSeenNs === 0n ? 0n : lastSeenNs + suspendedNs };
  });
}

/** Sets the counters of a slot that decides nothing to zero. */
export function clearSlotCounters(fd: number, slot: 0 | 1, count: number): void {
  const keys = Buffer.alloc(count * 4);
  for (let decision = 0; decision < count; decision++) keys.writeUInt32LE(decision * 2 + slot, decision * 4);
  updateBatch(fd, keys, Buffer.alloc(count * COUNTER.size * possibleCpuCount()), count);
}

export function readLosses(fd: number): EventLosses {
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
    notFollowed: read(LOSS.flowTable),
  };
}
