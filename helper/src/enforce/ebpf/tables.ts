/**
 * What a slot holds in the kernel: the memory of its tables, and the hash of its workloads. Both stay where they are and
 * are written while the slot decides nothing; only what outgrows its map gets a new one.
 *
 * A slot may be written when no packet can be in it any more. A program reads the control word and the tables in one RCU
 * read-side section, so that is when a grace period has passed since the last change of the control word that took the
 * decision away from this slot: {@link waitForReaders}.
 */
import { closeSync } from "node:fs";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  BPF_F_INNER_MAP,
  BPF_F_MMAPABLE,
  BPF_F_NO_PREALLOC,
  BPF_MAP_TYPE,
  createMap,
  deleteElement,
  mapInfo,
  mapMemory,
  pageSize,
  readBatches,
  updateBatch,
  writeMapMemory,
} from "../../linux/bpf/libbpf.ts";
import type { TableImage } from "./image.ts";
import type { LineRange } from "./imageChanges.ts";
import {
  type InnerKind,
  innerMap,
  innerWindow,
  installInner,
  isInstalled,
  reinstallInner,
  type SlotMaps,
} from "./innerMaps.ts";
import { LINE_SIZE } from "./layout.ts";
import type { Steps } from "./steps.ts";
import type { PinnedTree } from "./tree.ts";

/** cgroup ids and their sets. */
export interface PackedTable {
  readonly keys: Buffer;
  readonly values: Buffer;
  readonly count: number;
}

const HASH_SIZES = { keySize: 8, valueSize: 4, cursorSize: 4 };
/** Room for cgroups that appear while a program is active. A hash costs 16 bytes for each, used or not. */
const LEAST_WORKLOADS = 4096;
/** A map is replaced by a smaller one when it is larger than this and mostly empty. */
const GENEROUS_BYTES = 4 * 2 ** 20;
const MOSTLY_EMPTY = 8;
const SPARE_BYTES = 2 ** 20;
/** Tables of a slot have so much room before anybody needs it: some five thousand rules. */
const LEAST_BYTES = 2 ** 20;

/** Runs `use` on an installed inner map; `null` when there is none. */
function withInner<T>(tree: SlotMaps, kind: InnerKind, slot: 0 | 1, use: (fd: number) => T): T | null {
  const fd = innerMap(tree, kind, slot);
  return fd === null ? null : use(fd);
}

/**
 * Returns when every packet that was being decided at the time of the call has been: about 11 ms. Replacing an inner map
 * by itself does exactly that, by the kernel's own promise that the former map is out of use when the call returns.
 */
export function waitForReaders(tree: SlotMaps, slot: 0 | 1): void {
  if (!reinstallInner(tree, "wl_hashes", slot)) reinstallInner(tree, "wl_tables", slot);
}

/**
 * Writes everything that a slot needs. The slot must be out of use: {@link waitForReaders}. `known`: serial of the image
 * that this process wrote there last and nobody else changed; then only the lines that differ are written. `null` = whatever
 * is there is written over.
 */
export function fillSlot(
  tree: SlotMaps,
  slot: 0 | 1,
  image: TableImage,
  workloads: PackedTable,
  known: number | null = null,
): void {
  writeTables(tree, slot, image, known === null ? null : image.changedSince(known));
  writeWorkloads(tree, slot, workloads);
}

function writeTables(tree: SlotMaps, slot: 0 | 1, image: TableImage, changed: readonly LineRange[] | null): void {
  const needed = image.bytes.length;
  const written = withInner(tree, "wl_tables", slot, (fd) => {
    const room = mapInfo(fd).maxEntries * LINE_SIZE;
    if (room < needed || (room > GENEROUS_BYTES && room > needed * MOSTLY_EMPTY)) return false;
    copyInto(fd, image.bytes, changed);
    return true;
  });
  if (written === true) return;
  // With room for a policy to grow for a while; not more, because the kernel zeroes a map in one go.
  const fd = createTables(needed + Math.min(needed, SPARE_BYTES));
  installOwned(tree, "wl_tables", slot, fd, () => copyInto(fd, image.bytes, null));
}

/** In whole pages. */
function createTables(bytes: number): number {
  return createMap({
    type: BPF_MAP_TYPE.array,
    name: "wl_tables",
    keySize: 4,
    valueSize: LINE_SIZE,
    maxEntries: roundUp(bytes, pageSize()) / LINE_SIZE,
    flags: BPF_F_MMAPABLE | BPF_F_INNER_MAP,
  });
}

/**
 * Gives a slot that decides nothing as much room as the other one has, so that the next apply need not wait for a new map.
 * What is in it stays as it is: somebody may still return to it, even to what this process cannot open. Throws what the
 * kernel answers; nothing has changed then.
 */
