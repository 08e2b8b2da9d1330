/** Results of a simulation on the wire. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  FlowClassCountSchema,
  SimulationCountsSchema,
  SimulationExampleSchema,
  SimulationGroupSchema,
  FlowClass as WireClass,
  type SimulationGroup as WireGroup,
  UnmatchedReason as WireReason,
} from "@wardline/api/wardline/console/v1/policies";
import { type Flow, FlowEventKind, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import {
  type ClassCounts,
  FLOW_CLASSES,
  type FlowClass,
  type RecordedFlow,
  type SimulationCounts,
  type SimulationGroup,
  type UnmatchedReason,
} from "@wardline/domain/policy/simulate";
import { toWireDecision, toWireDirection } from "@wardline/domain/wire";

const CLASSES: Readonly<Record<FlowClass, WireClass>> = {
  "newly-blocked": WireClass.NEWLY_BLOCKED,
  "newly-allowed": WireClass.NEWLY_ALLOWED,
  "stays-allowed": WireClass.STAYS_ALLOWED,
  "still-blocked": WireClass.STILL_BLOCKED,
  unmatched: WireClass.UNMATCHED,
};

const REASONS: Readonly<Record<UnmatchedReason, WireReason>> = {
  "ends-unknown": WireReason.ENDS_UNKNOWN,
  "several-endpoints": WireReason.SEVERAL_ENDPOINTS,
  "mixed-families": WireReason.MIXED_FAMILIES,
  "no-recorded-verdict": WireReason.NO_RECORDED_VERDICT,
};

const KINDS = { start: FlowEventKind.START, end: FlowEventKind.END, deny: FlowEventKind.DENY } as const;

export function toWireClassCounts(counts: ClassCounts) {
  return FLOW_CLASSES.map((name) =>
    create(FlowClassCountSchema, { class: CLASSES[name], flows: BigInt(counts[name]) }),
  );
}

/** @param total stored flows in the window */
export function toWireCounts(counts: SimulationCounts, total: number) {
  return create(SimulationCountsSchema, {
    total: BigInt(total),
    read: BigInt(counts.read),
    judged: BigInt(counts.judged),
    sampledOut: BigInt(counts.sampledOut),
    recorded: toWireClassCounts(counts.recorded),
    base: counts.base === null ? [] : toWireClassCounts(counts.base),
    observed: BigInt(counts.observed),
    ...seen(counts),
  });
}

export function toWireGroup(group: SimulationGroup): WireGroup {
  const { flow, answer } = group.example;
  const example = create(SimulationExampleSchema, {
    flow: toWireFlow(flow),
    fromKey: answer.fromKey ?? "",
    toKey: answer.toKey ?? "",
  });
  if (answer.verdict !== null) {
    example.direction = toWireDirection(answer.direction);
    example.decision = toWireDecision(answer.decision, answer.direction);
  }
  return create(SimulationGroupSchema, {
    recordedClass: CLASSES[group.recordedClass],
    baseClass: group.baseClass === null ? WireClass.UNSPECIFIED : CLASSES[group.baseClass],
    reason: group.reason === null ? WireReason.UNSPECIFIED : REASONS[group.reason],
    from: group.from,
    to: group.to,
    protocol: group.protocol,
    port: group.port,
    flows: BigInt(group.flows),
    ends: BigInt(group.ends),
    example,
    ...seen(group),
  });
}

function seen({ firstSeenMs, lastSeenMs }: Pick<SimulationCounts, "firstSeenMs" | "lastSeenMs">) {
  if (firstSeenMs === null || lastSeenMs === null) return {};
  return { firstSeen: timestampFromMs(firstSeenMs), lastSeen: timestampFromMs(lastSeenMs) };
}

function toWireFlow(flow: RecordedFlow): Flow {
  const verdict = (value: RecordedFlow["verdict"]) =>
    value === "allow" ? Verdict.ALLOW : value === "deny" ? Verdict.DENY : Verdict.UNSPECIFIED;
  return create(FlowSchema, {
    host: flow.host,
    kind: KINDS[flow.kind],
    direction: flow.direction === null ? Direction.UNSPECIFIED : toWireDirection(flow.direction),
    protocol: flow.protocol,
    sourceAddress: flow.sourceAddress,
    destinationAddress: flow.destinationAddress,
    destinationPort: flow.port,
    verdict: verdict(flow.verdict),
    enforced: verdict(flow.enforced),
    subjectKey: flow.subjectKey,
    ...(flow.timeMs === null ? {} : { time: timestampFromMs(flow.timeMs) }),
  });
}
