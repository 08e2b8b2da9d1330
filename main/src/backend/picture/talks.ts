/** Flows of a window as the picture counts them: sums of the history, each talk once however many hosts saw it. */
import { countTalks, type FlowDimension, type FlowQuery, type MapSums, type QueryNode } from "@wardline/domain/flows";
import type { Inventory } from "@wardline/domain/policy";
import type { PictureFlow } from "@wardline/domain/policy/picture";
import type { FlowHistory, HistoryGroup, LabelResolver } from "../history/flow-history.ts";
import type { Window } from "./basis.ts";

const BY = [
  ...(["host", "direction", "source", "destination", "protocol", "port", "verdict", "policy", "subject"] as const),
] satisfies readonly FlowDimension[];
/** Different talks of a window; the smallest beyond are left out, and the picture says so. */
const MAX_TALKS = 20_000;

export interface Talks {
  readonly flows: readonly PictureFlow[];
  readonly records: number;
  /** What is missing, in words. */
  readonly notes: readonly string[];
}

export async function readTalks(
  history: FlowHistory,
  inventory: Inventory,
  { sinceMs, untilMs }: Window,
  labels: LabelResolver,
  signal: AbortSignal,
): Promise<Talks> {
  const read = async (where: QueryNode) => {
    const query: FlowQuery = { where, sinceMs, untilMs };
    let found: {
      groups: readonly HistoryGroup[];
      groupCount: number;
      records: number;
      gaps: readonly string[];
    } | null = null;
    // By records, because what is denied has no connections.
    const options = { by: BY, order: "records" as const, limit: MAX_TALKS, labels };
    for await (const { groups, groupCount, total, progress } of history.group(query, options, signal)) {
      found = { groups, groupCount, records: total.records, gaps: progress.gaps };
    }
    return found ?? { groups: [], groupCount: 0, records: 0, gaps: [] };
  };
  const all = await read({ kind: "all" });
  const observed = await read({ kind: "and", parts: [field("verdict", "deny"), field("enforced", "allow")] });
  const letThrough = new Map(observed.groups.map(({ values, sums }) => [values.join("\n"), sums]));
  // Folded records have lost an end: nobody knows any more between whom.
  const known = all.groups.filter(({ values: [, , source, destination] }) => source !== "" && destination !== "");
  const folded = all.groups.length - known.length;
  const sums = known.map((group) => sumsOf(group, letThrough.get(group.values.join("\n")) ?? null));
  const book = { inventory, nameOf: () => "" };
  const notes = [...all.gaps];
  const leftOut = all.groupCount - all.groups.length;
  if (leftOut > 0) notes.push(`The ${leftOut.toLocaleString("en")} smallest talks of the window are not counted.`);
  if (folded > 0)
    notes.push(`Not counted: talks with more different ends than are kept (${folded.toLocaleString("en")}).`);
  const flows = countTalks(sums, book).map(({ allowed, denied, policyKeys: _, ...ends }): PictureFlow => {
    const times = [allowed, denied].filter(({ records }) => records > 0);
    return {
      ...ends,
      connections: connectionsOf(allowed) + connectionsOf(denied),
      deniedPackets: allowed.deniedPackets + denied.deniedPackets,
      observed: connectionsOf(denied),
      firstSeenMs: Math.min(...times.map(({ firstSeenMs }) => firstSeenMs)),
      lastSeenMs: Math.max(...times.map(({ lastSeenMs }) => lastSeenMs)),
    };
  });
  return { flows, records: all.records, notes };
}

function field(name: "verdict" | "enforced", value: string): QueryNode {
  return { kind: "field", field: name, values: [value] };
}

/** Of a connection that began before the window only its bytes are counted: it was used all the same. */
function connectionsOf({ connections, records, deniedPackets, packets }: MapSums["sums"]): number {
  return connections > 0 || deniedPackets > 0 || packets === 0 ? connections : records;
}

/** What a policy in observe mode would have denied was let through: its packets are no denied ones. */
function sumsOf({ values, sums }: HistoryGroup, letThrough: MapSums["sums"] | null): MapSums {
  const [host = "", direction, source = "", destination = "", protocol, port, verdict, policies = "", subjectKey = ""] =
    values;
  const observed = letThrough?.deniedPackets ?? 0;
  return {
    host,
    direction: direction === "ingress" ? "ingress" : "egress",
    sourceAddress: source,
    destinationAddress: destination,
    protocol: Number(protocol),
    port: Number(port || 0),
    verdict: verdict === "deny" ? "deny" : "allow",
    policyKeys: policies === "" ? [] : policies.split(", "),
    subjectKey,
    sums: {
      ...sums,
      connections: sums.connections + (letThrough && letThrough.connections === 0 ? observed : 0),
      deniedPackets: sums.deniedPackets - observed,
    },
  };
}
