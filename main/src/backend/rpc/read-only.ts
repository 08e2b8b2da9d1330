/** Read-only mode: what a console that changes nothing still answers. Everything that is not named here is refused. */
import { ErrorCode, Failure } from "@wardline/domain/errors";

const READING = new Set([
  "ActivityService/WatchActivity",
  "AlertService/BacktestRule",
  "AlertService/ListAlertHistory",
  "AnomalyService/Backtest",
  "AnomalyService/GetAnomaly",
  "AnomalyService/SearchAnomalies",
  "AskService/Ask",
  "AskService/Complete",
  "AskService/FindRules",
  "AuditService/ExportAudit",
  "AuditService/ListAudit",
  "AuditService/VerifyAudit",
  "ClusterService/GetDocument",
  "ClusterService/ListDocumentHistory",
  "ClusterService/ListDocuments",
  "ClusterService/ListSets",
  "ClusterService/PlanSync",
  "ClusterService/WatchClusters",
  "ClusterService/WatchNotes",
  "ConfigurationService/ExportConfiguration",
  "ConfigurationService/GetConfigurationKeys",
  "ConfigurationService/GetProposal",
  "ConfigurationService/PreviewConfiguration",
  "ConfigurationService/WatchSource",
  // Answers let connections be made; they change no host.
  "FleetService/AnswerQuestion",
  "FleetService/CheckHost",
  "FleetService/ConnectHost",
  "FleetService/ListCandidates",
  "FleetService/ReadInventory",
  "FleetService/WatchQuestions",
  "FlowActionsService/ProposeRule",
  "FlowActionsService/ProposeTest",
  "FlowService/QueryFlows",
  "FlowService/WatchFlows",
  "HistoryService/CheckQuery",
  "HistoryService/CompareServiceMaps",
  "HistoryService/ExportRecords",
  "HistoryService/GetHistoryStatus",
  "HistoryService/GetSeries",
  "HistoryService/GetServiceMap",
  "HistoryService/GroupRecords",
  "HistoryService/ListSavedQueries",
  "HistoryService/ReadRows",
  "HistoryService/SearchRecords",
  "HostService/GetSession",
  "HostService/WatchHosts",
  "JobService/WatchJobs",
  "MeshService/FindMeshPath",
  "MeshService/GetMeshAt",
  "MeshService/GetMeshOfHost",
  "MeshService/GetMeshSeries",
  "MeshService/ListMeshChanges",
  "MeshService/WatchMesh",
  "PictureService/DraftFor",
  "PictureService/GetEdge",
  "PictureService/GetPicture",
  "PolicyService/Check",
  "PolicyService/Explain",
  "PolicyService/GetFile",
  "PolicyService/GetVersion",
  "PolicyService/ListVersions",
  "PolicyService/PreviewImport",
  "PolicyService/SimulatePolicies",
  "PolicyService/WatchWorkspace",
  "RolloutService/WatchRollouts",
  "SettingsService/GetSettingsFile",
  "SettingsService/WatchSettings",
  "ShipService/ListReceipts",
  "ShipService/Plan",
  // They write nothing; the window saves what it gets.
  "SupportService/DownloadSupportBundle",
  "SupportService/GetSupportFile",
  "SupportService/PreviewSupportBundle",
  "VersionService/CompareVersions",
  "VersionService/GetBlame",
  "VersionService/ReadVersion",
  "VersionService/SearchVersions",
  "VerdictService/ExplainVerdict",
  "VerdictService/FindSuggestions",
  "VerdictService/ListVerdicts",
  "VocabularyService/GetTexts",
  "VocabularyService/GetVocabulary",
]);

/** @param service with its package, as in a path */
export function isReading(service: string, method: string): boolean {
  return READING.has(`${service.slice(service.lastIndexOf(".") + 1)}/${method}`);
}

/** @param service with its package, as in a path. @throws Failure READ_ONLY */
export function requireReading(service: string, method: string): void {
  if (isReading(service, method)) return;
  throw readOnlyFailure();
}

export function readOnlyFailure(): Failure {
  return new Failure({
    code: ErrorCode.READ_ONLY,
    message: "This console is in read-only mode: it changes neither hosts nor policies. Nothing was done.",
    hint: "Start one without --read-only (and without WARDLINE_READ_ONLY) to make changes.",
  });
}
