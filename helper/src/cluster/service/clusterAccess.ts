/** What the service asks of the node. */
import type * as agent from "@wardline/api/wardline/agent/v1/cluster";
import type { ClusterStatus } from "@wardline/api/wardline/v1/cluster";
import type { Accept } from "../../generations/controllerTypes.ts";
import type { DesiredSetApi } from "../desired/types.ts";
import type { ServiceRegistry } from "../discovery/registry.ts";
import type { Resolver } from "../discovery/resolver.ts";
import type { NoteStore } from "../notes/noteStore.ts";
import type { Asker, WriteName, WriteRequest, WriteResponse } from "./writes.ts";

export interface ClusterReads {
  readonly desired: Pick<DesiredSetApi, "list" | "get" | "history" | "sets" | "watch">;
  readonly registry: Pick<ServiceRegistry, "list">;
  readonly resolver: Resolver;
  readonly notes: Pick<NoteStore, "watch">;
  /** Aborted when these parts end, because the host joins, leaves, or changes its store. */
  readonly signal: AbortSignal;
}

/** Requests that come here were checked. Everything throws `Failure`. */
export interface ClusterAccess {
  /** As this node sees it now; asks the store's endpoints when the last answer is old. */
  status(): Promise<ClusterStatus>;
  /** Called after each change of the status. Returns the unsubscriber. */
  onChange(listener: () => void): () => void;
  /** `null` = this host is alone and nothing was ever written here. */
  reads(): Promise<ClusterReads | null>;
  initCluster(request: agent.InitClusterRequest, asker: Asker, accept: Accept): Promise<void>;
  joinCluster(request: agent.JoinClusterRequest, asker: Asker, accept: Accept): Promise<void>;
  /** Resolves with sentences about what could not be done in the cluster. */
  leaveCluster(request: agent.LeaveClusterRequest, asker: Asker, accept: Accept): Promise<readonly string[]>;
  testStore(request: agent.TestStoreRequest, accept: Accept): Promise<agent.TestStoreResponse>;
  /** Here when this node leads, by the leader when this node is a candidate, refused with NOT_LEADER otherwise. */
  perform<Name extends WriteName>(
    name: Name,
    request: WriteRequest<Name>,
    asker: Asker,
    accept: Accept,
  ): Promise<WriteResponse<Name>>;
}
