/**
 * What a starting agent does before it serves: it adopts what is pinned, leaves a generation that nobody confirmed, and
 * after a reboot loads the confirmed one from disk. When the records cannot be trusted it guesses nothing: the kernel
 * keeps what it enforces and the status says what is wrong.
 */
import type { QuarantineRecord } from "../agent/policyEngine.ts";
import type { DatapathState } from "../enforce/enforcer.ts";
import type { StartFailure } from "./controllerTypes.ts";
import { AGENT_ACTOR, isFresh, recoverEmergency } from "./emergencies.ts";
import { CorruptStateError } from "./recordCodec.ts";
import {
  datapathMode,
  EMPTY_INDEX,
  type EmergencyRecord,
  type GenerationRecord,
  type StateIndex,
  type StoredGeneration,
  toRecord,
} from "./records.ts";
import type { StateStore } from "./stateStore.ts";
import { canName, makeActive, type SwitchPorts } from "./switching.ts";

export interface Recovered {
  readonly index: StateIndex;
  readonly enforced: GenerationRecord;
  readonly problems: readonly string[];
  /** Why flows of the generation that is enforced have no names, as long as it is; `null` = they have. */
  readonly unnamed: string | null;
  /** Number of the generation that was left because nobody confirmed it; `null` when there was none. */
  readonly rolledBack: number | null;
  /** False when records were lost: what is on disk is then kept as evidence. */
  readonly trusted: boolean;
  readonly quarantines: readonly QuarantineRecord[];
  /** What the agent did with the emergency brake by itself; `null` = nothing. */
  readonly braked: string | null;
}

export interface RecoveryPorts extends SwitchPorts {
  readonly onStartFailure?: StartFailure;
  readonly clock: { wallMs(): number };
}

/** What the start found, before it changed anything. */
interface Found {
  readonly ports: RecoveryPorts;
  readonly store: StateStore;
  readonly wasFresh: boolean;
  readonly emergency: EmergencyRecord | null;
  /** What is wrong with the brake itself. */
  readonly brakeProblems: readonly string[];
}

function recordOf(state: DatapathState): GenerationRecord {
  return {
    number: state.generation,
    programDigest: state.programDigest,
    stateDigest: "",
    mode: state.mode,
    appliedAtMs: 0,
    appliedBy: "",
    reason: "",
    policyCount: 0,
    ruleCount: 0,
  };
}

/**
 * Keeps what the kernel has, apart from a generation that the kernel itself would leave at its deadline. A datapath that
 * was made just now has nothing to keep: then a host that was enforcing is closed, or the agent was told otherwise.
 */
async function keepEnforced(found: Found, index: StateIndex, problem: string, wasEnforcing = true): Promise<Recovered> {
  const { ports, store, emergency, brakeProblems } = found;
  const before = ports.enforcer.state();
  const pending = before.deadlineBootMs === null ? null : before.generation;
  const state = pending === null ? before : ports.enforcer.revert();
  const next = Math.max(index.nextGeneration, before.generation + 1, before.previousGeneration + 1);
  const kept: Recovered = {
    index: { nextGeneration: next, confirmed: state.generation, previous: null, pending: null, emergency },
    enforced: recordOf(state),
    problems: [
      ...brakeProblems,
      `${problem} What the kernel enforces was left as it is; apply the policies again to repair this.`,
    ],
    unnamed: null,
    rolledBack: pending,
    trusted: false,
    quarantines: await quarantinesOf(store, state.generation),
    braked: null,
  };
  const isLost = found.wasFresh && wasEnforcing && emergency === null;
  return isLost ? closeOrSay(ports, kept, problem) : kept;
}

/** A damaged index does not have to cost the quarantines of what is enforced. */
async function quarantinesOf(store: StateStore, generation: number): Promise<readonly QuarantineRecord[]> {
  try {
    return (await store.readGeneration(generation)).circumstances.quarantines;
  } catch (error) {
    if (error instanceof CorruptStateError) return [];
    throw error;
  }
}

/** A host never starts open when its last state was enforcing. */
function closeOrSay({ enforcer, clock, onStartFailure }: RecoveryPorts, kept: Recovered, problem: string): Recovered {
  const lost = `${problem} What this host enforced before is not in force;`;
  if (onStartFailure === "open") {
    return { ...kept, problems: [`${lost} it is open, as --boot-failure open says. Apply the policies again.`] };
  }
  try {
    enforcer.setEmergency("closed");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { ...kept, problems: [`${lost} it is open, because it could not be closed: ${reason}`] };
  }
  const reason = "what this host enforced before could not be loaded";
  const emergency: EmergencyRecord = { state: "closed", sinceMs: clock.wallMs(), actor: AGENT_ACTOR, reason };
  return {
    ...kept,
    index: { ...kept.index, emergency },
    problems: [`${lost} it was closed. Log in at its console, run "wardline panic off" and apply the policies again.`],
    braked: `closed: ${problem}`,
  };
}

