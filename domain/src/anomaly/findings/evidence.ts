/** The records that prove a finding, and the query that finds them all. */
import type { FlowRecord } from "../../flows/record.ts";
import type { EvidenceFilter } from "../detectors/signal.ts";
import type { Seen } from "../features/seen.ts";
import { queryValue } from "../support/words.ts";

export const MAX_EVIDENCE = 50;
/** Of these, so many are kept whatever their size. */
const NEWEST_KEPT = 25;
const MAX_QUERY_ADDRESSES = 8;

export function matchesFilter(filter: EvidenceFilter, seen: Seen): boolean {
  return (
    (filter.direction === null || filter.direction === seen.direction) &&
    (filter.port === 0 || filter.port === seen.port) &&
    (filter.protocol === 0 || filter.protocol === seen.protocol) &&
    (filter.process === null || filter.process === seen.process) &&
    (!filter.failedOnly || seen.isFailed) &&
    (filter.remotes.length === 0 || filter.remotes.includes(seen.remote))
  );
}

/** Newest first. When there are too many, the newest stay, and of the older ones the smallest goes. */
export function addEvidence(evidence: FlowRecord[], record: FlowRecord): void {
  evidence.unshift(record);
  if (evidence.length <= MAX_EVIDENCE) return;
  let smallest = evidence.length - 1;
  for (let index = smallest; index >= NEWEST_KEPT; index--) {
    const one = evidence[index];
    const least = evidence[smallest];
    if (one !== undefined && least !== undefined && bytes(one) < bytes(least)) smallest = index;
  }
  evidence.splice(smallest, 1);
}

const bytes = ({ originatorBytes, responderBytes }: FlowRecord): number => originatorBytes + responderBytes;

export function evidenceQuery(host: string, filter: EvidenceFilter, sinceMs: number, untilMs: number): string {
  const addresses = filter.remotes.map(queryValue).filter((value) => value !== "");
  const process = queryValue(filter.process ?? "");
  return [
    `host:${queryValue(host)}`,
    ...(addresses.length > 0 && addresses.length <= MAX_QUERY_ADDRESSES ? [`address:${addresses.join(",")}`] : []),
    ...(filter.port > 0 ? [`port:${filter.port}`] : []),
    // Only where the name says the whole truth.
    ...(process !== "" && process === filter.process ? [`process:${process}`] : []),
    ...(filter.direction === null ? [] : [`direction:${filter.direction}`]),
    `since:${isoTime(Math.floor(sinceMs / 10_000) * 10_000)}`,
    `until:${isoTime((Math.floor(untilMs / 10_000) + 1) * 10_000)}`,
  ].join(" ");
}

function isoTime(ms: number): string {
  return new Date(Math.min(8.64e15, Math.max(0, ms))).toISOString().replace(".000Z", "Z");
}
