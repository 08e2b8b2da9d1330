/**
 * How records come to the detectors: the same way while they happen, again after a restart and in a backtest, so that all
 * three find the same.
 */
import type { FlowRecord } from "../flows/record.ts";

export interface RecordWindow {
  /** The `nowMs` of the window's `observe`: its end, whenever it was read. */
  readonly endMs: number;
  readonly records: readonly FlowRecord[];
}

/** Records by window, oldest first, and within a window in an order that depends on nothing but the records. */
export function windowsOf(records: readonly FlowRecord[]): readonly RecordWindow[] {
  const byEnd = new Map<number, FlowRecord[]>();
  for (const record of records) {
    const endMs = record.windowStartMs + record.windowMs;
    const window = byEnd.get(endMs);
    if (window) window.push(record);
    else byEnd.set(endMs, [record]);
  }
  return [...byEnd]
    .sort(([left], [right]) => left - right)
    .map(([endMs, inWindow]) => ({ endMs, records: inWindow.sort(compareRecords) }));
}

/** By time, then by everything that tells two records of one window apart. */
export function compareRecords(left: FlowRecord, right: FlowRecord): number {
  return (
    left.windowStartMs - right.windowStartMs ||
    left.firstSeenMs - right.firstSeenMs ||
    left.lastSeenMs - right.lastSeenMs ||
    left.protocol - right.protocol ||
    left.destinationPort - right.destinationPort ||
    compareTexts(identityOf(left), identityOf(right))
  );
}

function identityOf(record: FlowRecord): string {
  const { direction, sourceAddress, destinationAddress, verdict, enforced, subjectKey, cgroupPath, process } = record;
  const ends = `${direction} ${sourceAddress} ${destinationAddress} ${verdict} ${enforced}`;
  const who = `${subjectKey} ${cgroupPath} ${process.userId} ${process.command} ${process.executable} ${process.pid}`;
  return `${ends} ${who} ${record.started} ${record.packets} ${record.decisionSummary}`;
}

/** By code units: the order of a locale differs between machines. */
function compareTexts(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The seed of a host's detectors, everywhere the same: FNV-1a over its name. */
export function detectionSeedOf(hostName: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < hostName.length; index++) {
    hash = Math.imul(hash ^ hostName.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}