async function readConfirmed(store: StateStore, index: StateIndex): Promise<StoredGeneration | CorruptStateError> {
  try {
    return await store.readGeneration(index.confirmed);
  } catch (error) {
    if (error instanceof CorruptStateError) return error;
    throw error;
  }
}

/** Settles on the confirmed generation although its file is lost, when the kernel still holds it. */
async function settleWithoutFile(found: Found, index: StateIndex, error: CorruptStateError): Promise<Recovered> {
  const { enforcer } = found.ports;
  const state = enforcer.state();
  if (state.generation === index.confirmed && state.deadlineBootMs !== null) enforcer.confirm();
  if (state.generation === index.pending?.generation && state.previousGeneration === index.confirmed) enforcer.revert();
  const problem = `The record of generation ${index.confirmed} is damaged (${error.message}).`;
  const kept = await keepEnforced(found, index, problem);
  return { ...kept, rolledBack: index.pending?.generation ?? null };
}

function unnamed({ contexts }: RecoveryPorts, generation: number): string {
  const start = `Generation ${generation} is enforced, but was compiled by another version of Wardline:`;
  // Policies that this version refuses say nothing of what they depend on.
  return contexts.upkeep(generation)
    ? `${start} its flows have no names until the policies are applied again.`
    : `${start} its flows have no names, its policies do not expire and its domain names are not followed until policies are applied.`;
}

async function settle(found: Found, index: StateIndex): Promise<Recovered> {
  const { ports, store, emergency, brakeProblems } = found;
  const confirmed = await readConfirmed(store, index);
  if (confirmed instanceof CorruptStateError) return settleWithoutFile(found, index, confirmed);
  try {
    await makeActive(ports, confirmed);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const problem = `Generation ${index.confirmed} could not be loaded: ${reason}`;
    const kept = await keepEnforced(found, index, problem, datapathMode(confirmed) === "enforce");
    // So that the next start, when it succeeds, knows whose brake it is.
    if (kept.braked !== null) await store.writeIndex({ ...index, emergency: kept.index.emergency }).catch(() => {});
    return kept;
  }
  const isOver = emergency?.actor === AGENT_ACTOR;
  if (isOver) ports.enforcer.setEmergency("none");
  return {
    index: { ...index, pending: null, emergency: isOver ? null : emergency },
    enforced: { ...toRecord(confirmed), programDigest: ports.enforcer.state().programDigest },
    problems: brakeProblems,
    unnamed: canName(ports, confirmed) ? null : unnamed(ports, confirmed.number),
    rolledBack: index.pending?.generation ?? null,
    trusted: true,
    quarantines: confirmed.circumstances.quarantines,
    braked: isOver ? "let go: what this host enforced before is in force again" : null,
  };
}

/** Opens the enforcer and brings it to the confirmed generation. Throws only when the enforcer cannot be opened. */
export async function recover(ports: RecoveryPorts, store: StateStore): Promise<Recovered> {
  const read = await store.readIndex();
  const state = await ports.enforcer.open();
  const recorded = read.kind === "read" ? read.index.emergency : null;
  const found: Found = { ports, store, wasFresh: isFresh(state), ...recoverBrake(ports, state, recorded) };
  if (read.kind === "corrupt")
    return keepEnforced(found, EMPTY_INDEX, `The agent's record is damaged (${read.reason}).`);
  if (read.kind === "fresh" && state.generation !== 0) {
    const problem = `The kernel enforces generation ${state.generation}, of which the state directory knows nothing.`;
    return keepEnforced(found, EMPTY_INDEX, problem);
  }
  return settle(found, read.kind === "fresh" ? EMPTY_INDEX : read.index);
}

function recoverBrake({ enforcer }: RecoveryPorts, state: DatapathState, recorded: EmergencyRecord | null) {
  try {
    return { emergency: recoverEmergency(enforcer, state, recorded), brakeProblems: [] };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const problem = `The emergency brake (${recorded?.state}) could not be pulled again: ${reason}`;
    return { emergency: recorded, brakeProblems: [problem] };
  }
}
