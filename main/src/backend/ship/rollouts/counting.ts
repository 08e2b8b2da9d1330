/** What a host's own counters say since the flip. */
import type { HostStatus } from "@wardline/api/wardline/v1/host";
import { denyingDecisionIds } from "@wardline/domain/fleet";
import type { HostProgram } from "@wardline/domain/policy";

export interface Counted {
  readonly allowed: number;
  readonly denied: number;
}

const denying = new WeakMap<HostProgram, ReadonlySet<string>>();

/** Sums of what policies allowed and denied; what is dropped before any policy is in neither. */
export function countPackets(status: HostStatus, program: HostProgram): Counted {
  const deniedIds = denying.get(program) ?? denyingDecisionIds(program);
  denying.set(program, deniedIds);
  const known = new Set(program.decisions.filter(({ reason }) => reason !== "builtin").map(({ id }) => id));
  let allowed = 0;
  let denied = 0;
  for (const { decisionId, packets } of status.counters) {
    if (deniedIds.has(decisionId)) denied += Number(packets);
    else if (known.has(decisionId)) allowed += Number(packets);
  }
  return { allowed, denied };
}

export function since(now: Counted, before: Counted): Counted {
  return { allowed: Math.max(0, now.allowed - before.allowed), denied: Math.max(0, now.denied - before.denied) };
}
