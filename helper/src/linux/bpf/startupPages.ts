/**
 * Gives back the pages of the program's own file that only its start needed. The kernel maps a file generously, sixteen
 * pages for each that is touched, and keeps them mapped while memory is plenty; a service that runs for months needs a
 * small part. What is needed after all is mapped again from the page cache.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { functions } from "./library.ts";

const MADV_DONTNEED = 4;
const HEADING = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ +(.*)$/;

interface Mapping {
  readonly start: bigint;
  readonly size: bigint;
  readonly isReadOnly: boolean;
  readonly path: string;
  /** Kilobytes that are a copy of this process, and so are in no file. */
  readonly anonymousKb: number;
}

function readMappings(): Mapping[] {
  const blocks = readFileSync("/proc/self/smaps", "latin1").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  return blocks.flatMap((block) => {
    const [, start, end, permissions = "", path = ""] = HEADING.exec(block.split("\n", 1)[0] ?? "") ?? [];
    const anonymousKb = /^Anonymous:\s+(\d+) kB$/m.exec(block)?.[1];
    if (start === undefined || end === undefined || anonymousKb === undefined) return [];
    const from = BigInt(`0x${start}`);
    const size = BigInt(`0x${end}`) - from;
    return [{ start: from, size, isReadOnly: /^r-[x-]p$/.test(permissions), path, anonymousKb: Number(anonymousKb) }];
  });
}

/**
 * Only what nobody can write to and of which no page was changed (by relocation, say), so that every page can be read again.
 * Returns the bytes of the mappings that were given back; 0 where that cannot be done.
 */
export function releaseStartupPages(): number {
  try {
    const executable = readlinkSync("/proc/self/exe");
    const own = readMappings().filter(
      ({ path, isReadOnly, anonymousKb }) => path === executable && isReadOnly && anonymousKb === 0,
    );
    const released = own.filter(({ start, size }) => functions().libc.madvise(start, size, MADV_DONTNEED) === 0);
    return released.reduce((sum, { size }) => sum + Number(size), 0);
  } catch {
    return 0;
  }
}
