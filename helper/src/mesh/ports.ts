/** How the parts of the mesh on a host see each other. Each is built with what it needs of these, and tested with that. */

import type { HealingDecision } from "@wardline/api/wardline/agent/v1/mesh";
import type { Role } from "@wardline/api/wardline/v1/host";
import type {
  HealingAction,
  HealingKnowledge,
  HealingOutcome,
  HealingRun,
  HealingSettings,
  MeshObservation,
  MeshProbe,
  MeshProvider,
  MeshProviderReport,
} from "@wardline/api/wardline/v1/mesh";
import type { Accept } from "../generations/controllerTypes.ts";

export interface PeerAddress {
  /** May hold a password in its query: never stored, logged or told but through `shownUri`. */
  readonly uri: string;
  /** Empty = any. */
  readonly interfaceName: string;
}

/** One mesh on this host. Every call is bounded in time and size by the adapter itself. */
export interface MeshProviderAdapter {
  readonly provider: MeshProvider;
  /** Never rejects: what is wrong is in the report's state and detail. A signal that ends is silence of the daemon. */
  read(signal: AbortSignal): Promise<MeshProviderReport>;
  /** Calls back when it saw something by itself that the next report will say. For as long as it lives. */
  onNews?(watcher: () => void): void;
  /** Throws `Failure`: INVALID_ARGUMENT, UNSUPPORTED, UNAVAILABLE, DEADLINE_EXCEEDED. */
  addPeer?(peer: PeerAddress, signal: AbortSignal): Promise<void>;
  removePeer?(peer: PeerAddress, signal: AbortSignal): Promise<void>;
  /** By the host's service manager. Resolves when that says it runs. */
  restartDaemon?(signal: AbortSignal): Promise<void>;
  /** Makes the mesh choose its gateway anew. */
  reselectGateway?(signal: AbortSignal): Promise<void>;
  /** A peer as the daemon was given it, with what is not shown; `null` = none of that shown URI is known. */
  configuredPeer?(shownUri: string): Promise<PeerAddress | null>;
  /** Why a peer cannot be taken away for good while the daemon runs, a sentence; empty = it can. */
  removalProblem?(shownUri: string): Promise<string>;
  /** What is being written is on disk when it resolves. Never rejects. */
  close?(): Promise<void>;
}

export interface ProbeTarget {
  readonly host: string;
  readonly address: string;
  readonly provider: MeshProvider;
  /** For handshakes where echoes are refused; absent = only echoes. */
  readonly tcpPort?: number;
}

export interface ProbeView {
  setTargets(targets: readonly ProbeTarget[]): void;
  results(): readonly MeshProbe[];
  /** Called when a target became reachable, unreachable or lossy, or is lossy no longer. Returns the unsubscriber. */
  onChange(listener: () => void): () => void;
}

/** What this host sees, newest. */
export interface MeshView {
  observation(): MeshObservation;
  /** Called at once on a change of state (provider, peer up or down, reachability), and at most every 10 s on figures. */
  onChange(listener: (kind: "state" | "figures") => void): () => void;
}

/** One thing to be done on this host, for a run. */
export interface HealingOrder {
  /** Unique: `RUN/NUMBER`. Executed at most once, also across a restart of the agent. */
  readonly id: string;
  readonly runId: string;
  readonly action: HealingAction;
  readonly target: string;
  readonly provider: MeshProvider;
  /** Of peers; empty otherwise. */
  readonly peerUri: string;
  /** Of the coordinator's leadership; 0 outside of a cluster. An order of an older term than one that was seen is refused. */
  readonly term: bigint;
  readonly dryRun: boolean;
  /** Wall clock; an order that is older is refused. */
  readonly expiresAtMs: number;
  /** For the audit log: `the loop`, or a person. */
  readonly approvedBy: string;
}

export interface HealingReceipt {
  readonly orderId: string;
  readonly outcome: HealingOutcome;
  readonly sentence: string;
  readonly evidence: readonly string[];
  readonly atMs: number;
}

/** Carries out orders on this host: serial per target, at most once per id, audited. Never rejects. */
export interface HealingExecutor {
  execute(order: HealingOrder, signal: AbortSignal): Promise<HealingReceipt>;
}

/** What the metrics show. Cheap: asked at each scrape. */
export interface MeshFigures {
  readonly observation: MeshObservation;
  /** This host decides on healing: the leader of a cluster, or a host that is in none. */
  readonly coordinates: boolean;
  /** Those that are kept, in any order. A run is counted by its own coordinator. */
  readonly runs: readonly HealingRun[];
}

/** Who asks, as the audit log and the records of healing name him. */
export interface MeshAsker {
  /** `alice (1000) on a`. */
  readonly actor: string;
  readonly role: Role;
}

export interface HealingDecisionRequest {
  readonly runId: string;
  readonly decision: HealingDecision.APPROVE | HealingDecision.STOP;
  /** From 0; `null` = the first that is not held back. */
  readonly candidate: number | null;
  readonly reason: string;
}

/** What the wire shows of healing: of the loop on this host, or of that of the cluster. Requests come checked for their bounds. */
export interface HealingAccess {
  /** Newest first, at most 200. */
  runs(): readonly HealingRun[];
  settings(): HealingSettings;
  knowledge(): readonly HealingKnowledge[];
  /** Who decides now; empty = nobody. */
  coordinator(): string;
  /** Why nothing is healed now, a sentence; empty = nothing is in the way. */
  problem(): string;
  /** Each of the three calls `accept` before its first effect and throws `Failure`: NOT_FOUND, CONFLICT, NOT_LEADER, STORE_UNAVAILABLE. */
  decide(request: HealingDecisionRequest, asker: MeshAsker, accept: Accept): Promise<HealingRun>;
  configure(settings: HealingSettings, asker: MeshAsker, accept: Accept): Promise<HealingSettings>;
  resetKnowledge(asker: MeshAsker, accept: Accept): Promise<void>;
  /** Called with the ids of runs that came or changed; empty = settings, knowledge, coordinator or problem. Returns the unsubscriber. */
  onChange(listener: (runIds: readonly string[]) => void): () => void;
}

/** How an adapter comes to be: looked for cheaply, loaded when the mesh is there. */
export interface MeshProviderPlan {
  readonly provider: MeshProvider;
  /** Looks at files only. False = ABSENT. Asked every 10 s. */
  isPresent(): boolean;
  load(): Promise<MeshProviderAdapter>;
}
