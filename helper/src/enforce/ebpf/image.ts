/** A HostProgram as the memory that the kernel's programs search: see WARDLINE_LINE_SIZE in bpf/include/wardline.h. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { FIRST_RULE_DECISION, PROGRAM_FORMAT_VERSION } from "@wardline/domain/policy";
import { countDecisions, type PackableProgram, type ProgramColumns, readColumns, refuse } from "./columns.ts";
import { DEFAULT_MAX_DECISIONS } from "./counters.ts";
import { ImageChanges, type LineRange } from "./imageChanges.ts";
import { PackedImage } from "./packedImage.ts";
import { PackingMemory } from "./packingMemory.ts";
import { RepeatedPrefixError } from "./ranges.ts";
import { finish, type Steps } from "./steps.ts";

export type { PackableProgram } from "./columns.ts";

export interface TableImage {
  /** Lines of 64 bytes, ready to be copied. */
  readonly bytes: Uint8Array;
  readonly lineCount: number;
  readonly decisionCount: number;
  /** Sets other than the host's own. */
  readonly workloadSets: number;
  /** Numbers the images of one packer. */
  readonly serial: number;
  /** Lines that may differ from the image of an earlier serial; `null` = any. */
  readonly changedSince: (serial: number) => readonly LineRange[] | null;
}

/**
 * Packs the tables. Throws `Failure` POLICY_UNSUPPORTED for a program that the kernel could not answer every packet from,
 * and for one with more decisions than the kernel's counters have room for.
 */
export function packProgram(program: PackableProgram, maxDecisions = DEFAULT_MAX_DECISIONS): TableImage {
  return new ImagePacker().pack(program, maxDecisions);
}

/**
 * Packs one program after the other into the same memory: an image is good until the next one is packed. What a program
 * has in common with the one before stays where it is, and only the lines of what changed are written.
 */
export class ImagePacker {
  readonly #memory = new PackingMemory();
  readonly #changes = new ImageChanges();
  /** What is in the memory; `null` when nobody knows. */
  #packed: PackedImage | null = null;

  /** As {@link packProgram}. */
  pack(program: PackableProgram, maxDecisions = DEFAULT_MAX_DECISIONS): TableImage {
    return finish(this.steps(program, maxDecisions));
  }

  /** The same in steps. The packer must not be asked for another image before they are done or given up. */
  *steps(program: PackableProgram, maxDecisions = DEFAULT_MAX_DECISIONS): Steps<TableImage> {
    if (program.formatVersion !== PROGRAM_FORMAT_VERSION)
      refuse(`The program has format ${program.formatVersion}; this agent knows ${PROGRAM_FORMAT_VERSION}.`);
    const decisionCount = countDecisions(program);
    if (decisionCount > maxDecisions) throw tooManyDecisions(decisionCount, maxDecisions);
    const columns = yield* readColumns(program);
    const sets = program.sets.map(({ id }) => id);
    const packed = yield* this.#write(columns, sets);
    const serial = this.#changes.add(packed.written);
    return {
      bytes: packed.bytes,
      lineCount: packed.lineCount,
      decisionCount: Math.max(decisionCount, FIRST_RULE_DECISION),
      workloadSets: sets.filter((id) => id !== 0).length,
      serial,
      changedSince: (since) => this.#changes.between(since, serial),
    };
  }

  *#write(columns: ProgramColumns, sets: readonly number[]): Steps<PackedImage> {
    const before = this.#packed;
    // Whatever ends the work in between leaves memory that is neither the one image nor the other.
    this.#packed = null;
    try {
      const packed = before?.changeTo(columns, sets) ?? (yield* PackedImage.write(columns, sets, this.#memory));
      this.#packed = packed;
      return packed;
    } catch (error) {
      if (error instanceof RepeatedPrefixError) refuse("The program has two answers for one prefix.");
      throw error;
    }
  }
}

function tooManyDecisions(count: number, most: number): Failure {
  return new Failure({
    code: ErrorCode.POLICY_UNSUPPORTED,
    message: `The policies give ${count} different decisions; this host counts ${most} at most.`,
    hint: "Merge rules that have the same peers and ports.",
  });
}
