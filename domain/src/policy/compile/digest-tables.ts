/**
 * The digest of a program's tables: SHA-256 over the digests of their parts. A part is some thousand entries of one table,
 * so that the digest after a change is that of the changed parts and of the list of all. Which parts there are depends on
 * the content alone.
 */
import { ByteWriter } from "../byte-writer.ts";
import type { CreateSha256 } from "../digest.ts";
import { type PortColumns, patchOfPorts } from "../port-columns.ts";
import type { ProgramColumns } from "../program-columns.ts";
import type { ProgramTables } from "./assemble.ts";
import type { DecisionTable } from "./decision-table.ts";
import { encodeDecision } from "./encode-decision.ts";
import { firstOfClass } from "./patch-tables.ts";
import { type Column, isEqualColumn } from "./scratch.ts";

/** Of a table whose entries are numbers. */
const ROWS_IN_PART = 4096;
/** Of ports. */
const CLASSES_IN_PART = 1024;
/** Of decisions: a part ends behind one in so many, told by its content, so that later ones are the same parts when some come or go. */
const DECISIONS_IN_PART = 256;
const MAX_DECISIONS_IN_PART = 8 * DECISIONS_IN_PART;

interface Known {
  readonly tables: ProgramTables;
  /** By table, then part. */
  readonly numeric: readonly (readonly Uint8Array[])[];
  /** By the number of the first decision. */
  readonly decisions: ReadonlyMap<number, DecisionPart>;
}

/** From one place to before another among the decisions of a program. */
interface DecisionPart {
  readonly start: number;
  readonly end: number;
  /** False for one that ends only because there are no more decisions. */
  readonly isClosed: boolean;
  readonly digest: Uint8Array;
}

export class TablesDigester {
  readonly #decisions: DecisionTable;
  readonly #createSha256: CreateSha256;
  readonly #writer = new ByteWriter();
  /** The tables that were digested last. */
  #known: Known | null = null;

  constructor(decisions: DecisionTable, createSha256: CreateSha256) {
    this.#decisions = decisions;
    this.#createSha256 = createSha256;
  }

  digest(tables: ProgramTables): Uint8Array {
    const before = this.#known === null ? null : numericTables(this.#known.tables.columns);
    const lists = numericTables(tables.columns);
    const { patch } = tables;
    const last = this.#known?.tables;
    const isNext = patch?.ofPorts === last?.columns.ports && patch?.ofDecisions === last?.decisionNumbers;
    const changes = patch !== undefined && isNext ? patch : null;
    const changed = changes?.classIds ?? null;
    const numeric = lists.map((list, table) => this.#digestNumeric(list, before?.[table] ?? null, table, changed));
    const decisions = this.#digestDecisions(tables, changes?.decisions ?? null);
    const hash = this.#createSha256();
    for (const [table, parts] of numeric.entries()) {
      hash.update(wordOf(lists[table]?.rows ?? 0));
      for (const part of parts) hash.update(part);
    }
    hash.update(wordOf(tables.decisionNumbers.length));
    for (const { digest } of decisions.values()) hash.update(digest);
    this.#known = { tables, numeric, decisions };
    return hash.digest();
  }

  /** `changed`: the classes whose ports are others than before; `null` = that is not known. */
  #digestNumeric(
    list: NumericTable,
    before: NumericTable | null,
    table: number,
    changed: readonly number[] | null,
  ): readonly Uint8Array[] {
    const known = this.#known?.numeric[table] ?? [];
    return list.starts.slice(0, -1).map((_, part) => {
      const digest = known[part];
      const isKnown =
        digest !== undefined &&
        before !== null &&
        (changed !== null && table === PORTS
          ? !changed.some((classId) => partOfClass(classId) === part)
          : isSamePart(list, before, part));
      return isKnown ? digest : this.#hash(list.cut(list.starts[part] ?? 0, list.starts[part + 1] ?? 0).map(bytesOf));
    });
  }

  /** `changed`: the places that have other decisions than before; `null` = that is not known. */
  #digestDecisions(
    { decisionNumbers: numbers }: ProgramTables,
    changed: readonly number[] | null,
  ): ReadonlyMap<number, DecisionPart> {
    const parts = new Map<number, DecisionPart>();
    for (let start = 0; start < numbers.length; ) {
      const part = this.#knownPart(numbers, start, changed) ?? this.#digestPart(numbers, start);
      parts.set(numbers[start] ?? 0, part);
      start = part.end;
    }
    return parts;
  }

  /** A part that was digested before and begins here; where it ends depends on nothing but what is in it. */
  #knownPart(numbers: Uint32Array, start: number, changed: readonly number[] | null): DecisionPart | null {
    const known = this.#known?.decisions.get(numbers[start] ?? 0);
    const before = this.#known?.tables.decisionNumbers;
    if (known === undefined || before === undefined) return null;
    const end = start + known.end - known.start;
    if (end > numbers.length || (!known.isClosed && end !== numbers.length)) return null;
    const isUntouched = changed?.every((place) => place < start || place >= end) ?? before === numbers;
    if (known.start !== start || !isUntouched) {
      for (let at = start; at < end; at++) if (before[known.start + at - start] !== numbers[at]) return null;
    }
    return { ...known, start, end };
  }

  #digestPart(numbers: Uint32Array, start: number): DecisionPart {
    const writer = this.#writer;
    writer.clear();
    const limit = Math.min(numbers.length, start + MAX_DECISIONS_IN_PART);
    for (let at = start; at < limit; at++) {
      const from = writer.length;
      encodeDecision(this.#decisions, numbers[at] ?? 0, writer);
      const isClosed = at + 1 - start === MAX_DECISIONS_IN_PART || writer.fingerprint(from) % DECISIONS_IN_PART === 0;
      if (isClosed) return { start, end: at + 1, isClosed, digest: this.#hash([writer.written()]) };
    }
    return { start, end: limit, isClosed: false, digest: this.#hash([writer.written()]) };
  }

  #hash(pieces: readonly Uint8Array[]): Uint8Array {
    const hash = this.#createSha256();
    for (const piece of pieces) hash.update(piece);
    return hash.digest();
  }
}

