/** Generations as the wire carries them. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Generation,
  GenerationSchema,
  type PendingConfirmation,
  PendingConfirmationSchema,
} from "@wardline/api/wardline/v1/host";
import { EnforcementMode as WireMode } from "@wardline/api/wardline/v1/policy";
import { bootMs, type Clock, toTimestamp } from "../agent/clock.ts";
import type { EnforcementMode } from "../enforce/enforcer.ts";
import type { Pending } from "./controllerTypes.ts";
import type { GenerationRecord } from "./records.ts";

const MODES: Record<EnforcementMode, WireMode> = { observe: WireMode.OBSERVE, enforce: WireMode.ENFORCE };

/** `null` when the caller left the mode out. */
export function fromWireMode(mode: WireMode): EnforcementMode | null {
  if (mode === WireMode.OBSERVE) return "observe";
  return mode === WireMode.ENFORCE ? "enforce" : null;
}

export function toWireGeneration(record: GenerationRecord): Generation {
  const { number, programDigest, stateDigest, mode, appliedBy, policyCount, ruleCount, appliedAtMs } = record;
  const generation = create(GenerationSchema, {
    number: BigInt(number),
    programDigest,
    stateDigest,
    mode: MODES[mode],
    appliedBy,
    policyCount,
    ruleCount,
  });
  if (appliedAtMs > 0) generation.appliedAt = toTimestamp(appliedAtMs);
  return generation;
}

/** The deadline in wall time is right for the wall clock of this moment; readers should count `remaining` down. */
export function toWirePending(pending: Pending, clock: Clock): PendingConfirmation {
  const remainingMs = Math.max(0, pending.deadlineBootMs - bootMs(clock));
  return create(PendingConfirmationSchema, {
    generation: toWireGeneration(pending.generation),
    previous: toWireGeneration(pending.previous),
    deadline: toTimestamp(clock.wallMs() + remainingMs),
    remaining: durationFromMs(remainingMs),
  });
}
