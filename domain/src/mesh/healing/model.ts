/**
 * What the healing of faults works with. Everything here is plain data (JSON without loss), so that a new leader, or an agent
 * after a restart, goes on with what another one wrote down. Times are milliseconds since 1970 on the clock of who decides.
 */
import type { MemberState } from "@wardline/api/wardline/v1/cluster";
import {
  HealingAction,
  HealingMode,
  HealingOutcome,
  HealingPhase,
  HealingState,
  MeshFault,
  type MeshObservation,
  MeshProvider,
} from "@wardline/api/wardline/v1/mesh";

export { HealingAction, HealingMode, HealingOutcome, HealingPhase, HealingState, MeshFault, MeshProvider };

export interface HealingSettings {
  readonly mode: HealingMode;
  /** Never taken without a person, whatever the mode. */
  readonly askBefore: readonly HealingAction[];
  /** How long a symptom has to be gone. */
  readonly holdMs: number;
  /** Over all targets. */
  readonly actionsPerHour: number;
  /** Between two actions on one target. */
  readonly cooldownMs: number;
}

export const USUAL_HEALING_SETTINGS: HealingSettings = {
  mode: HealingMode.SUGGEST,
  askBefore: [],
  holdMs: 5_000,
  actionsPerHour: 12,
  cooldownMs: 60_000,
};

/** Whose faults are decided on: those of all hosts, or only what belongs to one (its daemons, peers that it dials). */
export type HealingScope = { readonly kind: "cluster" } | { readonly kind: "host"; readonly host: string };

export interface HealingHost {
  readonly host: string;
  /** Newest; `null` = never heard. */
  readonly observation: MeshObservation | null;
  /** When it came, on the clock of who decides. */
  readonly receivedAtMs: number;
  /** As the cluster's membership has it; absent = outside of a cluster. */
  readonly member?: MemberState;
  /** Meshes over which the console or the cluster reaches this host, as far as known. */
  readonly carriers?: readonly MeshProvider[];
}

export interface HealingStoreMember {
  /** `https://192.0.2.1:2379`, or a name. */
  readonly endpoint: string;
  /** The host that it runs on; empty = not known. */
  readonly host: string;
  readonly isUp: boolean;
  /** A sentence; may be empty. */
  readonly detail: string;
}

/** All that is known now. A host that is missing is in no way anybody's business (it was removed). */
export interface HealingWorld {
  readonly hosts: readonly HealingHost[];
  readonly storeMembers?: readonly HealingStoreMember[];
  /** Why nothing may be done now (no majority, no store), a sentence; empty or absent = nothing is in the way. */
  readonly obstacle?: string;
}

export interface HealingPrecondition {
  readonly sentence: string;
  readonly holds: boolean;
}

export interface HealingCandidate {
  readonly action: HealingAction;
  /** Who would do it. */
  readonly host: string;
  readonly provider: MeshProvider;
  /** Without query and user; empty unless it is about a peer. */
  readonly peerUri: string;
  readonly gatewayKey: string;
  readonly blastRadius: string;
  readonly preconditions: readonly HealingPrecondition[];
  /** Of verified outcomes; `null` = never tried. */
  readonly successRate: number | null;
  readonly tried: number;
  /** Why it is not tried now; empty = it may be. */
  readonly heldBack: string;
}

export interface HealingStep {
  readonly atMs: number;
  readonly phase: HealingPhase;
  readonly sentence: string;
  readonly action: HealingAction;
  readonly host: string;
  readonly outcome: HealingOutcome;
  readonly evidence: readonly string[];
  readonly isDryRun: boolean;
}

/** One thing that a host was told to do for a run. */
export interface SentOrder {
  /** `RUN/NUMBER`. */
  readonly id: string;
  /** What the run was about then; it may be about something else now. Absent = it was written down without. */
  readonly target?: string;
  readonly action: HealingAction;
  readonly host: string;
  readonly provider: MeshProvider;
  readonly peerUri: string;
  readonly gatewayKey: string;
  /** Decimal digits. */
  readonly term: string;
  readonly sentAtMs: number;
  readonly expiresAtMs: number;
  readonly approvedBy: string;
  readonly isDryRun: boolean;
  /** Takes back what another order did. */
  readonly isRollback: boolean;
  /** UNSPECIFIED = no receipt yet. */
  readonly outcome: HealingOutcome;
  /** 0 = no receipt yet. */
  readonly answeredAtMs: number;
  /** What verification said of it; `null` = not verified (yet). */
  readonly isHealed: boolean | null;
}

