/** What every rpc needs, in one table. A method without an entry is refused. */
import type { DescMethod } from "@bufbuild/protobuf";
import { Role } from "@wardline/api/wardline/v1/host";

export interface MethodRule {
  /** Lowest role that may call it. */
  readonly role: Role;
  /** A mutating call: refusals go to the audit log under this name. */
  readonly audit: string | null;
  /** `null` for streams, which end when the reader leaves. */
  readonly deadlineMs: number | null;
  /** Its request may hold whole policies or documents. */
  readonly isLarge?: true;
}

const read = { role: Role.VIEWER, audit: null, deadlineMs: 10_000 } as const;
const watch = { role: Role.VIEWER, audit: null, deadlineMs: null } as const;
/** Ends at the leader, which may be another host: time for the way there, the store, and an election in between. */
const CLUSTER_WRITE_MS = 30_000;
const clusterWrite = (audit: string) => ({ role: Role.OPERATOR, audit, deadlineMs: CLUSTER_WRITE_MS });
/** Who belongs to the cluster, and where it keeps what it agreed on. */
const clusterAdmin = (audit: string, deadlineMs = CLUSTER_WRITE_MS) => ({ role: Role.ADMIN, audit, deadlineMs });
/** Starts or ends services of the agent and waits for the store, which may be new. */
const CLUSTER_CHANGE_MS = 120_000;
/** Looks at everything that the journal has. */
const TRAIN_MS = 600_000;

export const METHOD_RULES: ReadonlyMap<string, MethodRule> = new Map<string, MethodRule>([
  ["wardline.agent.v1.AgentService/Handshake", read],
  ["wardline.agent.v1.AgentService/GetStatus", read],
  ["wardline.agent.v1.AgentService/WatchStatus", watch],
  ["wardline.agent.v1.AgentService/GetEnforcedState", read],
  ["wardline.agent.v1.AgentService/Check", { ...read, deadlineMs: 30_000, isLarge: true }],
  ["wardline.agent.v1.AgentService/Apply", { role: Role.OPERATOR, audit: "apply", deadlineMs: 60_000, isLarge: true }],
  ["wardline.agent.v1.AgentService/Confirm", { role: Role.OPERATOR, audit: "confirm", deadlineMs: 15_000 }],
  ["wardline.agent.v1.AgentService/Rollback", { role: Role.OPERATOR, audit: "rollback", deadlineMs: 30_000 }],
  ["wardline.agent.v1.AgentService/SetEmergency", { role: Role.OPERATOR, audit: "emergency", deadlineMs: 10_000 }],
  ["wardline.agent.v1.AgentService/SetQuarantine", { role: Role.OPERATOR, audit: "quarantine", deadlineMs: 30_000 }],
  ["wardline.agent.v1.AgentService/WatchFlows", watch],
  ["wardline.agent.v1.AgentService/ListAudit", { ...read, deadlineMs: 30_000 }],
  ["wardline.agent.v1.AgentService/Release", { role: Role.ADMIN, audit: "release", deadlineMs: 30_000 }],
  ["wardline.agent.v1.ClusterService/GetCluster", read],
  ["wardline.agent.v1.ClusterService/WatchCluster", watch],
  ["wardline.agent.v1.ClusterService/InitCluster", clusterAdmin("cluster.init", CLUSTER_CHANGE_MS)],
  ["wardline.agent.v1.ClusterService/CreateJoinToken", clusterAdmin("cluster.token")],
  ["wardline.agent.v1.ClusterService/JoinCluster", clusterAdmin("cluster.join", CLUSTER_CHANGE_MS)],
  ["wardline.agent.v1.ClusterService/LeaveCluster", clusterAdmin("cluster.leave", CLUSTER_CHANGE_MS)],
  ["wardline.agent.v1.ClusterService/RemoveMember", clusterAdmin("cluster.remove")],
  ["wardline.agent.v1.ClusterService/ResignLeadership", clusterAdmin("cluster.resign")],
  ["wardline.agent.v1.ClusterService/TestStore", clusterAdmin("cluster.store.test")],
  ["wardline.agent.v1.ClusterService/SetStore", clusterAdmin("cluster.store", CLUSTER_CHANGE_MS)],
  ["wardline.agent.v1.ClusterService/IssueCertificate", clusterAdmin("cluster.certificate")],
  ["wardline.agent.v1.ClusterService/ListDocuments", { ...read, deadlineMs: 30_000 }],
  ["wardline.agent.v1.ClusterService/GetDocument", read],
  ["wardline.agent.v1.ClusterService/ListDocumentHistory", read],
  ["wardline.agent.v1.ClusterService/WatchDocuments", watch],
  ["wardline.agent.v1.ClusterService/ListSets", read],
  [
    "wardline.agent.v1.ClusterService/WriteDocuments",
    { ...clusterWrite("documents.write"), deadlineMs: 60_000, isLarge: true },
  ],
  ["wardline.agent.v1.ClusterService/RollbackDocuments", { ...clusterWrite("documents.rollback"), deadlineMs: 60_000 }],
  ["wardline.agent.v1.ClusterService/ConfirmSet", clusterWrite("documents.confirm")],
  ["wardline.agent.v1.ClusterService/RegisterService", clusterWrite("discovery.register")],
  ["wardline.agent.v1.ClusterService/DeregisterService", clusterWrite("discovery.deregister")],
  ["wardline.agent.v1.ClusterService/ListServices", read],
  ["wardline.agent.v1.ClusterService/Resolve", read],
  ["wardline.agent.v1.ClusterService/WatchEndpoints", watch],
  ["wardline.agent.v1.ClusterService/WatchNotes", watch],
  ["wardline.agent.v1.ClusterService/PushNotes", clusterWrite("notes.push")],
  ["wardline.agent.v1.AnomalyService/ListFindings", read],
  ["wardline.agent.v1.AnomalyService/WatchFindings", watch],
  ["wardline.agent.v1.AnomalyService/GetFinding", read],
  ["wardline.agent.v1.AnomalyService/GetModel", read],
  ["wardline.agent.v1.AnomalyService/Train", { role: Role.OPERATOR, audit: "anomaly.train", deadlineMs: TRAIN_MS }],
  [
    "wardline.agent.v1.AnomalyService/GiveFeedback",
    { role: Role.OPERATOR, audit: "anomaly.feedback", deadlineMs: 30_000 },
  ],
  ["wardline.agent.v1.AnomalyService/Configure", { role: Role.ADMIN, audit: "anomaly.configure", deadlineMs: 30_000 }],
  ["wardline.agent.v1.MeshService/GetMesh", read],
  ["wardline.agent.v1.MeshService/WatchMesh", watch],
  ["wardline.agent.v1.MeshService/AddPeer", { role: Role.OPERATOR, audit: "mesh.peer.add", deadlineMs: 30_000 }],
  ["wardline.agent.v1.MeshService/RemovePeer", { role: Role.OPERATOR, audit: "mesh.peer.remove", deadlineMs: 30_000 }],
  ["wardline.agent.v1.MeshService/DecideHealing", clusterWrite("mesh.heal.decide")],
  ["wardline.agent.v1.MeshService/ConfigureHealing", clusterAdmin("mesh.heal.configure")],
  ["wardline.agent.v1.MeshService/ResetHealingKnowledge", clusterAdmin("mesh.heal.forget")],
  ["wardline.agent.v1.RecordService/ReadRecords", watch],
  ["wardline.agent.v1.RecordService/GetJournal", read],
  ["grpc.health.v1.Health/Check", read],
  ["grpc.health.v1.Health/Watch", watch],
]);

export function methodName(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}
