/** Rows put together by what they have in common, for the store's sums and for those of the live list alike. */

import { create } from "@bufbuild/protobuf";
import {
  FlowDimension,
  type FlowMeasure,
  type FlowSums,
  FlowSumsSchema,
  type HistoryRecord,
} from "@wardline/api/wardline/console/v1/history";
import { Direction } from "@wardline/api/wardline/v1/policy";
import { formatValue, hasPorts } from "@wardline/domain/flows";
import { fromWireVerdict } from "@wardline/domain/wire";
import { measureOf } from "./history.ts";

export interface ShownGroup {
  /** Stable: made of the values. */
  readonly id: string;
  /** In the order of the dimensions; empty = not known. */
  readonly values: readonly string[];
  /** Beside the values where they are known; empty where not. */
  readonly names: readonly string[];
  readonly sums: FlowSums;
  /** The condition that finds its rows; `null` = there is none. */
  readonly term: string | null;
}

const FIELDS: Partial<Record<FlowDimension, string>> = {
  [FlowDimension.HOST]: "host",
  [FlowDimension.SOURCE]: "src",
  [FlowDimension.DESTINATION]: "dst",
  [FlowDimension.PEER]: "peer",
  [FlowDimension.PORT]: "port",
  [FlowDimension.PROTOCOL]: "protocol",
  [FlowDimension.PROCESS]: "process",
  [FlowDimension.USER]: "user",
  [FlowDimension.VERDICT]: "verdict",
  [FlowDimension.POLICY]: "policy",
  [FlowDimension.RULE]: "rule",
  [FlowDimension.DIRECTION]: "direction",
  [FlowDimension.SUBJECT]: "subject",
  [FlowDimension.SOURCE_NAME]: "name",
  [FlowDimension.DESTINATION_NAME]: "name",
  [FlowDimension.CGROUP]: "cgroup",
};
const DELETED = / \(deleted\)$/;
const EVERY_ADDRESS = "0.0.0.0/0,::/0";

/** What finds the rows with a value of a dimension, also where it is not known; `null` = nothing does. */
export function groupTerm(dimension: FlowDimension, value: string): string | null {
  const field = FIELDS[dimension];
  if (field === undefined) return null;
  if (value !== "") {
    if (dimension === FlowDimension.DIRECTION) return `direction:${value === "ingress" ? "in" : "out"}`;
    // Policies that decided together are one value.
    if (dimension === FlowDimension.POLICY)
      return value
        .split(", ")
        .map((key) => `policy:${formatValue(key)}`)
        .join(" ");
    return `${field}:${formatValue(value.replace(DELETED, ""))}`;
  }
  switch (dimension) {
    case FlowDimension.SOURCE:
    case FlowDimension.DESTINATION:
    case FlowDimension.PEER:
      return `-${field}:${EVERY_ADDRESS}`;
    case FlowDimension.PORT:
      return "protocol:icmp,icmpv6";
    case FlowDimension.PROCESS:
    case FlowDimension.USER:
    case FlowDimension.POLICY:
    case FlowDimension.RULE:
    case FlowDimension.SUBJECT:
    case FlowDimension.CGROUP:
      return `-${field}:*`;
    default:
      return null;
  }
}

/** What finds the rows of a group; `null` when one of its values cannot be asked for. */
export function termOfGroup(by: readonly FlowDimension[], values: readonly string[]): string | null {
  const terms = by.map((dimension, index) => groupTerm(dimension, values[index] ?? ""));
  return terms.every((term) => term !== null) ? terms.join(" ") : null;
}

/** As the stores have it: empty when it is not known, addresses and keys as in the record, numbers in decimal. */
export function dimensionOf(item: HistoryRecord, dimension: FlowDimension): { value: string; name: string } {
  const { record } = item;
  if (!record) return { value: "", name: "" };
  const { process } = record;
  const isIngress = record.direction === Direction.INGRESS;
  const source = { value: record.sourceAddress, name: item.sourceDisplayName || record.sourceName };
  const destination = {
    value: record.destinationAddress,
    name: item.destinationDisplayName || record.destinationName,
  };
  const plain = (value: string) => ({ value, name: "" });
  switch (dimension) {
    case FlowDimension.HOST:
      return plain(item.host);
    case FlowDimension.SOURCE:
      return source;
    case FlowDimension.DESTINATION:
      return destination;
    case FlowDimension.PEER:
      return isIngress ? source : destination;
    case FlowDimension.PORT:
      return plain(hasPorts(record.protocol) ? String(record.destinationPort) : "");
    case FlowDimension.PROTOCOL:
      return plain(String(record.protocol));
    case FlowDimension.PROCESS:
      return plain(process?.executable || process?.command || "");
    case FlowDimension.USER:
      return plain(process?.userName ?? "");
    case FlowDimension.VERDICT:
      return plain(fromWireVerdict(record.verdict));
    case FlowDimension.POLICY:
      return plain((record.decision?.policyKeys ?? []).join(", "));
    case FlowDimension.RULE:
      return plain(record.decision?.summary ?? "");
    case FlowDimension.DIRECTION:
      return plain(isIngress ? "ingress" : "egress");
    case FlowDimension.SUBJECT:
      return plain(record.subjectKey);
    case FlowDimension.CGROUP:
      return plain(record.cgroupPath);
    default:
      return plain("");
  }
}

export interface GroupWithRows extends ShownGroup {
  /** Newest first, at most {@link MOST_ROWS}; `sums.records` counts all. */
  readonly rows: readonly HistoryRecord[];
}

export const MOST_ROWS = 100;

interface Growing {
  readonly id: string;
  readonly values: string[];
  readonly names: string[];
  readonly sums: FlowSums;
  readonly rows: HistoryRecord[];
}

/** Groups of rows that are all in the window, largest first. One pass over the rows. */
export function groupRows(
  items: readonly HistoryRecord[],
  by: readonly FlowDimension[],
  measure: FlowMeasure,
): readonly GroupWithRows[] {
  const groups = new Map<string, Growing>();
  for (const item of items) {
    const { record } = item;
    if (!record) continue;
    const ends = by.map((dimension) => dimensionOf(item, dimension));
    const values = ends.map(({ value }) => value);
    const id = values.join("\n");
    let group = groups.get(id);
    if (!group) {
      group = { id, values, names: ends.map(({ name }) => name), sums: create(FlowSumsSchema), rows: [] };
      groups.set(id, group);
    }
    const { sums, rows } = group;
    sums.records += 1n;
    sums.connections += record.started;
    sums.deniedPackets += record.deniedPackets;
    sums.packets += record.packets;
    sums.originatorBytes += record.originatorBytes;
    sums.responderBytes += record.responderBytes;
    if (rows.length < MOST_ROWS) rows.push(item);
  }
  return [...groups.values()]
    .map((group) => ({ ...group, term: termOfGroup(by, group.values) }))
    .sort((a, b) => measureOf(b.sums, measure) - measureOf(a.sums, measure) || (a.id < b.id ? -1 : 1));
}

/** Groups that are shown keep their places while they grow; new ones come after them. */
export function inFormerOrder<Group extends { readonly id: string }>(
  groups: readonly Group[],
  former: readonly string[],
): readonly Group[] {
  const byId = new Map(groups.map((group) => [group.id, group]));
  const kept = former.flatMap((id) => byId.get(id) ?? []);
  const known = new Set(former);
  return [...kept, ...groups.filter(({ id }) => !known.has(id))];
}
