/** What a flow query says, once its text is read. Stores turn it into their own language; `matchesQuery` is the reference. */

export type QueryField =
  | "host"
  /** `key=value` of either end's labels. */
  | "label"
  /** Address or CIDR of either end, of the originator, of the responder, of the end that is not the host. */
  | "address"
  | "src"
  | "dst"
  | "peer"
  /** Name of either end; `*` stands for any part. */
  | "name"
  | "port"
  | "protocol"
  | "process"
  | "user"
  | "verdict"
  | "enforced"
  | "policy"
  /** What decided, in words. */
  | "rule"
  | "direction"
  | "subject"
  | "cgroup"
  /** Part of any text of the record. */
  | "text";

export type QueryMeasure = "bytes" | "sent" | "received" | "packets" | "connections" | "denied" | "duration";

export type QueryNode =
  | { readonly kind: "all" }
  | { readonly kind: "and" | "or"; readonly parts: readonly QueryNode[] }
  | { readonly kind: "not"; readonly part: QueryNode }
  /** One of the values. Numbers are decimal text, ranges `1000-2000`, addresses canonical, names as written. */
  | { readonly kind: "field"; readonly field: QueryField; readonly values: readonly string[] }
  /** Bytes, packets, counts; `duration` in milliseconds. Of one record. */
  | {
      readonly kind: "measure";
      readonly measure: QueryMeasure;
      readonly comparison: "<" | "<=" | ">" | ">=" | "=";
      readonly value: number;
    };

export interface FlowQuery {
  readonly where: QueryNode;
  /** Unix milliseconds, first and last moment (exclusive) of the window; `null` = open. */
  readonly sinceMs: number | null;
  readonly untilMs: number | null;
}

export const EVERYTHING: FlowQuery = { where: { kind: "all" }, sinceMs: null, untilMs: null };

export const FLOW_DIMENSIONS = [
  "host",
  "source",
  "destination",
  "peer",
  "port",
  "protocol",
  "process",
  "user",
  "verdict",
  "policy",
  "rule",
  "direction",
  "subject",
  "source-name",
  "destination-name",
  "cgroup",
] as const;
export type FlowDimension = (typeof FLOW_DIMENSIONS)[number];

export const FLOW_MEASURES = ["connections", "bytes", "denied", "records", "packets"] as const;
export type FlowMeasure = (typeof FLOW_MEASURES)[number];
