/** Which ports, addresses and rules the newest flows name, counted. */
import { fromBinary } from "@bufbuild/protobuf";
import { DecisionSchema } from "@wardline/api/wardline/v1/policy";
import type { Store } from "./store.ts";

/** More rows would hold up the other calls for longer than anybody should wait. */
const MAX_ROWS = 50_000;
const MAX_PORTS = 500;
const MAX_ADDRESSES = 1_000;
/** `wardline.v1.FlowKind`: an end completes a connection whose start was counted. */
const KIND_END = 2;
const VERDICT_DENY = 2;

export interface CountedFlows {
  readonly flows: number;
  readonly sinceUs: number | null;
  readonly ports: readonly {
    readonly protocol: number;
    readonly port: number;
    readonly flows: number;
    readonly denied: number;
  }[];
  readonly addresses: readonly { readonly address: string; readonly name: string; readonly flows: number }[];
  readonly decisions: readonly {
    readonly id: string;
    readonly flows: number;
    readonly denied: number;
    readonly lastUs: number;
  }[];
}

/** Counts the newest flows since a time (µs; 0 = all). One pass for each table of counts, over one range of ids. */
export function countFlows(store: Store, sinceUs: number): CountedFlows {
  const newest = store.get<{ id: number | null }>("SELECT max(id) AS id FROM flows")?.id ?? 0;
  const range = "id > ? AND id <= ? AND time_us >= ? AND kind <> ?";
  const values = [newest - MAX_ROWS, newest, sinceUs, KIND_END] as const;
  const all = store.get<{ flows: number; sinceUs: number | null }>(
    `SELECT count(*) AS flows, min(time_us) AS sinceUs FROM flows WHERE ${range}`,
    ...values,
  );
  const ports = store.all<CountedFlows["ports"][number]>(
    `SELECT protocol, destination_port AS port, count(*) AS flows, sum(verdict = ${VERDICT_DENY}) AS denied
     FROM flows WHERE ${range} GROUP BY protocol, destination_port ORDER BY flows DESC LIMIT ${MAX_PORTS}`,
    ...values,
  );
  const addresses = store.all<CountedFlows["addresses"][number]>(
    `SELECT address, max(name) AS name, sum(flows) AS flows FROM (
       SELECT source_address AS address, max(source_name) AS name, count(*) AS flows FROM flows WHERE ${range} GROUP BY source_address
       UNION ALL
       SELECT destination_address, max(destination_name), count(*) FROM flows WHERE ${range} GROUP BY destination_address
     ) GROUP BY address ORDER BY flows DESC LIMIT ${MAX_ADDRESSES}`,
    ...values,
    ...values,
  );
  const rows = store.all<{ wire: Uint8Array; flows: number; denied: number; lastUs: number }>(
    `SELECT flow_decisions.wire AS wire, counted.* FROM (
       SELECT decision_row, count(*) AS flows, sum(verdict = ${VERDICT_DENY}) AS denied, max(time_us) AS lastUs
       FROM flows WHERE ${range} AND decision_row IS NOT NULL GROUP BY decision_row
     ) AS counted JOIN flow_decisions ON flow_decisions.row = counted.decision_row`,
    ...values,
  );
  return {
    flows: all?.flows ?? 0,
    sinceUs: all?.sinceUs ?? null,
    ports,
    addresses,
    decisions: rows.map(({ wire, flows, denied, lastUs }) => ({
      id: fromBinary(DecisionSchema, wire).id,
      flows,
      denied,
      lastUs,
    })),
  };
}
