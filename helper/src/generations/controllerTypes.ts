/** What the commit-confirm controller takes and gives. */
import type { SourceFile } from "@wardline/domain/policy";
import type { Clock } from "../agent/clock.ts";
import type { Circumstances, Dependencies } from "../agent/policyEngine.ts";
import type { EnforcementMode } from "../enforce/enforcer.ts";
import type { GenerationRecord } from "./records.ts";
import type { StateStore } from "./stateStore.ts";
import type { SwitchPorts } from "./switching.ts";

export interface Caller {
  readonly actor: string;
  /** Order in which connections were accepted: a connection is younger than a flip when its number is higher. */
  readonly connectionOrder: number;
}

/** Called once when nothing can refuse the change any more and before its first effect. Throws to stop it. */
export type Accept = (options?: { readonly evenWhenUnrecorded: boolean }) => Promise<void>;

export interface ControllerPorts extends SwitchPorts {
  readonly store: StateStore;
  readonly clock: Clock;
  readonly bootId: string;
  /** Number of the newest connection. */
  readonly newestConnection: () => number;
  /** How things stand now for policies that depend on it. Takes a few seconds at most; a name without answer is absent. */
  readonly circumstances: (
    dependencies: Dependencies,
    options: CircumstancesOptions,
  ) => Promise<Pick<Circumstances, "domainAddresses">>;
  /** What the cluster knows of members and services now; nothing without a cluster. */
  readonly discovered?: () => Circumstances["discovered"];
  /** Something that the agent did by itself. Must not throw. */
  readonly recordAutomatic: (action: string, detail: string) => void;
  /** After each apply that reached the datapath. Must not throw. */
  readonly onApplied?: (timings: ApplyOutcome["timings"]) => void;
  /** What becomes of a host that was enforcing and cannot be brought to its last state. `closed` unless given. */
  readonly onStartFailure?: StartFailure;
  /** Called between the steps of a change. For tests that end the process there. */
  readonly checkpoint?: (step: Checkpoint) => void;
}

export interface CircumstancesOptions {
  /** What is known now: nothing is waited for. */
  readonly atOnce: boolean;
}

export type StartFailure = "closed" | "open";

/** The places where a change of generation can be cut in two. */
export const CHECKPOINTS = [
  "prepared",
  "recorded",
  "flipped",
  "confirm-recorded",
  "confirmed",
  "quiet-flipped",
] as const;
export type Checkpoint = (typeof CHECKPOINTS)[number];

export interface ApplyRequest {
  readonly files: readonly SourceFile[];
  readonly mode: EnforcementMode;
  /** Of the plan that a person saw; `null` = the cluster's set, which nobody planned for one host. */
  readonly expectedProgramDigest: string | null;
  /** What the plan was made against; `null` = whatever is enforced. */
  readonly baseGeneration: number | null;
  readonly confirmWithinMs: number;
  readonly reason: string;
}

export interface Pending {
  readonly generation: GenerationRecord;
  readonly previous: GenerationRecord;
  readonly deadlineBootMs: number;
}

export interface ApplyOutcome {
  readonly pending: Pending;
  readonly timings: {
    readonly readUs: number;
    readonly compileUs: number;
    readonly fillUs: number;
    readonly selfTestUs: number;
    readonly flipUs: number;
    readonly totalUs: number;
  };
}