/** An end of a link as the host that dials it sees it: which URI, which key it had when it was up. */
export interface DialledPeer {
  readonly host: string;
  readonly provider: MeshProvider;
  readonly uri: string;
  readonly key: string;
}

/** What the loop needs to go on with a run, beyond what people see of it. */
export interface RunWork {
  readonly provider: MeshProvider;
  readonly orders: readonly SentOrder[];
  /** Since when the symptom is gone without a break; `null` = it is there, or nobody can tell. */
  readonly clearSinceMs: number | null;
  /** End of the time that an action has to show its effect; 0 = nothing is verified. */
  readonly verifyUntilMs: number;
  /** A candidate that a person chose and that was not sent yet. */
  readonly approval: HealingApproval | null;
  /** Hosts whose observations carry the symptom: they have to be heard from before it counts as gone. */
  readonly observers: readonly string[];
  /** Keys of the symptoms that it explains. */
  readonly symptoms: readonly string[];
  readonly peers: readonly DialledPeer[];
  /** A person stopped it: the same symptoms are no new run until they were gone. */
  readonly isMuted: boolean;
  /** What holds it back, as told in the last step; so that it is told once. */
  readonly told: string;
  /** Evidence as it was told last. */
  readonly evidence: readonly string[];
}

export interface HealingApproval {
  readonly candidate: HealingCandidate;
  readonly by: string;
  readonly reason: string;
  readonly atMs: number;
}

/** One fault from its first symptom to its end. */
export interface HealingRun {
  readonly id: string;
  readonly fault: MeshFault;
  /** No two open runs have the same one. */
  readonly target: string;
  readonly cause: string;
  /** 0 to 1. */
  readonly confidence: number;
  readonly hosts: readonly string[];
  readonly mode: HealingMode;
  readonly state: HealingState;
  readonly candidates: readonly HealingCandidate[];
  /** The oldest first, at most `MAX_STEPS`. */
  readonly steps: readonly HealingStep[];
  readonly firstSymptomAtMs: number;
  readonly detectedAtMs: number;
  /** `null` = open. */
  readonly endedAtMs: number | null;
  /** Only of HEALED. */
  readonly timeToRepairMs: number | null;
  readonly approvedBy: string;
  /** Decimal digits; `0` = outside of a cluster. */
  readonly term: string;
  readonly coordinator: string;
}

export interface KeptRun extends HealingRun {
  readonly work: RunWork;
}

export interface KnowledgeEntry {
  readonly fault: MeshFault;
  readonly action: HealingAction;
  readonly tried: number;
  readonly healed: number;
  /** Of the healed ones, the newest last; at most `MAX_REPAIR_TIMES`. */
  readonly repairTimesMs: readonly number[];
}

/** An order as it goes to a host. Has the shape of `HealingOrder` of the agent, and the host. */
export interface PlannedOrder {
  readonly id: string;
  readonly runId: string;
  readonly action: HealingAction;
  readonly target: string;
  readonly provider: MeshProvider;
  readonly peerUri: string;
  readonly term: bigint;
  readonly dryRun: boolean;
  readonly expiresAtMs: number;
  readonly approvedBy: string;
  readonly host: string;
}

export interface OrderReceipt {
  readonly orderId: string;
  readonly outcome: HealingOutcome;
  readonly sentence: string;
  readonly evidence: readonly string[];
  readonly atMs: number;
}

/**
 * What a call changed. Whoever runs the loop first writes `runs` down and sends `orders` after that: an order that is not
 * in a kept run would not be known to whoever goes on.
 */
export interface HealingChange {
  readonly orders: readonly PlannedOrder[];
  /** Whole, newest state. */
  readonly runs: readonly KeptRun[];
  /** Ids of runs that are not kept any more. */
  readonly dropped: readonly string[];
  readonly isKnowledgeChanged: boolean;
  readonly isSettingsChanged: boolean;
}

export const MAX_RUNS = 200;
export const MAX_STEPS = 100;
export const MAX_EVIDENCE = 20;
export const MAX_CANDIDATES = 8;
export const MAX_REPAIR_TIMES = 32;
export const THE_LOOP = "the loop";
