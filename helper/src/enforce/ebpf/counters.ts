/** Per-CPU counters, added up. */
import { bootTimeNs, monotonicTimeNs } from "../../linux/bootClock.ts";
import { lookupElement, possibleCpuCount, readBatch } from "../../linux/bpf/libbpf.ts";
import type { DecisionCounter, EventLosses } from "../enforcer.ts";
import { COUNTER, LOSS } from "./layout.ts";

/** Decisions of one program, unless the machine has so many CPUs that their counters would take too much memory. */
export const DEFAULT_MAX_DECISIONS = 131_072;
/** Even on a machine with more CPUs than the memory for counters was meant for. */
const LEAST_MAX_DECISIONS = 4_096;
const COUNTERS_BYTES = 64 * 2 ** 20;
const SLOTS = 2;
/** Read at once, in bytes: a whole array can be larger than what should be held for it. */
const CHUNK_BYTES = 2 ** 20;

/** How many decisions a program may have on a machine with this many CPUs: counters take 64 MiB at most. */
export function maxDecisions(cpuCount: number): number {
  const fitting = Math.floor(COUNTERS_BYTES / (SLOTS * COUNTER.size * cpuCount));
  return Math.min(DEFAULT_MAX_DECISIONS, Math.max(LEAST_MAX_DECISIONS, fitting));
}

/** Entries of `wl_counters` for a new tree. */
export function counterEntries(cpuCount = possibleCpuCount()): number {
  return SLOTS * maxDecisions(cpuCount);
}

/**
 * Counters of one slot; decisions that were never hit are included. Those of the other slot lie in between, and what has
 * another stamp was counted for an earlier generation.
 */
export function readSlotCounters(fd: number, slot: 0 | 1, count: number, stamp: number): readonly DecisionCounter[] {
  const cpus = possibleCpuCount();
  // The datapath stamps the cheap clock; what is told outside counts suspend in. Wrong by a suspend after the last hit.
  const suspendedNs = bootTimeNs() - monotonicTimeNs();
  const valueSize = COUNTER.size * cpus;
  const perChunk = Math.max(1, Math.floor(CHUNK_BYTES / (valueSize * SLOTS)));
  const counters: DecisionCounter[] = [];
  const before = Buffer.alloc(4);
  while (counters.length < count) {
    const first = counters.length;
    if (first > 0) before.writeUInt32LE(first * SLOTS - 1);
    const wanted = Math.min(perChunk, count - first);
    const sizes = { keySize: 4, valueSize, cursorSize: 4 };
    const { values, count: read } = readBatch(fd, sizes, first === 0 ? null : before, wanted * SLOTS);
    const words = new BigUint64Array(values.buffer, values.byteOffset, values.length / 8);
    const halves = new Uint32Array(values.buffer, values.byteOffset, values.length / 4);
    for (let place = 0; place < Math.floor(read / SLOTS); place++) {
      const at = (place * SLOTS + slot) * valueSize;
      const { packets, bytes, lastSeenNs } = addUp(words, halves, at / 8, cpus, stamp);
      const lastSeenBootNs = lastSeenNs === 0n ? 0n : lastSeenNs + suspendedNs;
      counters.push({ decision: first + place, packets, bytes, lastSeenBootNs });
    }
    if (read < wanted * SLOTS) break;
  }
  return counters;
}

const WORDS = COUNTER.size / 8;
const NOTHING = { packets: 0n, bytes: 0n, lastSeenNs: 0n } as const;

/** Most counters were never hit; looking at their stamps as plain numbers makes no objects. */
function addUp(words: BigUint64Array, halves: Uint32Array, from: number, cpus: number, stamp: number) {
  let sum: { packets: bigint; bytes: bigint; lastSeenNs: bigint } = NOTHING;
  for (let at = from; at < from + cpus * WORDS; at += WORDS) {
    if (halves[at * 2 + COUNTER.stamp / 4] !== stamp) continue;
    const lastSeenNs = words[at + COUNTER.lastSeenNs / 8] ?? 0n;
    sum = {
      packets: sum.packets + (words[at + COUNTER.packets / 8] ?? 0n),
      bytes: sum.bytes + (words[at + COUNTER.bytes / 8] ?? 0n),
      lastSeenNs: lastSeenNs > sum.lastSeenNs ? lastSeenNs : sum.lastSeenNs,
    };
  }
  return sum;
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
