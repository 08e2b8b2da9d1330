/**
 * The port entries of a program as columns. Those of a program that differs from an earlier one in a few classes share its
 * columns and say what stands in place of them: copying hundreds of thousands of numbers takes longer than everything else
 * that one changed rule takes. Nothing is ever written over, so every version stays what it was.
 */

/** Each as long as the others. */
export interface PortRows {
  readonly lows: Uint32Array;
  readonly highs: Uint32Array;
  readonly decisions: Uint32Array;
}

/** As `ProgramColumns.ports` says. */
export interface PortColumns extends PortRows {
  readonly classIds: Uint32Array;
}

/** What stands in place of the entries of a class. */
export interface PatchedRows extends PortRows {
  /** Row of the first one. There are as many as the class had. */
  readonly from: number;
}

export interface PortPatch {
  readonly base: PortColumns;
  /** `ProgramColumns.decisionFlags` of the base. */
  readonly baseFlags: Uint8Array;
  /** By class, rows in place of those of the base. What two versions have in common is the same object. */
  readonly changed: ReadonlyMap<number, PatchedRows>;
}

/** Whole columns are made when they are asked for. */
class PatchedPorts implements PortColumns {
  readonly patch: PortPatch;
  readonly classIds: Uint32Array;
  #lows: Uint32Array | null = null;
  #highs: Uint32Array | null = null;
  #decisions: Uint32Array | null = null;

  constructor(patch: PortPatch) {
    this.patch = patch;
    this.classIds = patch.base.classIds;
  }

  get lows(): Uint32Array {
    this.#lows ??= this.#whole("lows");
    return this.#lows;
  }

  get highs(): Uint32Array {
    this.#highs ??= this.#whole("highs");
    return this.#highs;
  }

  get decisions(): Uint32Array {
    this.#decisions ??= this.#whole("decisions");
    return this.#decisions;
  }

  #whole(name: keyof PortRows): Uint32Array {
    const { base, changed } = this.patch;
    const column = base[name].slice();
    for (const rows of changed.values()) column.set(rows[name], rows.from);
    return column;
  }
}

/** What the columns differ in from others; `null` for whole ones. */
export function patchOfPorts(ports: PortColumns): PortPatch | null {
  return ports instanceof PatchedPorts ? ports.patch : null;
}

/** The columns with these rows in place of what they have there, as many for each class. `flags`: of their decisions. */
export function patchPorts(ports: PortColumns, flags: Uint8Array, rows: ReadonlyMap<number, PatchedRows>): PortColumns {
  const { base, baseFlags, changed } = patchOfPorts(ports) ?? { base: ports, baseFlags: flags, changed: new Map() };
  return new PatchedPorts({ base, baseFlags, changed: new Map([...changed, ...rows]) });
}

/** Where the columns of a class are to be read: at `row` of these. */
export function portAt(ports: PortColumns, row: number): { low: number; high: number; decision: number } {
  const patch = patchOfPorts(ports);
  const rows = patch?.changed.get(ports.classIds[row] ?? 0);
  const [columns, place] = rows === undefined ? [patch?.base ?? ports, row] : [rows, row - rows.from];
  const { lows, highs, decisions } = columns;
  return { low: lows[place] ?? 0, high: highs[place] ?? 0, decision: decisions[place] ?? 0 };
}
