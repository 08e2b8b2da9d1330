export { likeRecord, queryAsCli, recordAsCli, recordAsNft, recordAsYaml } from "./copy-as.ts";
export {
  completeFlowQuery,
  type KnownValues,
  NOTHING_KNOWN,
  type QueryCompletion,
} from "./language/complete.ts";
export { FLOW_QUERY_DIAGNOSTICS, type FlowQueryCode } from "./language/diagnostics.ts";
export { FIELDS, type FieldInfo } from "./language/fields.ts";
export { formatFlowQuery, formatMoment } from "./language/format.ts";
export {
  MAX_QUERY_DEPTH,
  MAX_QUERY_LENGTH,
  MAX_QUERY_VALUES,
  type ParsedFlowQuery,
  parseFlowQuery,
} from "./language/parse.ts";
export { protocolName, protocolNumber } from "./language/protocols.ts";
export { formatValue } from "./language/quoting.ts";
export { type MomentFields, utcMoment } from "./language/times.ts";
export { asksLabels, connectionKey, connectionsThat, flowMatcher, recordOfFlow } from "./live.ts";
export { buildServiceMap, buildServiceMaps, type MapOptions } from "./map/build.ts";
export { compareServiceMaps, type MapChange, type MapChangeKind, type MapOfWindow, totalOfMap } from "./map/compare.ts";
export { type CountedTalk, countTalks } from "./map/counted.ts";
export type { MapInventory } from "./map/ends.ts";
export {
  type FlowSums,
  MAX_PORTS_OF_PAIR,
  type MapEdge,
  type MapGrouping,
  type MapNode,
  type MapNodeKind,
  type MapSums,
  plusSums,
  type ServiceMap,
  weightOfEdge,
} from "./map/model.ts";
export {
  foldCase,
  hasPorts,
  isKnownProcess,
  type LabelResolver,
  matchesNode,
  matchesPattern,
  matchesQuery,
  measureOf,
  NO_LABELS,
  textsOf,
} from "./match.ts";
export * from "./query.ts";
export * from "./record.ts";
export { CSV_COLUMNS, recordCsvHeader, recordCsvLine, requireCsvColumns } from "./record-csv.ts";
