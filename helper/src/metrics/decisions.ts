import type { HostProgram } from "@wardline/domain/policy";

const allowedByProgram = new WeakMap<HostProgram, ReadonlyMap<string, boolean>>();

/** Whether a decision allows; `null` = it is none of this program. */
export function allowsDecision(program: HostProgram | undefined, decisionId: string): boolean | null {
  if (!program) return null;
  const known =
    allowedByProgram.get(program) ?? new Map(program.decisions.map(({ id, verdict }) => [id, verdict === "allow"]));
  allowedByProgram.set(program, known);
  return known.get(decisionId) ?? null;
}
