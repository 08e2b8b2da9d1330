/**
 * The port through which pf is asked and told: pfctl(8) as it is called, with nothing added. No shell is ever involved,
 * so an argument is an argument whatever characters it has.
 */
export interface PfctlResult {
  /** `null` when the program did not run to its end; then `problem` says why. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Why there is no exit code: not found, no permission, killed, too slow. `null` when there is one. */
  readonly problem: string | null;
}

export interface PfCommands {
  /** Runs `pfctl` to its end. `input` becomes its standard input; empty unless given. Does not throw. */
  run(commandLine: readonly string[], input?: string): PfctlResult;
}
