import { compile } from "../compile/index.ts";
import type { PolicyWorld } from "../model.ts";
import { type Emission, type EmitTarget, refuseAll } from "./emission.ts";
import { emitNftables } from "./nftables.ts";
import { emitPf } from "./pf.ts";
import { refuseChanging } from "./refusals.ts";

export interface ExportOptions {
  readonly mode: "enforce" | "observe";
}

/**
 * What one host has to enforce, in the words of a target. Refused, besides what the target itself cannot say: policies
 * that name domains or expire. Throws as `compile`.
 */
export function exportPolicy(
  world: PolicyWorld,
  hostName: string,
  target: EmitTarget,
  options: ExportOptions,
): Emission {
  const changing = refuseChanging(world, hostName);
  const program = compile(world, hostName);
  const emission = target === "nftables" ? emitNftables(program, options) : emitPf(program, options);
  const refused = [...changing, ...emission.refused];
  return refused.length === 0 ? emission : refuseAll(target, refused);
}
