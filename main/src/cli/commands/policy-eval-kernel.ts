import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HostProgram } from "@wardline/domain/policy";
import { programEngine, type TestRunAnswer, type VectorEngine } from "@wardline/domain/policy/vectors";
import { askKernel } from "../start/agent-test-run.ts";

/** The eBPF programs of this machine's kernel as an engine. */
export function kernelEngine(): VectorEngine {
  return programEngine(async (programs) => {
    const answers = await askKernel(programs);
    return programs.map(({ program }, position) =>
      (answers[position] ?? []).map((answer) => checkedDecision(program, answer)),
    );
  });
}

/** The number of the decision; what the kernel does with it must be what the program says. */
function checkedDecision({ decisions }: HostProgram, { decision, deny, observeOnly }: TestRunAnswer): number {
  const named = decisions[decision];
  if (named && (named.verdict === "deny") === deny && named.observeOnly === observeOnly) return decision;
  throw new Failure({
    code: ErrorCode.SELF_TEST_FAILED,
    message: `The kernel answers with decision ${decision} (${deny ? "deny" : "allow"}), which the program does not have so.`,
  });
}
