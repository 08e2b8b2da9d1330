/** The policy engine as the agent uses it: one seam, so that the agent's own tests need no policy text. */
import type { Diagnostic, HostProgram, PolicyWorld, SourceFile } from "@wardline/domain/policy";

export interface ReadState {
  readonly world: PolicyWorld;
  readonly diagnostics: readonly Diagnostic[];
  /** False when there is an error among the diagnostics. */
  readonly ok: boolean;
}

export interface PolicyEngine {
  read(files: readonly SourceFile[]): ReadState;
  /** Throws `Failure` (TOO_LARGE, POLICY_UNSUPPORTED) when the world does not fit the tables. */
  compile(world: PolicyWorld, hostName: string): HostProgram;
  /** 64 hex digits. */
  stateDigest(files: readonly SourceFile[]): string;
}
