/** Who talked to whom in a window of time, as a graph. */
import type { Verdict } from "../../policy/model.ts";

/** As `wardline.console.v1.FlowSums`. */
export interface FlowSums {
  readonly records: number;
  readonly connections: number;
  readonly deniedPackets: number;
  readonly packets: number;
  readonly originatorBytes: number;
  readonly responderBytes: number;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
}

/** The sums of all records that agree in everything else here. */
export interface MapSums {
  /** Name of the host that saw them. */
  readonly host: string;
  readonly direction: "ingress" | "egress";
  /** Canonical text. */
  readonly sourceAddress: string;
  readonly destinationAddress: string;
  readonly protocol: number;
  /** 0 for protocols without ports. */
  readonly port: number;
  readonly verdict: Verdict;
  readonly policyKeys: readonly string[];
  readonly subjectKey: string;
  readonly sums: FlowSums;
}

export type MapGrouping =
  | { readonly by: "host" }
  /** Endpoints with the same value of the label; what has none stands for itself. */
  | { readonly by: "label"; readonly key: string }
  | { readonly by: "workload" };

export type MapNodeKind = "host" | "group" | "workload" | "external";

export interface MapNode {
  /** Stable over windows: `host:web-1`, `label:app=web`, `workload:default/nginx`, `address:203.0.113.9`, `net:203.0.113.0/24`. */
  readonly id: string;
  readonly kind: MapNodeKind;
  readonly name: string;
  /** Seen in the window, sorted, at most {@link MAX_NODE_ADDRESSES}. */
  readonly addresses: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  /** How many things are put together here. */
  readonly members: number;
}

export interface MapEdge {
  readonly sourceId: string;
  readonly destinationId: string;
  readonly protocol: number;
  /** 0 = no port, or several ports that were put together. */
  readonly port: number;
  readonly allowed: FlowSums;
  readonly denied: FlowSums;
  /** Keys of policies that decided, sorted, at most {@link MAX_EDGE_POLICIES}. */
  readonly policyKeys: readonly string[];
  /** Two hosts saw it from both ends: it is counted once. */
  readonly isSeenByBoth: boolean;
}

export interface ServiceMap {
  /** Sorted by id. */
  readonly nodes: readonly MapNode[];
  /** Largest first. */
  readonly edges: readonly MapEdge[];
  /** Nodes that were put together because there were more than wanted. */
  readonly mergedNodes: number;
}

export const MAX_NODE_ADDRESSES = 20;
export const MAX_EDGE_POLICIES = 10;
/** Single ports of one pair of nodes and one protocol; a scan has thousands. */
export const MAX_PORTS_OF_PAIR = 64;

export const NO_SUMS: FlowSums = {
  records: 0,
  connections: 0,
  deniedPackets: 0,
  packets: 0,
  originatorBytes: 0,
  responderBytes: 0,
  firstSeenMs: 0,
  lastSeenMs: 0,
};

export function plusSums(left: FlowSums, right: FlowSums): FlowSums {
  if (left.records === 0) return right;
  if (right.records === 0) return left;
  return {
    records: left.records + right.records,
    connections: left.connections + right.connections,
    deniedPackets: left.deniedPackets + right.deniedPackets,
    packets: left.packets + right.packets,
    originatorBytes: left.originatorBytes + right.originatorBytes,
    responderBytes: left.responderBytes + right.responderBytes,
    firstSeenMs: Math.min(left.firstSeenMs, right.firstSeenMs),
    lastSeenMs: Math.max(left.lastSeenMs, right.lastSeenMs),
  };
}

/** What is compared by size: connections that were let through and packets that were not. */
export function weightOf(sums: FlowSums): number {
  return sums.connections + sums.deniedPackets;
}

export function weightOfEdge({ allowed, denied }: Pick<MapEdge, "allowed" | "denied">): number {
  return weightOf(allowed) + weightOf(denied);
}
