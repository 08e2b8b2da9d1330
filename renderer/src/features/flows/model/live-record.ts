/** A flow as it comes, in the shape that the list of the history has: the same columns and conditions are for both. */
import { create } from "@bufbuild/protobuf";
import { type HistoryRecord, HistoryRecordSchema, HistoryResolution } from "@wardline/api/wardline/console/v1/history";
import { type Flow, FlowEventKind, FlowHook } from "@wardline/api/wardline/v1/flow";
import { FlowRecordSchema } from "@wardline/api/wardline/v1/flow_record";
import { Verdict } from "@wardline/api/wardline/v1/policy";
import type { LiveFlow } from "../../../data/flow-buffer.ts";

/** A row that is drawn again ten times a second is read once. */
const known = new WeakMap<LiveFlow, HistoryRecord>();

/** A record of one connection, in a window of time without length. */
export function recordOfFlow(flow: LiveFlow): HistoryRecord {
  const former = known.get(flow);
  if (former) return former;
  const isDenied = flow.verdict === Verdict.DENY;
  const { time, decision, process, endTime } = flow;
  // Until an end came nobody knows how long it takes.
  const lastSeen = endTime ?? (isDenied ? time : undefined);
  const item = create(HistoryRecordSchema, {
    id: String(flow.id),
    hostId: flow.host,
    host: flow.host,
    sourceDisplayName: flow.sourceName || (flow.sourceDisplayName ?? ""),
    destinationDisplayName: flow.destinationName || (flow.destinationDisplayName ?? ""),
    resolution: HistoryResolution.RECORD,
    record: create(FlowRecordSchema, {
      ...(time ? { windowStart: time, firstSeen: time } : {}),
      ...(lastSeen ? { lastSeen } : {}),
      ...{ direction: flow.direction, protocol: flow.protocol, destinationPort: flow.destinationPort },
      sourceAddress: hasChosenSource(flow) ? flow.sourceAddress : "",
      destinationAddress: flow.destinationAddress,
      ...{ sourceName: flow.sourceName, destinationName: flow.destinationName },
      ...{ verdict: flow.verdict, enforced: flow.enforced, generation: flow.generation, hook: flow.hook },
      ...(decision ? { decision } : {}),
      ...(process ? { process } : {}),
      ...{ subjectKey: flow.subjectKey, cgroupPath: flow.cgroupPath },
      ...{ started: isDenied ? 0n : 1n, ended: flow.kind === FlowEventKind.END ? 1n : 0n },
      deniedPackets: isDenied ? 1n : 0n,
      ...{ packets: flow.packets, originatorBytes: flow.originatorBytes, responderBytes: flow.responderBytes },
    }),
  });
  known.set(flow, item);
  return item;
}

/** A connection that was refused at connect() had not been given an address of its own yet. */
export function hasChosenSource({ hook, sourceAddress }: Pick<Flow, "hook" | "sourceAddress">): boolean {
  return hook !== FlowHook.CONNECT || (sourceAddress !== "0.0.0.0" && sourceAddress !== "::");
}
