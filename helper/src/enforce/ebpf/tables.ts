/** Inner maps of one slot: made to size, filled by batch, installed, read back. */
import { closeSync } from "node:fs";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  type BatchSizes,
  BPF_F_NO_PREALLOC,
  BPF_MAP_TYPE,
  createMap,
  lookupElement,
  openMapById,
  readBatches,
  updateBatch,
  updateElement,
} from "../../linux/bpf/libbpf.ts";
import type { PackedTable, TableImage } from "./image.ts";
import { TRIE_KEY, TRIE_VALUE } from "./layout.ts";
import type { PinnedTree } from "./tree.ts";

/** Room for cgroups that appear while a program is active. */
const SPARE_WORKLOADS = 1024;

/** Index of an inner map: first of the slot + kind. */
export const TRIE = { addresses: 0, ports: 1 } as const;
export const HASH = { classes: 0, workloads: 1 } as const;
const KINDS = 2;

const TRIE_SIZES = { keySize: TRIE_KEY.size, valueSize: TRIE_VALUE.size, cursorSize: TRIE_KEY.size };
const HASH_SIZES = { keySize: 8, valueSize: 4, cursorSize: 4 };

function createTrie(name: string, table: PackedTable): number {
  const fd = createMap({
    type: BPF_MAP_TYPE.lpmTrie,
    name,
    keySize: TRIE_KEY.size,
    valueSize: TRIE_VALUE.size,
    maxEntries: Math.max(1, table.count),
    flags: BPF_F_NO_PREALLOC,
  });
  updateBatch(fd, table.keys, table.values, table.count);
  return fd;
}

function createHash(name: string, table: PackedTable, spare: number): number {
  const maxEntries = Math.max(1, table.count + spare);
  const fd = createMap({ type: BPF_MAP_TYPE.hash, name, keySize: 8, valueSize: 4, maxEntries });
  updateBatch(fd, table.keys, table.values, table.count);
  return fd;
}

/** Writes several descriptors into an outer map: one grace period where the kernel can, else one for each. */
function installMaps(outerFd: number, firstIndex: number, fds: readonly number[]): void {
  const keys = Buffer.alloc(fds.length * 4);
  const values = Buffer.alloc(fds.length * 4);
  fds.forEach((fd, position) => {
    keys.writeUInt32LE(firstIndex + position, position * 4);
    values.writeUInt32LE(fd, position * 4);
  });
  try {
    updateBatch(outerFd, keys, values, fds.length);
  } catch {
    fds.forEach((_, position) => {
      const at = position * 4;
      updateElement(outerFd, Buffer.from(keys.subarray(at, at + 4)), Buffer.from(values.subarray(at, at + 4)));
    });
  }
}

/** The maps that hold the maps of both slots. */
type SlotMaps = { readonly maps: Pick<PinnedTree["maps"], "wl_tries" | "wl_hashes"> };

/** Fills and installs everything that a slot needs. Returns when the kernel uses the new maps. */
export function installSlot(tree: SlotMaps, slot: 0 | 1, image: TableImage, workloads: PackedTable): void {
  const fds: number[] = [];
  const made = (fd: number): number => {
    fds.push(fd);
    return fd;
  };
  try {
    const tries = [made(createTrie("wl_addresses", image.addresses)), made(createTrie("wl_ports", image.ports))];
    const hashes = [
      made(createHash("wl_classes", image.classes, 0)),
      made(createHash("wl_workloads", workloads, SPARE_WORKLOADS)),
    ];
    installMaps(tree.maps.wl_tries, slot * KINDS, tries);
    installMaps(tree.maps.wl_hashes, slot * KINDS, hashes);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

/** Descriptor of an installed inner map; the caller closes it. `null` when the place is empty. */
export function openInner(outerFd: number, index: number): number | null {
  const key = Buffer.alloc(4);
  const id = Buffer.alloc(4);
  key.writeUInt32LE(index);
  return lookupElement(outerFd, key, id) ? openMapById(id.readUInt32LE()) : null;
}

/** Runs `use` on an installed inner map. Throws when the place is empty. */
export function withInner<T>(outerFd: number, index: number, use: (fd: number) => T): T {
  const fd = openInner(outerFd, index);
  if (fd === null) throw new Failure({ code: ErrorCode.KERNEL_REFUSED, message: "A table is missing in the kernel." });
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

function compareTable(fd: number, name: string, table: PackedTable, sizes: BatchSizes): void {
  const expected = new Map<string, string>();
  const slice = (buffer: Buffer, size: number, position: number): string =>
    buffer.toString("latin1", position * size, (position + 1) * size);
  for (let position = 0; position < table.count; position++)
    expected.set(slice(table.keys, sizes.keySize, position), slice(table.values, sizes.valueSize, position));
  let found = 0;
  for (const batch of readBatches(fd, sizes)) {
    for (let position = 0; position < batch.count; position++) {
      const value = expected.get(slice(batch.keys, sizes.keySize, position));
      if (value === slice(batch.values, sizes.valueSize, position)) found += 1;
      else throw mismatch(name);
    }
  }
  if (found !== expected.size || expected.size !== table.count) throw mismatch(name);
}

function mismatch(name: string): Failure {
  return new Failure({
    code: ErrorCode.SELF_TEST_FAILED,
    message: `The kernel's ${name} table does not hold what was written to it. Nothing was changed.`,
    retryable: true,
  });
}

/** Reads every table of a slot back from where the programs will read it, and compares it entry by entry. */
export function verifySlot(tree: SlotMaps, slot: 0 | 1, image: TableImage): void {
  const { wl_tries, wl_hashes } = tree.maps;
  withInner(wl_tries, slot * KINDS + TRIE.addresses, (fd) => compareTable(fd, "address", image.addresses, TRIE_SIZES));
  withInner(wl_tries, slot * KINDS + TRIE.ports, (fd) => compareTable(fd, "port", image.ports, TRIE_SIZES));
  withInner(wl_hashes, slot * KINDS + HASH.classes, (fd) => compareTable(fd, "class", image.classes, HASH_SIZES));
}

export function withWorkloads<T>(tree: PinnedTree, slot: 0 | 1, use: (fd: number) => T): T {
  return withInner(tree.maps.wl_hashes, slot * KINDS + HASH.workloads, use);
}
