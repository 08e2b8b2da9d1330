/** What the leader does for the meshes, and when it may step down for them. */
import { MemberState } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { LeaderDuty, MembershipView } from "../ports.ts";
import { type CoordinatorPorts, HealingCoordinator } from "./healingCoordinator.ts";

export function meshDuties(ports: CoordinatorPorts): readonly LeaderDuty[] {
  return [{ name: "healing of meshes", run: (term) => new HealingCoordinator(ports, term).run() }];
}

export interface SteppingDown {
  readonly memberName: string;
  readonly membership: Pick<MembershipView, "members">;
  /** Throws `Failure` NOT_LEADER, STORE_UNAVAILABLE. */
  readonly resign: () => Promise<void>;
}

/** Gives the lead back when somebody else can take it. Throws `Failure` HOST_UNSUPPORTED, NOT_LEADER, STORE_UNAVAILABLE. */
export async function stepDown({ memberName, membership, resign }: SteppingDown): Promise<void> {
  const other = membership.members().find(({ record, state }) => {
    return record?.candidate && record.name !== memberName && state === MemberState.HEALTHY;
  });
  if (!other) {
    const message = "No other candidate is healthy: nobody could lead instead.";
    throw new Failure({ code: ErrorCode.HOST_UNSUPPORTED, message });
  }
  await resign();
}
