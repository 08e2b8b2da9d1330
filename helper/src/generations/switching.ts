/** Making a stored generation the one that decides, by the cheapest way that is certain. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HostProgram, PolicyWorld, SourceFile } from "@wardline/domain/policy";
import {
  type Circumstances,
  type Dependencies,
  NO_NAMES,
  NOTHING_DISCOVERED,
  type PolicyEngine,
  type QuarantineRecord,
  type ReadState,
} from "../agent/policyEngine.ts";
import type { EnforcementMode, Enforcer } from "../enforce/enforcer.ts";
import type { GenerationContexts } from "./contexts.ts";
import { datapathMode, type GenerationRecord, type StoredGeneration } from "./records.ts";
import { observeOnly } from "./refusals.ts";

export interface SwitchPorts {
  readonly enforcer: Enforcer;
  readonly engine: PolicyEngine;
  readonly contexts: GenerationContexts;
  readonly hostName: string;
}

/** Policies that were read and not compiled yet. */
export interface ReadPolicies {
  readonly world: PolicyWorld;
  readonly readUs: number;
  readonly compileUs: number;
}

export interface Compiled extends ReadPolicies {
  readonly program: HostProgram;
  readonly circumstances: Circumstances;
  readonly dependencies: Dependencies;
}

export function elapsedUs(sinceMs: number): number {
  return Math.round((performance.now() - sinceMs) * 1000);
}

export function withoutNames(atUnixMs: number): Circumstances {
  const none = { domainAddresses: NO_NAMES, discovered: NOTHING_DISCOVERED, quarantines: [] };
  return { atUnixMs, ...none, observesPolicies: false };
}

/** Throws `Failure` POLICY_INVALID with every diagnostic, or what `compile` and `dependencies` throw. */
export function readAndCompile(
  ports: SwitchPorts,
  files: readonly SourceFile[],
  circumstances: Circumstances,
): Compiled {
  const readStart = performance.now();
  // Whoever applies was told of warnings before, by a check, and hears of them again when it is refused.
  const state = ports.engine.read(files, { errorsOnly: true });
  const readUs = elapsedUs(readStart);
  if (!state.ok) throw policyErrors(ports.engine.read(files));
  return compileAgain(ports, { world: state.world, readUs, compileUs: 0 }, circumstances);
}

/**
 * A generation from disk, under the circumstances that it was compiled under. It was accepted once: an error that only
 * this version finds does not count as long as the policies compile to the same tables, or a host would boot open after
 * an upgrade. Throws as {@link readAndCompile}.
 */
export function readStored(ports: SwitchPorts, stored: StoredGeneration): Compiled {
  const readStart = performance.now();
  const state = ports.engine.read(stored.files, { errorsOnly: true });
  const readUs = elapsedUs(readStart);
  const compiled = compileAgain(ports, { world: state.world, readUs, compileUs: 0 }, stored.circumstances);
  if (!state.ok && compiled.program.digest !== stored.programDigest)
    throw policyErrors(ports.engine.read(stored.files));
  return compiled;
}

/** As {@link readStored} for whoever compiles them in another way: only an error makes it worth to compile as it was. */
export function readStoredPolicies(ports: SwitchPorts, stored: StoredGeneration): ReadPolicies {
  const start = performance.now();
  const { world, ok } = ports.engine.read(stored.files, { errorsOnly: true });
  return ok ? { world, readUs: elapsedUs(start), compileUs: 0 } : readStored(ports, stored);
}

function policyErrors(state: ReadState): Failure {
  const errors = state.diagnostics.filter((diagnostic) => diagnostic.severity === "error");
  return new Failure({
    code: ErrorCode.POLICY_INVALID,
    message: `The policies have ${errors.length} ${errors.length === 1 ? "error" : "errors"}. Nothing was changed.`,
    hint: "Correct the places that are marked and try again.",
    source: errors[0]?.source ?? null,
    diagnostics: state.diagnostics,
  });
}

