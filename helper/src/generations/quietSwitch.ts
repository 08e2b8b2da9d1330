/** The same policies in other tables, as a generation that is confirmed from the start. */
import type { ControllerPorts } from "./controllerTypes.ts";
import type { Ledger } from "./ledger.ts";
import { datapathMode, type StateIndex, type StoredGeneration } from "./records.ts";
import type { Compiled } from "./switching.ts";

export interface QuietOptions {
  /**
   * The record goes to disk before the flip, so that a crash between them ends in the new generation. For what a person
   * decided; without it a crash ends in the old one, and whatever made the tables old makes them new again.
   */
  readonly recordFirst?: boolean;
  /** Nobody decided anything: whoever names the generation before means this one too. */
  readonly isRefresh?: boolean;
  /** `null` = nothing earlier is kept; left out = what was kept stays. */
  readonly previous?: null;
}

/**
 * Fills the inactive slot and flips. What the disk does not take is written later: an access that has ended must end on
 * a full disk too. Throws `Failure`; then what was enforced still is.
 */
export async function replaceQuietly(
  ports: ControllerPorts,
  ledger: Ledger,
  stored: StoredGeneration,
  compiled: Compiled,
  { recordFirst = false, previous }: QuietOptions,
): Promise<StoredGeneration> {
  const { enforcer, contexts, checkpoint } = ports;
  const { program, circumstances } = compiled;
  const before = ledger.index;
  const number = before.nextGeneration;
  const prepared = await enforcer.prepare(program, number);
  const next: StoredGeneration = { ...stored, number, programDigest: program.digest, circumstances };
  const kept = previous === undefined ? before.previous : previous;
  const index: StateIndex = { ...before, confirmed: number, nextGeneration: number + 1, previous: kept };
  const isWritten = await ledger.tryWriteGeneration(next);
  contexts.remember(number, compiled, before.confirmed);
  const isRecorded = recordFirst && isWritten && !ledger.keepsEvidence && (await tryWrite(ledger, index));
  checkpoint?.("recorded");
  try {
    enforcer.activate(prepared, { mode: datapathMode(next), fallbackAfterMs: null });
  } catch (error) {
    if (isRecorded) await ledger.settle({ ...before, nextGeneration: number + 1 });
    throw error;
  }
  checkpoint?.("quiet-flipped");
  await ledger.settle(index);
  return next;
}

async function tryWrite(ledger: Ledger, index: StateIndex): Promise<boolean> {
  try {
    await ledger.write(index);
    return true;
  } catch {
    return false;
  }
}
