/** What the agent keeps on disk about generations. */
import type { SourceFile } from "@wardline/domain/policy";
import { type Circumstances, NO_NAMES, NOTHING_DISCOVERED } from "../agent/policyEngine.ts";
import type { Emergency, EnforcementMode } from "../enforce/enforcer.ts";

export interface GenerationRecord {
  /** From 1; 0 is the state before anything was applied. */
  readonly number: number;
  /** 64 hex digits; empty for generation 0. */
  readonly programDigest: string;
  readonly stateDigest: string;
  readonly mode: EnforcementMode;
  readonly appliedAtMs: number;
  readonly appliedBy: string;
  readonly reason: string;
  readonly policyCount: number;
  readonly ruleCount: number;
}

/** A generation with the desired state it was compiled from. */
export interface StoredGeneration extends GenerationRecord {
  readonly files: readonly SourceFile[];
  readonly circumstances: Circumstances;
}

export interface PendingRecord {
  readonly generation: number;
  /** Kernel's boot id: boot times of another boot mean nothing. */
  readonly bootId: string;
  /** As it was known before the flip: later by what the disk took for this record. Nothing is decided by it. */
  readonly deadlineBootMs: number;
}

/** The emergency brake, pulled. */
export interface EmergencyRecord {
  readonly state: Exclude<Emergency, "none">;
  readonly sinceMs: number;
  /** `agent` when a host that was enforcing could not be brought up; empty when the record of it was lost. */
  readonly actor: string;
  readonly reason: string;
}

/** The one record that says which generation counts. Replaced as a whole. */
export interface StateIndex {
  /** Numbers are never used twice, not even after a rollback. */
  readonly nextGeneration: number;
  readonly confirmed: number;
  /** Kept for a rollback of `confirmed`; `null` when nothing earlier is kept. */
  readonly previous: number | null;
  readonly pending: PendingRecord | null;
  readonly emergency: EmergencyRecord | null;
}

export const EMPTY_INDEX: StateIndex = {
  nextGeneration: 1,
  confirmed: 0,
  previous: null,
  pending: null,
  emergency: null,
};

/** The state before anything was applied: no policies, every packet passes. */
export const GENERATION_ZERO: StoredGeneration = {
  number: 0,
  programDigest: "",
  stateDigest: "",
  mode: "observe",
  appliedAtMs: 0,
  appliedBy: "",
  reason: "",
  policyCount: 0,
  ruleCount: 0,
  files: [],
  circumstances: {
    atUnixMs: 0,
    domainAddresses: NO_NAMES,
    discovered: NOTHING_DISCOVERED,
    quarantines: [],
    observesPolicies: false,
  },
};

/** The mode that the datapath runs a generation in: quarantines are enforced over policies that are only observed. */
export function datapathMode({
  mode,
  circumstances,
}: Pick<StoredGeneration, "mode" | "circumstances">): EnforcementMode {
  return circumstances.quarantines.length > 0 ? "enforce" : mode;
}

export function toRecord(stored: StoredGeneration): GenerationRecord {
  const { files: _files, circumstances: _circumstances, ...record } = stored;
  return record;
}
