/** The query language on single flows: what is followed as it comes, by the same rules as what is asked afterwards. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Flow, FlowEventKind } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { type LabelResolver, matchesQuery } from "./match.ts";
import type { FlowQuery, QueryNode } from "./query.ts";
import type { FlowRecord } from "./record.ts";

const NOBODY = { pid: 0, userId: 0, userName: "", command: "", executable: "" };

/** Whether a flow answers the query. Who has a label is asked for each flow: what the resolver says may change meanwhile. */
export function flowMatcher(query: FlowQuery, labels: LabelResolver): (flow: Flow) => boolean {
  return (flow) => matchesQuery(query, recordOfFlow(flow), labels);
}

export function asksLabels(node: QueryNode): boolean {
  if (node.kind === "and" || node.kind === "or") return node.parts.some(asksLabels);
  if (node.kind === "not") return asksLabels(node.part);
  return node.kind === "field" && node.field === "label";
}

/** Connections of which the end is waited for; of more, the oldest ends are asked by themselves. */
const MAX_OPEN = 20_000;

/**
 * Keeps the flows of a stream that answer a question. An end knows less than its start (no process): it is kept exactly when
 * its start was.
 */
export function connectionsThat(isWanted: (flow: Flow) => boolean): (flows: readonly Flow[]) => readonly Flow[] {
  const open = new Map<string, boolean>();
  return (flows) =>
    flows.filter((flow) => {
      if (flow.kind === FlowEventKind.DENY) return isWanted(flow);
      const key = connectionKey(flow);
      const ofStart = open.get(key);
      open.delete(key);
      if (flow.kind === FlowEventKind.END) return ofStart ?? isWanted(flow);
      const is = isWanted(flow);
      open.set(key, is);
      if (open.size > MAX_OPEN) for (const oldest of open.keys()) if (open.delete(oldest)) break;
      return is;
    });
}

/** Of two ends on one host, each tells of the connection: one as egress, one as ingress. */
export function connectionKey(flow: Flow): string {
  const { host, direction, protocol, sourceAddress, sourcePort, destinationAddress, destinationPort } = flow;
  return `${host} ${direction} ${protocol} ${sourceAddress} ${sourcePort} ${destinationAddress} ${destinationPort}`;
}

/** A flow as the one thing that a record of it would have. */
export function recordOfFlow(flow: Flow): FlowRecord {
  const timeMs = flow.time ? timestampMs(flow.time) : 0;
  const isDenied = flow.verdict === Verdict.DENY;
  return {
    host: flow.host,
    ...{ windowStartMs: timeMs, windowMs: 1, firstSeenMs: timeMs, lastSeenMs: timeMs },
    direction: flow.direction === Direction.INGRESS ? "ingress" : "egress",
    protocol: flow.protocol,
    ...{ sourceAddress: flow.sourceAddress, destinationAddress: flow.destinationAddress },
    destinationPort: flow.destinationPort,
    ...{ sourceName: flow.sourceName, destinationName: flow.destinationName, observedName: "" },
    verdict: isDenied ? "deny" : "allow",
    enforced: flow.enforced === Verdict.DENY ? "deny" : "allow",
    policyKeys: flow.decision?.policyKeys ?? [],
    decisionSummary: flow.decision?.summary ?? "",
    subjectKey: flow.subjectKey,
    cgroupPath: flow.cgroupPath,
    process: flow.process ?? NOBODY,
    ...{ started: isDenied ? 0 : 1, ended: 0, deniedPackets: isDenied ? 1 : 0 },
    packets: Number(flow.packets),
    originatorBytes: Number(flow.originatorBytes),
    responderBytes: Number(flow.responderBytes),
    foldedFlows: 0,
  };
}
