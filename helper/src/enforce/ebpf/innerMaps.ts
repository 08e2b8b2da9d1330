/**
 * The maps inside the maps: one for each table and slot. The kernel gives out a descriptor by id only to CAP_SYS_ADMIN,
 * which an agent does not need for anything else, so each inner map is pinned beside the others under the name of its
 * place, and held open by the process that installed or adopted it.
 */
import { closeSync, existsSync, renameSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import {
  BpfError,
  lookupElement,
  type MapWindow,
  mapInfo,
  openMapById,
  openMapWindow,
  openPin,
  pin,
  updateElement,
} from "../../linux/bpf/libbpf.ts";

const EPERM = 1;

export type InnerKind = "wl_tables" | "wl_hashes";

/** The maps that hold the maps of both slots. `path`: directory of their pins; absent = nothing is pinned. */
export interface SlotMaps {
  readonly maps: Readonly<Record<InnerKind, number>>;
  readonly path?: string;
}

interface Held {
  readonly fd: number;
  /** Made when it is asked for. */
  window: MapWindow | null;
}

/** By the record of descriptors that a tree has for its life. */
const heldByTree = new WeakMap<object, Map<string, Held>>();

function held({ maps }: SlotMaps): Map<string, Held> {
  const known = heldByTree.get(maps) ?? new Map<string, Held>();
  heldByTree.set(maps, known);
  return known;
}

function letGo({ fd, window }: Held): void {
  window?.close();
  closeSync(fd);
}

function nameOf(kind: InnerKind, slot: 0 | 1): string {
  return `inner_${kind}_${slot}`;
}

function slotKey(slot: 0 | 1): Buffer {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(slot);
  return key;
}

/** Puts a map in its place in the kernel. Returns when no program uses the former one, after an RCU grace period. */
function place(outerFd: number, slot: 0 | 1, fd: number): void {
  const value = Buffer.alloc(4);
  value.writeUInt32LE(fd);
  updateElement(outerFd, slotKey(slot), value);
}

/**
 * Replaces the map of a slot by `fd`, which belongs to the tree from then on; it is closed when that fails. What fails
 * after the programs read it changes nothing about which one they read, nor about which one is written here.
 */
export function installInner(tree: SlotMaps, kind: InnerKind, slot: 0 | 1, fd: number): void {
  const name = nameOf(kind, slot);
  const path = tree.path === undefined ? null : join(tree.path, name);
  try {
    // Pinned before it counts: whoever comes after a crash finds the one that is installed under one of both names.
    if (path !== null) {
      if (existsSync(`${path}-new`)) unlinkSync(`${path}-new`);
      pin(fd, `${path}-new`);
    }
    place(tree.maps[kind], slot, fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  const former = held(tree).get(name);
  held(tree).set(name, { fd, window: null });
  if (former !== undefined) letGo(former);
  if (path !== null) renameSync(`${path}-new`, path);
}

/** Installs the map of a slot again, which waits until every packet that is being decided now has been. */
export function reinstallInner(tree: SlotMaps, kind: InnerKind, slot: 0 | 1): boolean {
  const fd = innerMap(tree, kind, slot);
  if (fd === null) return false;
  place(tree.maps[kind], slot, fd);
  return true;
}

/**
 * Descriptor of an installed map; it belongs to the tree. `null` when the place is empty, and when nobody can open what is
 * there: see {@link isInstalled}.
 */
export function innerMap(tree: SlotMaps, kind: InnerKind, slot: 0 | 1): number | null {
  const name = nameOf(kind, slot);
  const known = held(tree).get(name);
  if (known !== undefined) return known.fd;
  const id = installedId(tree, kind, slot);
  if (id === null) return null;
  const fd = openPinned(tree.path, name, id) ?? openById(id);
  if (fd !== null) held(tree).set(name, { fd, window: null });
  return fd;
}

/** Whether the programs find a map in the place, even one that this process cannot open. */
export function isInstalled(tree: SlotMaps, kind: InnerKind, slot: 0 | 1): boolean {
  return held(tree).has(nameOf(kind, slot)) || installedId(tree, kind, slot) !== null;
}

function installedId(tree: SlotMaps, kind: InnerKind, slot: 0 | 1): number | null {
  const installed = Buffer.alloc(4);
  return lookupElement(tree.maps[kind], slotKey(slot), installed) ? installed.readUInt32LE() : null;
}

/** The memory of the installed map; it belongs to the tree. `null` when the place is empty. */
export function innerWindow(tree: SlotMaps, kind: InnerKind, slot: 0 | 1): MapWindow | null {
  if (innerMap(tree, kind, slot) === null) return null;
  const own = held(tree).get(nameOf(kind, slot));
  if (own === undefined) return null;
  if (own.window === null) {
    const { maxEntries, valueSize } = mapInfo(own.fd);
    own.window = openMapWindow(own.fd, maxEntries * valueSize);
  }
  return own.window;
}

/** For trees without pins of these. `null` where the kernel does not let us: then the place counts as empty. */
function openById(id: number): number | null {
  try {
    return openMapById(id);
  } catch (error) {
    if (error instanceof BpfError && error.errno === EPERM) return null;
    throw error;
  }
}

function openPinned(directory: string | undefined, name: string, id: number): number | null {
  if (directory === undefined) return null;
  const path = join(directory, name);
  for (const candidate of [path, `${path}-new`]) {
    const fd = openPin(candidate);
    if (fd === null) continue;
    if (mapInfo(fd).id === id) {
      // Somebody died before it had its name; the other one is taken from it when the next map is installed.
      if (candidate !== path) renameSync(candidate, path);
      return fd;
    }
    closeSync(fd);
  }
  return null;
}

/** Name and descriptor of every inner map that this process holds. */
export function innerPins(tree: SlotMaps): readonly (readonly [name: string, fd: number])[] {
  return [...held(tree)].map(([name, { fd }]) => [name, fd]);
}

export function closeInner(tree: SlotMaps): void {
  for (const own of held(tree).values()) letGo(own);
  heldByTree.delete(tree.maps);
}
