/** One prepared model for each world that is asked about, for as long as the world is there. */
import { type AccessModel, createAccessModel } from "../access/index.ts";
import type { PolicyWorld } from "../model.ts";

const MODELS = new WeakMap<PolicyWorld, AccessModel>();

/** Throws as `createAccessModel`. */
export function modelOf(world: PolicyWorld): AccessModel {
  const known = MODELS.get(world) ?? createAccessModel(world);
  MODELS.set(world, known);
  return known;
}
