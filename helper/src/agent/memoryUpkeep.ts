/**
 * Gives memory back to the system: what only the start needed, and what a burst of flows left behind. The kernel would take
 * the pages of the program's file itself when memory is short; on a host with plenty of it an agent would look as large as it
 * ever was.
 */
import { trimAllocator } from "../linux/bpf/allocator.ts";
import { releaseStartupPages } from "../linux/bpf/startupPages.ts";
import { HeapUpkeep } from "./heapUpkeep.ts";

/** When everything that only the start needed has run. */
const SETTLED_MS = 3_000;
/** It takes some milliseconds, and what is needed again is mapped again in one or two. */
const EVERY_MS = 30_000;

/** Keeps nothing from ending. */
export function giveMemoryBack(): void {
  const heap = new HeapUpkeep();
  const release = () => {
    // What it frees outside of the heap goes back with the rest.
    heap.look();
    trimAllocator();
    releaseStartupPages();
  };
  setTimeout(release, SETTLED_MS).unref();
  setInterval(release, EVERY_MS).unref();
}
