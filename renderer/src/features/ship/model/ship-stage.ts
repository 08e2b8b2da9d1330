import { type Rollout, RolloutState } from "@wardline/api/wardline/console/v1/rollout";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import type { PendingOnHost } from "../../../data/hosts-snapshot.ts";

export type ShipStage = "draft" | "staged" | "canary" | "enforced" | "confirmed";

export const STAGES: readonly { readonly id: ShipStage; readonly name: string; readonly means: string }[] = [
  { id: "draft", name: "Draft", means: "Saved here. No host has it." },
  { id: "staged", name: "Staged", means: "Hosts evaluate and log it; nothing is dropped by it." },
  { id: "canary", name: "Canary", means: "The first hosts of a roll-out enforce it and show whether it works." },
  { id: "enforced", name: "Enforced", means: "It decides packets and returns by itself unless it is confirmed." },
  { id: "confirmed", name: "Confirmed", means: "It is what the hosts enforce." },
];

interface Facts {
  readonly rollouts: readonly Rollout[];
  readonly pending: readonly PendingOnHost[];
  /** Tables of the draft are those that every planned host has; `null` while nobody knows. */
  readonly isUnchanged: boolean | null;
  /** A host that would not change only observes. */
  readonly isObserved: boolean;
}

/** How far the draft is. What is under way comes first. */
export function shipStage({ rollouts, pending, isUnchanged, isObserved }: Facts): ShipStage {
  const open = rollouts.find(({ state }) => state === RolloutState.RUNNING || state === RolloutState.WAITING);
  if (open) {
    if (open.mode === EnforcementMode.OBSERVE) return "staged";
    return open.stageCount > 1 && open.stage < open.stageCount - 1 ? "canary" : "enforced";
  }
  const [first] = pending;
  if (first) return first.pending.generation?.mode === EnforcementMode.OBSERVE ? "staged" : "enforced";
  if (isUnchanged !== true) return "draft";
  return isObserved ? "staged" : "confirmed";
}