export function provisionSlot(tree: SlotMaps, slot: 0 | 1): void {
  const roomOf = (which: 0 | 1): number =>
    withInner(tree, "wl_tables", which, (fd) => mapInfo(fd).maxEntries * LINE_SIZE) ?? 0;
  const wanted = Math.max(LEAST_BYTES, roomOf(slot === 0 ? 1 : 0));
  const present = roomOf(slot);
  if (present === 0 && isInstalled(tree, "wl_tables", slot)) return;
  if (present < wanted) {
    const fd = createTables(wanted);
    installOwned(tree, "wl_tables", slot, fd, () => {
      if (present > 0) withInner(tree, "wl_tables", slot, (former) => copyTables(former, fd, present));
    });
  }
  // What it is compared through takes longer to make than to use.
  innerWindow(tree, "wl_tables", slot);
  if (isInstalled(tree, "wl_hashes", slot)) return;
  const hashes = createWorkloads(LEAST_WORKLOADS);
  installOwned(tree, "wl_hashes", slot, hashes, () => {});
}

function copyTables(from: number, to: number, bytes: number): void {
  const { memory, unmap } = mapMemory(from, roundUp(bytes, pageSize()), 0, false);
  try {
    writeMapMemory(to, 0, new Uint8Array(memory, 0, bytes));
  } finally {
    unmap();
  }
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** So many pieces are mapped one by one, and more of them together. */
const MOST_PIECES = 32;

function copyInto(fd: number, bytes: Uint8Array, changed: readonly LineRange[] | null): void {
  if (changed === null || changed.length > MOST_PIECES) {
    writeMapMemory(fd, 0, bytes);
    return;
  }
  for (const { first, count } of changed)
    writeMapMemory(fd, first * LINE_SIZE, bytes.subarray(first * LINE_SIZE, (first + count) * LINE_SIZE));
}

function writeWorkloads(tree: SlotMaps, slot: 0 | 1, table: PackedTable): void {
  const written = withInner(tree, "wl_hashes", slot, (fd) => {
    if (mapInfo(fd).maxEntries < table.count) return false;
    for (const key of keysOf(fd)) deleteElement(fd, key);
    updateBatch(fd, table.keys, table.values, table.count);
    return true;
  });
  if (written === true) return;
  const fd = createWorkloads(Math.max(LEAST_WORKLOADS, table.count * 2));
  installOwned(tree, "wl_hashes", slot, fd, () => updateBatch(fd, table.keys, table.values, table.count));
}

function createWorkloads(maxEntries: number): number {
  return createMap({
    type: BPF_MAP_TYPE.hash,
    name: "wl_workloads",
    keySize: HASH_SIZES.keySize,
    valueSize: HASH_SIZES.valueSize,
    maxEntries,
    flags: BPF_F_NO_PREALLOC,
  });
}

/** Fills a new map and installs it. Closes it when that fails. */
function installOwned(tree: SlotMaps, kind: InnerKind, slot: 0 | 1, fd: number, fill: () => void): void {
  try {
    fill();
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  installInner(tree, kind, slot, fd);
}

function keysOf(fd: number): readonly Buffer[] {
  const keys: Buffer[] = [];
  for (const batch of readBatches(fd, HASH_SIZES))
    for (let position = 0; position < batch.count; position++)
      keys.push(Buffer.from(batch.keys.subarray(position * 8, position * 8 + 8)));
  return keys;
}

function mismatch(name: string): Failure {
  return new Failure({
    code: ErrorCode.SELF_TEST_FAILED,
    message: `The kernel's ${name} table does not hold what was written to it. Nothing was changed.`,
    retryable: true,
  });
}

/** Compared between two turns of others. */
const BYTES_PER_STEP = 4 * 2 ** 20;

/** Reads what is installed in a slot, from the memory that the programs read, and compares every byte of it. */
export function* verifySlot(tree: SlotMaps, slot: 0 | 1, image: TableImage, workloads: PackedTable): Steps<void> {
  const size = image.bytes.length;
  for (let from = 0; from < size; from += BYTES_PER_STEP) {
    const bytes = image.bytes.subarray(from, Math.min(size, from + BYTES_PER_STEP));
    if (innerWindow(tree, "wl_tables", slot)?.holds(from, bytes) !== true) throw mismatch("address, class and port");
    yield;
  }
  if (withInner(tree, "wl_hashes", slot, (fd) => hasExactly(fd, workloads)) !== true) throw mismatch("workload");
}

function hasExactly(fd: number, { keys, values, count }: PackedTable): boolean {
  const expected = new Map<bigint, number>();
  for (let position = 0; position < count; position++)
    expected.set(keys.readBigUInt64LE(position * 8), values.readUInt32LE(position * 4));
  let found = 0;
  for (const batch of readBatches(fd, HASH_SIZES)) {
    for (let position = 0; position < batch.count; position++) {
      const set = expected.get(batch.keys.readBigUInt64LE(position * 8));
      if (set !== batch.values.readUInt32LE(position * 4)) return false;
      found += 1;
    }
  }
  return found === expected.size;
}

/** Runs `use` on the workloads of a slot. Throws when there are none. */
export function withWorkloads(tree: PinnedTree, slot: 0 | 1, use: (fd: number) => void): void {
  const done = withInner(tree, "wl_hashes", slot, (fd) => {
    use(fd);
    return true;
  });
  if (done === null)
    throw new Failure({ code: ErrorCode.KERNEL_REFUSED, message: "A table is missing in the kernel." });
}
