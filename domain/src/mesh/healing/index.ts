/** Healing of faults in meshes: recognise, explain, plan, verify, remember. Pure: no clock, no randomness, no I/O. */
export { learn, medianRepairTimeMs, successRate } from "./knowledge.ts";
export * from "./loop.ts";
export * from "./model.ts";
export { plannedOrder } from "./run-edit.ts";
export * from "./saving.ts";
export { LIMITS, TIMES } from "./thresholds.ts";
export { actionPhrase, faultName, providerName } from "./words.ts";