/** The circumstances of a generation in this mode while these subjects are cut off. */
export function cutOff(
  circumstances: Circumstances,
  quarantines: readonly QuarantineRecord[],
  mode: EnforcementMode,
): Circumstances {
  return { ...circumstances, quarantines, observesPolicies: quarantines.length > 0 && mode === "observe" };
}

/** The same policies under other circumstances, without reading them again. Throws what the engine throws. */
export function compileAgain(ports: SwitchPorts, before: ReadPolicies, circumstances: Circumstances): Compiled {
  const start = performance.now();
  const { engine, hostName } = ports;
  const { world, readUs } = before;
  const dependencies = engine.dependencies(world, hostName, circumstances.discovered);
  const program = engine.compile(world, hostName, circumstances);
  return { world, readUs, program, circumstances, dependencies, compileUs: before.compileUs + elapsedUs(start) };
}

export function newRecord(
  number: number,
  { mode, reason }: Pick<GenerationRecord, "mode" | "reason">,
  appliedBy: string,
  { program, world: { policies } }: Compiled,
  stateDigest: string,
  appliedAtMs: number,
): GenerationRecord {
  const ruleCount = policies.reduce((sum, policy) => sum + policy.rules.length, 0);
  const counts = { policyCount: policies.length, ruleCount };
  return { number, programDigest: program.digest, stateDigest, mode, appliedAtMs, appliedBy, reason, ...counts };
}

/**
 * Lets events of an adopted generation be explained. False when this version compiles the state to other tables: then only
 * what they depend on is known, so that policies expire all the same.
 */
export function rememberStored(ports: SwitchPorts, stored: StoredGeneration): boolean {
  const compiled = readStored(ports, stored);
  if (stored.number !== 0 && compiled.program.digest !== stored.programDigest) {
    ports.contexts.rememberForeign(stored.number, compiled);
    return false;
  }
  ports.contexts.remember(stored.number, compiled);
  ports.enforcer.recall(compiled.program, stored.number);
  return true;
}

/** A generation that the kernel had already has to be compiled again for the names of its flows; the kernel does not need that. */
export function canName(ports: SwitchPorts, stored: StoredGeneration): boolean {
  if (ports.contexts.get(stored.number)) return true;
  try {
    return rememberStored(ports, stored);
  } catch (error) {
    if (error instanceof Failure) return false;
    throw error;
  }
}

/** The flip back, when the other slot still holds `target`. */
function revertTo(enforcer: Enforcer, target: StoredGeneration): boolean {
  const state = enforcer.state();
  if (state.previousGeneration !== target.number || state.previousProgramDigest !== target.programDigest) return false;
  try {
    enforcer.revert();
    return true;
  } catch (error) {
    // An empty slot looks like generation 0 and is one only when it was never filled.
    if (error instanceof Failure) return false;
    throw error;
  }
}

/**
 * Makes `target` decide, without a deadline: nothing when it does already, one flip when the other slot still holds it,
 * else a new fill. Throws `Failure`; then what was enforced before still is.
 */
export async function makeActive(ports: SwitchPorts, target: StoredGeneration): Promise<void> {
  const { enforcer } = ports;
  // The datapath has already fallen back: settle that first, then look where we are.
  if (enforcer.state().expired) enforcer.revert();
  const state = enforcer.state();
  if (state.generation === target.number && (target.number === 0 || state.programDigest === target.programDigest)) {
    if (state.deadlineBootMs !== null) enforcer.confirm();
    return;
  }
  if (revertTo(enforcer, target)) return;
  if (enforcer.name === "observe" && datapathMode(target) === "enforce") throw observeOnly();
  if (state.deadlineBootMs !== null) enforcer.revert();
  const compiled = readStored(ports, target);
  const prepared = await enforcer.prepare(compiled.program, target.number);
  ports.contexts.remember(target.number, compiled, enforcer.state().generation);
  enforcer.activate(prepared, { mode: datapathMode(target), fallbackAfterMs: null });
}
