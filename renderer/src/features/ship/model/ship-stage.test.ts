import { create } from "@bufbuild/protobuf";
import { RolloutSchema, RolloutState } from "@wardline/api/wardline/console/v1/rollout";
import { PendingConfirmationSchema } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { expect, it } from "vitest";
import type { PendingOnHost } from "../../../data/hosts-snapshot.ts";
import { shipStage } from "./ship-stage.ts";

const NOTHING = { rollouts: [], pending: [], isUnchanged: false, isObserved: false };
const rollout = (stage: number, mode = EnforcementMode.ENFORCE, state = RolloutState.RUNNING) =>
  create(RolloutSchema, { state, mode, stage, stageCount: 3 });
const pending = (mode: EnforcementMode): PendingOnHost => ({
  hostId: "local",
  hostName: "atlas",
  pending: create(PendingConfirmationSchema, { generation: { number: 2n, mode } }),
  deadlineMonotonicMs: 0,
  totalMs: 0,
});

it("says how far a draft is", () => {
  const stages = [
    NOTHING,
    { ...NOTHING, isUnchanged: null },
    { ...NOTHING, pending: [pending(EnforcementMode.OBSERVE)] },
    { ...NOTHING, isUnchanged: true, isObserved: true },
    { ...NOTHING, rollouts: [rollout(0)] },
    { ...NOTHING, rollouts: [rollout(0, EnforcementMode.OBSERVE)] },
    { ...NOTHING, rollouts: [rollout(2)] },
    { ...NOTHING, pending: [pending(EnforcementMode.ENFORCE)] },
    { ...NOTHING, rollouts: [rollout(0, EnforcementMode.ENFORCE, RolloutState.DONE)], isUnchanged: true },
  ].map(shipStage);
  expect(stages.join(" ")).toBe("draft draft staged staged canary staged enforced enforced confirmed");
});
