/**
 * The desired set, from the store to the kernel, in three parts that a node puts together:
 *
 *     new DesiredReplica({ store, keys, clock, log })          what this node knows of the set; every node has one
 *     new DesiredSet({ store, keys, replica, leadership, clock, log })   reads anywhere, writes at the leader; `duties()`
 *     new Reconciler({ store, keys, replica, controller, … })  puts the set into force on this host
 *
 * Each has `start()` and `close()`; start the replica first and close it last. All three follow a change of the store by
 * being made anew.
 */
import type * as agent from "@wardline/api/wardline/agent/v1/cluster";
import type { DesiredHead, DocumentVersion, SyncReport } from "@wardline/api/wardline/v1/cluster";
import type { SourceFile } from "@wardline/domain/policy";
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import type { GenerationController } from "../../generations/controller.ts";
import type { Keys } from "../keys.ts";
import type { LeaderDuty, LeadershipView } from "../ports.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import type { DesiredReplica } from "./desiredReplica.ts";

/** The whole set at one head. Never changed: each change makes a new one. */
export interface DesiredState {
  /** `null` = nothing was ever written. */
  readonly head: DesiredHead | null;
  /** Of the head's key; 0 = there is none. */
  readonly headRevision: bigint;
  /** Newest versions by key, tombstones included. */
  readonly documents: ReadonlyMap<string, DocumentVersion>;
  /** Last versions of documents whose tombstones are gone, by key: numbering goes on from there. */
  readonly retired: ReadonlyMap<string, DocumentVersion>;
  /** Revision of the store up to which everything was seen. */
  readonly revision: bigint;
}

export interface ReplicaPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What a node knows of the desired set, kept up to date by a watch. */
export interface DesiredReplicaView {
  /** `null` until it was read for the first time. */
  readonly state: DesiredState | null;
  /** False while the store does not answer: `state` may be old. */
  readonly inTouch: boolean;
  /** Wall clock of the last moment at which `state` was known to be the newest; 0 = never. */
  readonly readAtMs: number;
  /** Called after each change of the three above. Returns the unsubscriber. */
  onChange(listener: () => void): () => void;
}

export interface DesiredSetPorts extends ReplicaPorts {
  readonly replica: DesiredReplicaView & Pick<DesiredReplica, "atLeast" | "overlay">;
  readonly leadership: LeadershipView;
  /** For tests that end a write there. */
  readonly checkpoint?: (step: WriteCheckpoint) => void | Promise<void>;
}

/** The places where a write can be cut in two. */
export const WRITE_CHECKPOINTS = ["piece-staged", "staged", "committed", "part-settled", "settled"] as const;
export type WriteCheckpoint = (typeof WRITE_CHECKPOINTS)[number];

/** Who asks for a write, as the agent's socket or the peer link knows it: `alice (uid 1000) on a`. */
export interface Author {
  readonly actor: string;
}

/** Everything throws `Failure`. What the leader alone may do throws NOT_LEADER elsewhere. */
export interface DesiredSetApi {
  list(request: agent.ListDocumentsRequest): Promise<agent.ListDocumentsResponse>;
  get(request: agent.GetDocumentRequest): Promise<agent.GetDocumentResponse>;
  history(request: agent.ListDocumentHistoryRequest): Promise<agent.ListDocumentHistoryResponse>;
  sets(request: agent.ListSetsRequest): Promise<agent.ListSetsResponse>;
  watch(request: agent.WatchDocumentsRequest, signal: AbortSignal): AsyncIterable<agent.WatchDocumentsResponse>;
  /** Leader. */
  write(request: agent.WriteDocumentsRequest, author: Author): Promise<agent.WriteDocumentsResponse>;
  /** Leader. */
  rollback(request: agent.RollbackDocumentsRequest, author: Author): Promise<agent.RollbackDocumentsResponse>;
  /** Leader. */
  confirm(request: agent.ConfirmSetRequest, author: Author): Promise<agent.ConfirmSetResponse>;
  /** To be run by whoever leads: what a crash left half done, deadlines of pending sets, pruning. */
  duties(): readonly LeaderDuty[];
  /** The files that a host enforces, ordered by key. */
  files(state: DesiredState): readonly SourceFile[];
}

export interface ReconcilerPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly replica: DesiredReplicaView;
  readonly controller: Pick<
    GenerationController,
    "apply" | "confirm" | "rollback" | "enforced" | "pending" | "problems" | "onChange" | "lastLeft"
  >;
  readonly engine: { stateDigest(files: readonly SourceFile[]): string };
  readonly clock: Clock;
  readonly log: Logger;
  readonly hostName: string;
  /** The agent's state directory; its record is `cluster/desired.json` in it. */
  readonly stateDir: string;
  /**
   * Opens a new connection to the store and reads the head over it, in a few seconds at most. Throws when it cannot. For the
   * embedded store: a plain read.
   */
  readonly freshProof: (signal: AbortSignal) => Promise<DesiredHead | null>;
  /** Something that the host did because the cluster says so, for its audit log. Must not throw. */
  readonly recordAutomatic: (action: string, detail: string) => void;
  /** Whether the host's name is this process's now: another machine with a copy of its identity reports nothing. Always unless given. */
  readonly mayReport?: () => boolean;
  /** How long a host waits for the proof that a confirmed set does not cut it off. 15 s unless given, 5 s at least. */
  readonly safetyDeadlineMs?: number;
  /** For tests that end the process there. */
  readonly checkpoint?: (step: ReconcileCheckpoint) => void | Promise<void>;
}

export const RECONCILE_CHECKPOINTS = ["seen", "applied", "proven", "kept", "recorded"] as const;
export type ReconcileCheckpoint = (typeof RECONCILE_CHECKPOINTS)[number];

/** The agent's side. */
export interface ReconcilerApi {
  /** Reads its record and follows the replica from now on. */
  start(): Promise<void>;
  close(): Promise<void>;
  /** What this host made of the set, cut off or not. */
  readonly report: SyncReport;
  onChange(listener: () => void): () => void;
  /** True from the first set on, also while the store cannot be reached: then `Apply` is refused FOLLOWS_CLUSTER. */
  followsCluster(): boolean;
}
