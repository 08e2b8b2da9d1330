/**
 * The edge programs as filters of a clsact qdisc, for kernels before 6.6. Nothing pins a filter: it stays until somebody
 * removes it. What is ours is remembered by pins in the tree's directory: that of filters before they are made, so that no
 * crash leaves one behind; that of the qdisc after, so that none of somebody else's is ever taken for ours.
 */
import { existsSync, readdirSync, unlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import {
  createClsact,
  destroyClsact,
  type FilterPlace,
  filterProgram,
  isGone,
  removeFilter,
  replaceFilter,
} from "../../../linux/bpf/interfaceHooks.ts";
import { pin, programInfo } from "../../../linux/bpf/libbpf.ts";
import { listTrafficFilters } from "../../../linux/network/trafficFilters.ts";

/** Descriptors of the programs for one kind of interface. */
export interface EdgePrograms {
  readonly inward: number;
  readonly outward: number;
}

const HANDLE = 0x7761;
/**
 * Low, to run early: a filter before ours could let a packet pass for good. The tree's layout is added, so that the filters
 * of two layouts can stand side by side during an upgrade.
 */
const FIRST_PRIORITY = 10;
const DIRECTIONS = ["ingress", "egress"] as const;

/** "Our filters may be on this interface" and "the qdisc was made for them". */
const filterMark = (treePath: string, index: number): string => join(treePath, `edge_filter_${index}`);
const qdiscMark = (treePath: string, index: number): string => join(treePath, `edge_qdisc_${index}`);

/** Indexes of the interfaces that a tree's directory has marks of. */
export function markedInterfaces(treePath: string): readonly number[] {
  if (!existsSync(treePath)) return [];
  const matches = readdirSync(treePath).map((name) => /^edge_(?:filter|qdisc)_(\d+)$/.exec(name)?.[1]);
  return matches.filter((index) => index !== undefined).map(Number);
}

function place(treePath: string, interfaceIndex: number, direction: "ingress" | "egress"): FilterPlace {
  const layout = Number(/layout-(\d+)/.exec(basename(treePath))?.[1] ?? 0);
  return { interfaceIndex, direction, handle: HANDLE, priority: FIRST_PRIORITY + layout };
}

function mark(path: string, programFd: number): void {
  if (!existsSync(path) && existsSync(dirname(path))) pin(programFd, path);
}

function unmark(path: string): void {
  if (existsSync(path)) unlinkSync(path);
}

/**
 * Makes sure that both filters run these programs. `ownQdiscs` are the interfaces whose qdisc was made here, for marks that
 * somebody took away.
 */
export function ensureFilters(
  treePath: string,
  interfaceIndex: number,
  programs: EdgePrograms,
  ownQdiscs: Set<number>,
): void {
  const wanted = { ingress: programs.inward, egress: programs.outward };
  const missing = DIRECTIONS.filter((direction) => {
    const running = filterProgram(place(treePath, interfaceIndex, direction));
    return running !== programInfo(wanted[direction]).id;
  });
  mark(filterMark(treePath, interfaceIndex), programs.inward);
  if (missing.length > 0 && createClsact(interfaceIndex)) ownQdiscs.add(interfaceIndex);
  if (existsSync(qdiscMark(treePath, interfaceIndex))) ownQdiscs.add(interfaceIndex);
  else if (ownQdiscs.has(interfaceIndex)) mark(qdiscMark(treePath, interfaceIndex), programs.inward);
  for (const direction of missing) replaceFilter(place(treePath, interfaceIndex, direction), wanted[direction]);
}

/** Removes our filters, and the qdisc when it was made for them and nobody else uses it by now. */
export function removeFilters(treePath: string, interfaceIndex: number): void {
  if (!existsSync(filterMark(treePath, interfaceIndex)) && !existsSync(qdiscMark(treePath, interfaceIndex))) return;
  try {
    for (const direction of DIRECTIONS) removeFilter(place(treePath, interfaceIndex, direction));
    const isOurs = existsSync(qdiscMark(treePath, interfaceIndex));
    if (isOurs && listTrafficFilters(interfaceIndex).length === 0) destroyClsact(interfaceIndex);
  } catch (error) {
    // With the interface went its qdisc.
    if (!isGone(error)) throw error;
  }
  unmark(filterMark(treePath, interfaceIndex));
  unmark(qdiscMark(treePath, interfaceIndex));
}
