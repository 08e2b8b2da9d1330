/** What a record counts under in each dimension, and the sums of records: one meaning for every store. */
import type { FlowDimension, FlowMeasure, FlowRecord } from "@wardline/domain/flows";
import { hasPorts } from "@wardline/domain/flows/reference";
import type { FlowSums } from "./flow-history.ts";

/** Empty when it is unknown. Addresses and keys as in the record, numbers in decimal. */
export function dimensionValue(dimension: FlowDimension, record: FlowRecord): string {
  const { process, direction } = record;
  switch (dimension) {
    case "host":
      return record.host;
    case "source":
      return record.sourceAddress;
    case "destination":
      return record.destinationAddress;
    case "peer":
      return direction === "ingress" ? record.sourceAddress : record.destinationAddress;
    case "port":
      return hasPorts(record.protocol) ? String(record.destinationPort) : "";
    case "protocol":
      return String(record.protocol);
    case "process":
      return process.executable || process.command;
    case "user":
      return process.userName;
    case "verdict":
      return record.verdict;
    case "policy":
      return record.policyKeys.join(", ");
    case "rule":
      return record.decisionSummary;
    case "direction":
      return direction;
    case "subject":
      return record.subjectKey;
    case "cgroup":
      return record.cgroupPath;
    case "source-name":
      return record.sourceName || (direction === "ingress" ? record.observedName : "");
    case "destination-name":
      return record.destinationName || (direction === "egress" ? record.observedName : "");
  }
}

export type MutableSums = { -readonly [Key in keyof FlowSums]: FlowSums[Key] };

/** `firstSeenMs` and `lastSeenMs` are 0 while there are no records. */
export function noSums(): MutableSums {
  return {
    records: 0,
    connections: 0,
    deniedPackets: 0,
    packets: 0,
    originatorBytes: 0,
    responderBytes: 0,
    firstSeenMs: 0,
    lastSeenMs: 0,
  };
}

export function addSums(into: MutableSums, more: FlowSums): void {
  if (more.records === 0) return;
  into.firstSeenMs = into.records === 0 ? more.firstSeenMs : Math.min(into.firstSeenMs, more.firstSeenMs);
  into.lastSeenMs = into.records === 0 ? more.lastSeenMs : Math.max(into.lastSeenMs, more.lastSeenMs);
  into.records += more.records;
  into.connections += more.connections;
  into.deniedPackets += more.deniedPackets;
  into.packets += more.packets;
  into.originatorBytes += more.originatorBytes;
  into.responderBytes += more.responderBytes;
}

export function sumsOfRecord(record: FlowRecord): FlowSums {
  return {
    records: 1,
    connections: record.started,
    deniedPackets: record.deniedPackets,
    packets: record.packets,
    originatorBytes: record.originatorBytes,
    responderBytes: record.responderBytes,
    firstSeenMs: record.firstSeenMs,
    lastSeenMs: record.lastSeenMs,
  };
}

export function measureOfSums(measure: FlowMeasure, sums: FlowSums): number {
  switch (measure) {
    case "connections":
      return sums.connections;
    case "bytes":
      return sums.originatorBytes + sums.responderBytes;
    case "denied":
      return sums.deniedPackets;
    case "records":
      return sums.records;
    case "packets":
      return sums.packets;
  }
}
