export * from "./classes.ts";
export { columnsSince, type FlowColumns } from "./flow-columns.ts";
export { CHURN_LABELS, type GroupOptions, isChurnValue, type LabelGroup, labelGroups } from "./label-groups.ts";
export {
  ColumnBatch,
  type FlowBatch,
  FlowLineReader,
  type LineProblem,
  MAX_LINE_BYTES,
  readFlowLines,
} from "./read-flows.ts";
export type { RecordedFlow } from "./recorded-flow.ts";
export {
  DEFAULT_MAX_GROUPS,
  Simulation,
  type SimulationOptions,
  type SimulationProgress,
  type SimulationRun,
  simulateFlows,
} from "./simulation.ts";
