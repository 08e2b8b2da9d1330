/** Words and texts of the history: dimensions, sums, and terms that a click adds to a query. */
import {
  FlowDimension,
  FlowMeasure,
  type FlowSums,
  HistoryResolution,
  MapChangeKind,
  type Searched,
} from "@wardline/api/wardline/console/v1/history";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { formatBytes, formatCount, formatDateTime, formatQuantity, protocolName, shortKey } from "../../../ui/index.ts";

export const DIMENSION_NAMES: Record<FlowDimension, string> = {
  [FlowDimension.UNSPECIFIED]: "nothing",
  [FlowDimension.HOST]: "host",
  [FlowDimension.SOURCE]: "from address",
  [FlowDimension.DESTINATION]: "to address",
  [FlowDimension.PEER]: "peer address",
  [FlowDimension.PORT]: "port",
  [FlowDimension.PROTOCOL]: "protocol",
  [FlowDimension.PROCESS]: "process",
  [FlowDimension.USER]: "user",
  [FlowDimension.VERDICT]: "verdict",
  [FlowDimension.POLICY]: "policy",
  [FlowDimension.RULE]: "deciding rule",
  [FlowDimension.DIRECTION]: "direction",
  [FlowDimension.SUBJECT]: "subject",
  [FlowDimension.SOURCE_NAME]: "from name",
  [FlowDimension.DESTINATION_NAME]: "to name",
  [FlowDimension.CGROUP]: "process group",
};

export const MEASURE_NAMES: Record<FlowMeasure, string> = {
  [FlowMeasure.UNSPECIFIED]: "connections",
  [FlowMeasure.CONNECTIONS]: "connections",
  [FlowMeasure.BYTES]: "bytes",
  [FlowMeasure.DENIED_PACKETS]: "denied packets",
  [FlowMeasure.RECORDS]: "records",
  [FlowMeasure.PACKETS]: "packets",
};

/** The text with one more condition; the same text when it is in there already. */
export function withTerm(text: string, term: string): string {
  const trimmed = text.trim();
  if (trimmed === "") return term;
  if (` ${trimmed} `.includes(` ${term} `)) return trimmed;
  // `a OR b` and one more must be both of the two and the one.
  return /\bOR\b|\|/.test(trimmed) ? `(${trimmed}) ${term}` : `${trimmed} ${term}`;
}

export function groupText(dimension: FlowDimension, value: string): string {
  if (value === "") return "not known";
  if (dimension === FlowDimension.PROTOCOL) return protocolName(Number(value));
  if (dimension === FlowDimension.POLICY || dimension === FlowDimension.SUBJECT) return shortKey(value);
  return value;
}

export function measureOf(sums: FlowSums | undefined, measure: FlowMeasure): number {
  if (!sums) return 0;
  switch (measure) {
    case FlowMeasure.BYTES:
      return Number(sums.originatorBytes + sums.responderBytes);
    case FlowMeasure.DENIED_PACKETS:
      return Number(sums.deniedPackets);
    case FlowMeasure.RECORDS:
      return Number(sums.records);
    case FlowMeasure.PACKETS:
      return Number(sums.packets);
    default:
      return Number(sums.connections);
  }
}

export function measureText(value: number, measure: FlowMeasure): string {
  return measure === FlowMeasure.BYTES ? formatBytes(value) : formatCount(value);
}

const RESOLUTIONS: Record<HistoryResolution, string> = {
  [HistoryResolution.UNSPECIFIED]: "",
  [HistoryResolution.RECORD]: "",
  [HistoryResolution.MINUTE]: "sums by the minute",
  [HistoryResolution.HOUR]: "sums by the hour",
  [HistoryResolution.DAY]: "sums by the day",
};

/** What stands behind the answer, in a line: `1,204 records match · all 3,400,000 searched in 41 ms`. */
export function searchedText(searched: Searched): string {
  const { matched, isComplete, total, tookMs } = searched;
  const parts = [
    `${isComplete ? "" : "at least "}${formatQuantity(matched, "record matches", "records match")}`,
    isComplete
      ? `all ${formatCount(total)} of the time range searched${tookMs > 0 ? ` in ${formatCount(tookMs)} ms` : ""}`
      : `${formatCount(searched.searched)} of ${formatCount(total)} searched so far`,
  ];
  const coarse = RESOLUTIONS[searched.coarsest];
  const beforeMs = optionalMs(searched.coarseBefore);
  if (coarse) parts.push(`${coarse}${beforeMs === null ? "" : ` before ${formatDateTime(beforeMs)}`}`);
  return parts.join(" · ");
}

export const MAP_CHANGE_NAMES: Record<MapChangeKind, string> = {
  [MapChangeKind.UNSPECIFIED]: "changed",
  [MapChangeKind.NEW_EDGE]: "new",
  [MapChangeKind.GONE_EDGE]: "gone",
  [MapChangeKind.VERDICT]: "another verdict",
  [MapChangeKind.VOLUME]: "another volume",
  [MapChangeKind.NEW_NODE]: "new end",
  [MapChangeKind.GONE_NODE]: "end is gone",
};