interface NumericTable {
  readonly rows: number;
  /** Where each part begins, and where the last one ends. */
  readonly starts: readonly number[];
  /** Some have several numbers in a row. Making them may take as long as they are. */
  readonly columns: () => readonly Column[];
  /** The rows from one to before another, of each column. */
  readonly cut: (from: number, to: number) => readonly Column[];
}

/** Among them. */
const PORTS = 3;

function numericTables({ addresses4, addresses6, classes, ports }: ProgramColumns): readonly NumericTable[] {
  return [
    byRow([addresses4.lows, addresses4.prefixLengths, addresses4.atoms]),
    byRow([addresses6.bytes, addresses6.prefixLengths, addresses6.atoms]),
    byRow([classes.sets, classes.directions, classes.atoms, classes.classIds]),
    {
      rows: ports.classIds.length,
      starts: startsByClass(ports.classIds),
      columns: () => [ports.classIds, ports.lows, ports.highs, ports.decisions],
      cut: (from, to) => cutPorts(ports, from, to),
    },
  ];
}

/** The last column has one number in each row. */
function byRow(columns: readonly Column[]): NumericTable {
  const rows = columns.at(-1)?.length ?? 0;
  const cut = (from: number, to: number) => columns.map((column) => cutRows(column, rows, from, to));
  return { rows, starts: startsByRow(rows), columns: () => columns, cut };
}

function cutRows(column: Column, rows: number, from: number, to: number): Column {
  const width = column.length / rows;
  return column.subarray(from * width, to * width);
}

/** Whole classes. */
function cutPorts(ports: PortColumns, from: number, to: number): readonly Column[] {
  const patch = patchOfPorts(ports);
  const classIds = ports.classIds.subarray(from, to);
  const names = ["lows", "highs", "decisions"] as const;
  if (patch === null) return [classIds, ...names.map((name) => ports[name].subarray(from, to))];
  const within = [...patch.changed.values()].filter((rows) => rows.from >= from && rows.from < to);
  const patched = names.map((name) => {
    const column = patch.base[name].slice(from, to);
    for (const rows of within) column.set(rows[name], rows.from - from);
    return column;
  });
  return [classIds, ...patched];
}

function startsByRow(rows: number): readonly number[] {
  const starts: number[] = [];
  for (let start = 0; start < rows; start += ROWS_IN_PART) starts.push(start);
  return [...starts, rows];
}

/** Parts of whole classes, so that more or fewer ports in one of them leave the parts behind it what they were. */
function startsByClass(classIds: Uint32Array): readonly number[] {
  const starts: number[] = [];
  const partCount = classIds.length === 0 ? 0 : partOfClass(classIds.at(-1) ?? 0) + 1;
  for (let part = 0; part < partCount; part++) starts.push(firstOfClass(classIds, part * CLASSES_IN_PART + 1));
  return [...starts, classIds.length];
}

/** Classes are numbered from 1. */
function partOfClass(classId: number): number {
  return Math.floor((classId - 1) / CLASSES_IN_PART);
}

function isSamePart(list: NumericTable, before: NumericTable, part: number): boolean {
  const [start, end] = [list.starts[part] ?? 0, list.starts[part + 1] ?? 0];
  const [otherStart, otherEnd] = [before.starts[part] ?? 0, before.starts[part + 1] ?? 0];
  const others = before.columns();
  return list.columns().every((column, place) => {
    const other = others[place];
    if (other === undefined || column === other) return other !== undefined;
    return isEqualColumn(cutRows(column, list.rows, start, end), cutRows(other, before.rows, otherStart, otherEnd));
  });
}

const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Lowest byte first on every machine. */
function bytesOf(column: Column): Uint8Array {
  if (column instanceof Uint8Array) return column;
  if (IS_LITTLE_ENDIAN) return new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
  const bytes = new DataView(new ArrayBuffer(column.byteLength));
  for (const [place, word] of column.entries()) bytes.setUint32(place * 4, word, true);
  return new Uint8Array(bytes.buffer);
}

function wordOf(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}
