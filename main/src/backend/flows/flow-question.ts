/** The query language on single flows: what the live view keeps of the stream. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Flow, FlowEventKind } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type FlowRecord, matchesQuery, NO_LABELS, parseFlowQuery, type QueryNode } from "@wardline/domain/flows";

const NOBODY = { pid: 0, userId: 0, userName: "", command: "", executable: "" };

/** `null` = every flow. @throws Failure QUERY_INVALID with diagnostics */
export function flowQuestion(text: string, nowMs: number): ((flow: Flow) => boolean) | null {
  if (text.trim() === "") return null;
  const { query, diagnostics } = parseFlowQuery(text, { nowMs });
  if (!query) {
    const [first] = diagnostics.filter(({ severity }) => severity === "error");
    throw new Failure({
      code: ErrorCode.QUERY_INVALID,
      message: first?.message ?? "The query cannot be read.",
      hint: "docs/flows.md has the language, with examples.",
      source: first?.source ?? null,
      diagnostics,
    });
  }
  if (asksLabels(query.where)) {
    throw new Failure({
      code: ErrorCode.QUERY_INVALID,
      message: "`label:` cannot be followed live: labels are looked up for records, not for each flow as it comes.",
      hint: "Ask the history, or name hosts and addresses.",
    });
  }
  return (flow) => matchesQuery(query, recordOf(flow), NO_LABELS);
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
function connectionKey({
  host,
  direction,
  protocol,
  sourceAddress,
  sourcePort,
  destinationAddress,
  destinationPort,
}: Flow): string {
  return `${host} ${direction} ${protocol} ${sourceAddress} ${sourcePort} ${destinationAddress} ${destinationPort}`;
}

function asksLabels(node: QueryNode): boolean {
  if (node.kind === "and" || node.kind === "or") return node.parts.some(asksLabels);
  if (node.kind === "not") return asksLabels(node.part);
  return node.kind === "field" && node.field === "label";
}

/** A flow as the one thing that a record of it would have. */
function recordOf(flow: Flow): FlowRecord {
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
