/**
 * What a starting agent does before it serves: it adopts what is pinned, leaves a generation that nobody confirmed, and
 * after a reboot loads the confirmed one from disk. When the records cannot be trusted it guesses nothing: the kernel
 * keeps what it enforces and the status says what is wrong.
 */
import { Failure } from "@wardline/domain/errors";
import type { DatapathState } from "../enforce/enforcer.ts";
import { CorruptStateError } from "./recordCodec.ts";
import { EMPTY_INDEX, type GenerationRecord, type StateIndex, type StoredGeneration, toRecord } from "./records.ts";
import type { StateStore } from "./stateStore.ts";
import { makeActive, rememberStored, type SwitchPorts } from "./switching.ts";

export interface Recovered {
  readonly index: StateIndex;
  readonly enforced: GenerationRecord;
  readonly problems: readonly string[];
  /** Number of the generation that was left because nobody confirmed it; `null` when there was none. */
  readonly rolledBack: number | null;
  /** False when records were lost: what is on disk is then kept as evidence. */
  readonly trusted: boolean;
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

/** Keeps what the kernel has, apart from a generation that the kernel itself would leave at its deadline. */
function keepEnforced(ports: SwitchPorts, index: StateIndex, problem: string): Recovered {
  const found = ports.enforcer.state();
  const pending = found.deadlineBootMs === null ? null : found.generation;
  const state = pending === null ? found : ports.enforcer.revert();
  const next = Math.max(index.nextGeneration, found.generation + 1, found.previousGeneration + 1);
  return {
    index: { nextGeneration: next, confirmed: state.generation, previous: null, pending: null },
    enforced: recordOf(state),
    problems: [`${problem} What the kernel enforces was left as it is; apply the policies again to repair this.`],
    rolledBack: pending,
    trusted: false,
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
function settleWithoutFile(ports: SwitchPorts, index: StateIndex, error: CorruptStateError): Recovered {
  const { enforcer } = ports;
  const state = enforcer.state();
  if (state.generation === index.confirmed && state.deadlineBootMs !== null) enforcer.confirm();
  if (state.generation === index.pending?.generation && state.previousGeneration === index.confirmed) enforcer.revert();
  const kept = keepEnforced(ports, index, `The record of generation ${index.confirmed} is damaged (${error.message}).`);
  return { ...kept, rolledBack: index.pending?.generation ?? null };
}

/** An adopted generation has to be compiled again for the names of its flows; the kernel does not need that. */
function canName(ports: SwitchPorts, confirmed: StoredGeneration): boolean {
  if (ports.contexts.get(confirmed.number)) return true;
  try {
    return rememberStored(ports, confirmed);
  } catch (error) {
    if (error instanceof Failure) return false;
    throw error;
  }
}

function unnamed(generation: number): string {
  return `Generation ${generation} is enforced, but was compiled by another version of Wardline: its flows have no names until the policies are applied again.`;
}

async function settle(ports: SwitchPorts, store: StateStore, index: StateIndex): Promise<Recovered> {
  const confirmed = await readConfirmed(store, index);
  if (confirmed instanceof CorruptStateError) return settleWithoutFile(ports, index, confirmed);
  try {
    await makeActive(ports, confirmed);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return keepEnforced(ports, index, `Generation ${index.confirmed} could not be loaded: ${reason}`);
  }
  return {
    index: { ...index, pending: null },
    enforced: { ...toRecord(confirmed), programDigest: ports.enforcer.state().programDigest },
    problems: canName(ports, confirmed) ? [] : [unnamed(confirmed.number)],
    rolledBack: index.pending?.generation ?? null,
    trusted: true,
  };
}

/** Opens the enforcer and brings it to the confirmed generation. Throws only when the enforcer cannot be opened. */
export async function recover(ports: SwitchPorts, store: StateStore): Promise<Recovered> {
  const read = await store.readIndex();
  const state = await ports.enforcer.open();
  if (read.kind === "corrupt")
    return keepEnforced(ports, EMPTY_INDEX, `The agent's record is damaged (${read.reason}).`);
  if (read.kind === "fresh" && state.generation !== 0) {
    const problem = `The kernel enforces generation ${state.generation}, of which the state directory knows nothing.`;
    return keepEnforced(ports, EMPTY_INDEX, problem);
  }
  return settle(ports, store, read.kind === "fresh" ? EMPTY_INDEX : read.index);
}
