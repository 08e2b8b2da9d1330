import {
  FlowClass,
  type FlowClassCount,
  type SimulatePoliciesResponse,
  type SimulationCounts,
  type SimulationDone,
  type SimulationGroup,
  UnmatchedReason,
} from "@wardline/api/wardline/console/v1/policies";
import type { VerdictShape } from "../../../ui/index.ts";

export interface SimulationState {
  readonly counts: SimulationCounts | null;
  readonly groups: readonly SimulationGroup[];
  readonly done: SimulationDone | null;
}

export const EMPTY_SIMULATION: SimulationState = { counts: null, groups: [], done: null };

export function reduceSimulation(state: SimulationState, { event }: SimulatePoliciesResponse): SimulationState {
  switch (event.case) {
    case "progress":
      return { ...state, counts: event.value };
    case "groups":
      return { ...state, groups: [...state.groups, ...event.value.groups] };
    case "done":
      return { ...state, counts: event.value.counts ?? state.counts, done: event.value };
    default:
      return state;
  }
}

export const CLASSES: readonly {
  readonly value: FlowClass;
  readonly name: string;
  readonly shape: VerdictShape;
  readonly means: string;
}[] = [
  {
    value: FlowClass.NEWLY_BLOCKED,
    name: "Newly blocked",
    shape: "deny",
    means: "Passed when it was recorded; the draft denies it.",
  },
  {
    value: FlowClass.NEWLY_ALLOWED,
    name: "Newly allowed",
    shape: "allow",
    means: "Was denied when it was recorded; the draft lets it pass.",
  },
  {
    value: FlowClass.UNMATCHED,
    name: "Unmatched",
    shape: "unknown",
    means: "There is no answer: the ends are unknown, or the record does not say what happened.",
  },
  { value: FlowClass.STAYS_ALLOWED, name: "Still allowed", shape: "allow", means: "Passed, and would pass." },
  { value: FlowClass.STILL_BLOCKED, name: "Still blocked", shape: "deny", means: "Was denied, and would be." },
];

export function flowsOf(counts: readonly FlowClassCount[], wanted: FlowClass): bigint {
  return counts.find((one) => one.class === wanted)?.flows ?? 0n;
}

export const UNMATCHED_WORDS: Record<UnmatchedReason, string> = {
  [UnmatchedReason.UNSPECIFIED]: "no answer",
  [UnmatchedReason.ENDS_UNKNOWN]: "neither end is in the inventory, so no policy is asked",
  [UnmatchedReason.SEVERAL_ENDPOINTS]: "several endpoints have the address, and the policies treat them differently",
  [UnmatchedReason.MIXED_FAMILIES]: "the addresses are not of one family",
  [UnmatchedReason.NO_RECORDED_VERDICT]: "the record does not say what happened",
};
