/** What this backend says about itself: what it cannot do, and why it refuses. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { describeRefusal, type Refusal } from "@wardline/domain/policy/emit";

export const NFTABLES_LIMITS: readonly string[] = [
  "Flows are not recorded: nftables reports counters only, so the list of flows stays empty on this host.",
  "Counters do not say when a rule was hit last.",
  "Workloads cannot be treated otherwise than their host: a policy that does is refused when it is applied.",
  "Containers are judged where their packets cross the host: what stays inside one bridge or one container is not seen.",
  "A denied connection runs into its timeout instead of being refused at once.",
  "Connections are tracked by the kernel: those that are older than the first program are judged by the direction of the first packet after it, and a full connection table drops packets.",
  "Other firewalls on this host can drop what is allowed here, and whoever flushes the whole ruleset removes these rules too.",
  "With tens of thousands of rules a change takes seconds, in which the agent answers nobody.",
  "The deadline in the kernel stands still while the machine is suspended.",
];

export function notOurs(tableName: string, owner: "stranger" | "other-layout"): Failure {
  const isOlder = owner === "other-layout";
  return new Failure({
    code: isOlder ? ErrorCode.VERSION_MISMATCH : ErrorCode.ALREADY_EXISTS,
    message: isOlder
      ? `The table "inet ${tableName}" was made by an agent of another version.`
      : `There is a table "inet ${tableName}" that no agent made. It was left as it is.`,
    hint: isOlder
      ? "Release the host with that version first."
      : `Remove it with "nft delete table inet ${tableName}" if nothing needs it, and start the agent again.`,
  });
}

export function unsupported(refused: readonly Refusal[]): Failure {
  return new Failure({
    code: ErrorCode.POLICY_UNSUPPORTED,
    message: `nftables cannot enforce this: ${refused.map(describeRefusal).join(" ")}`,
    hint: "Change the policies that are named, or enforce them with eBPF on this host.",
    source: refused.find(({ source }) => source !== null)?.source ?? null,
  });
}

export function confirmationPending(): Failure {
  return new Failure({
    code: ErrorCode.CONFIRMATION_PENDING,
    message: "The last change waits for its confirmation; the rules before it are needed to return to.",
    hint: "Confirm it or roll it back first.",
    retryable: true,
  });
}

export function gone(generation: number): Failure {
  return new Failure({
    code: ErrorCode.GENERATION_CONFLICT,
    message: `Generation ${generation} is no longer loaded. Nothing was changed.`,
    hint: "Apply again.",
    retryable: true,
  });
}

export function putBack(times: number): string {
  return `Another program removed or changed Wardline's table; it was put back (${times} ${times === 1 ? "time" : "times"} since the agent started).`;
}
