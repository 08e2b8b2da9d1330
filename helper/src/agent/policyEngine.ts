/** The policy engine as the agent uses it: one seam, so that the agent's own tests need no policy text. */
import type { DiscoveredEndpoint } from "@wardline/domain/cluster";
import type { Diagnostic, HostProgram, PolicyWorld, QuarantineScope, SourceFile } from "@wardline/domain/policy";

export interface ReadState {
  readonly world: PolicyWorld;
  readonly diagnostics: readonly Diagnostic[];
  /** False when there is an error among the diagnostics. */
  readonly ok: boolean;
}

/** What decides how policies are compiled besides their text. Kept with a generation: a restart compiles the same again. */
export interface Circumstances {
  /** Policies that have expired by then are absent. Wall clock. */
  readonly atUnixMs: number;
  /** Canonical addresses by domain name. */
  readonly domainAddresses: ReadonlyMap<string, readonly string[]>;
  /** Members and services of the cluster, by key: what they are is merged into the inventory of the policies. */
  readonly discovered: readonly DiscoveredEndpoint[];
  /** Subjects that are cut off, above all policies. */
  readonly quarantines: readonly QuarantineRecord[];
  /** The generation was applied in observe mode. Counts only with quarantines, which are enforced all the same. */
  readonly observesPolicies: boolean;
}

/** Who is cut off, and by whose word. */
export interface QuarantineRecord extends QuarantineScope {
  readonly sinceMs: number;
  readonly actor: string;
  readonly reason: string;
}

/** What in the policies makes the tables of a host change without anybody applying anything. */
export interface Dependencies {
  /** Ascending; those in the past included. */
  readonly expiriesUnixMs: readonly number[];
  /** Names to look up, lower case, sorted. */
  readonly domainNames: readonly string[];
}

export const NO_NAMES: Circumstances["domainAddresses"] = new Map();
export const NOTHING_DISCOVERED: Circumstances["discovered"] = [];

export interface PolicyEngine {
  /** `errorsOnly`: the same without warnings and notices about what the policies mean together, which take most of the time. */
  read(files: readonly SourceFile[], options?: { readonly errorsOnly?: boolean }): ReadState;
  /** Throws `Failure` (TOO_LARGE, POLICY_UNSUPPORTED) when the world does not fit the tables. */
  compile(world: PolicyWorld, hostName: string, circumstances: Circumstances): HostProgram;
  /**
   * What was discovered counts, because it may give this host labels. Throws `Failure` POLICY_UNSUPPORTED for a name that no
   * host can look up.
   */
  dependencies(world: PolicyWorld, hostName: string, discovered: Circumstances["discovered"]): Dependencies;
  /** 64 hex digits. */
  stateDigest(files: readonly SourceFile[]): string;
}
