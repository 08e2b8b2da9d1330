/**
 * Columns of numbers as one blob. Samples are kept in blocks of columns, not as rows: a row of fifteen numbers costs SQLite
 * about 50 bytes and 300 ns to read, a column of a block one to four bytes and a nanosecond, and a checksum says whether
 * the disk gave back what was written.
 *
 * Layout, little-endian: u32 checksum of the rest, u16 number of columns, u16 nothing, u32 number of rows, u32 nothing; for
 * each column f64 base, f64 scale, u32 bytes of a value (0 = all are the base), u32 nothing; then the columns in order, each
 * from a multiple of 8. A value is `base + scale * stored`.
 */
import { crc32 } from "node:zlib";

const HEADER_BYTES = 16;
const COLUMN_HEADER_BYTES = 24;
/** Times are mostly whole seconds. */
const SCALES = [1000, 1] as const;
const MAX_ROWS = 16_000_000;

/** The blob is not what was written. */
export class DamagedBlock extends Error {}

interface Packing {
  readonly base: number;
  readonly scale: number;
  readonly width: 0 | 1 | 2 | 4 | 8;
}

/** Values must be finite. */
export function packColumns(columns: readonly Float64Array[], rows: number): Uint8Array {
  const packings = columns.map((column) => packingOf(column, rows));
  let size = HEADER_BYTES + columns.length * COLUMN_HEADER_BYTES;
  for (const { width } of packings) size += aligned(width * rows);
  const blob = new Uint8Array(size);
  const view = new DataView(blob.buffer);
  view.setUint16(4, columns.length, true);
  view.setUint32(8, rows, true);
  let at = HEADER_BYTES + columns.length * COLUMN_HEADER_BYTES;
  for (const [index, packing] of packings.entries()) {
    const header = HEADER_BYTES + index * COLUMN_HEADER_BYTES;
    view.setFloat64(header, packing.base, true);
    view.setFloat64(header + 8, packing.scale, true);
    view.setUint32(header + 16, packing.width, true);
    store(columns[index]!, rows, packing, blob.buffer, at);
    at += aligned(packing.width * rows);
  }
  view.setUint32(0, crc32(blob.subarray(4)), true);
  return blob;
}

function aligned(bytes: number): number {
  return (bytes + 7) & ~7;
}

function packingOf(column: Float64Array, rows: number): Packing {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let isWhole = true;
  for (let row = 0; row < rows; row++) {
    const value = column[row]!;
    if (value < low) low = value;
    if (value > high) high = value;
    if (isWhole && !Number.isSafeInteger(value)) isWhole = false;
  }
  if (rows === 0) return { base: 0, scale: 1, width: 0 };
  if (low === high) return { base: low, scale: 1, width: 0 };
  const range = high - low;
  if (!isWhole || !Number.isSafeInteger(range)) return { base: 0, scale: 1, width: 8 };
  for (const scale of SCALES) {
    if (scale > 1 && !isMultiple(column, rows, low, scale)) continue;
    const most = range / scale;
    if (most <= 0xff) return { base: low, scale, width: 1 };
    if (most <= 0xffff) return { base: low, scale, width: 2 };
    if (most <= 0xffffffff) return { base: low, scale, width: 4 };
  }
  return { base: 0, scale: 1, width: 8 };
}

function isMultiple(column: Float64Array, rows: number, low: number, scale: number): boolean {
  for (let row = 0; row < rows; row++) if ((column[row]! - low) % scale !== 0) return false;
  return true;
}

function arrayOf(width: Packing["width"], buffer: ArrayBuffer, at: number, rows: number) {
  switch (width) {
    case 1:
      return new Uint8Array(buffer, at, rows);
    case 2:
      return new Uint16Array(buffer, at, rows);
    case 4:
      return new Uint32Array(buffer, at, rows);
    default:
      return new Float64Array(buffer, at, rows);
  }
}

function store(column: Float64Array, rows: number, { base, scale, width }: Packing, buffer: ArrayBuffer, at: number) {
  if (width === 0) return;
  const stored = arrayOf(width, buffer, at, rows);
  for (let row = 0; row < rows; row++) stored[row] = (column[row]! - base) / scale;
}

/** A blob whose checksum is right. Columns are read one by one, as they are needed. */
export class PackedColumns {
  readonly rows: number;
  readonly #buffer: ArrayBuffer;
  readonly #view: DataView;
  readonly #starts: number[] = [];

  /** @throws DamagedBlock */
  constructor(blob: Uint8Array) {
    const { byteOffset, byteLength } = blob;
    if (byteLength < HEADER_BYTES) throw new DamagedBlock("a block is cut off");
    // What SQLite gives is its own memory, anywhere: columns must begin at multiples of their width.
    const isUsable = byteOffset % 8 === 0 && blob.buffer instanceof ArrayBuffer;
    const bytes = isUsable ? blob : new Uint8Array(blob);
    this.#buffer = bytes.buffer as ArrayBuffer;
    this.#view = new DataView(this.#buffer, bytes.byteOffset, byteLength);
    if (this.#view.getUint32(0, true) !== crc32(bytes.subarray(4))) throw new DamagedBlock("a checksum is wrong");
    const count = this.#view.getUint16(4, true);
    this.rows = this.#view.getUint32(8, true);
    if (this.rows > MAX_ROWS || HEADER_BYTES + count * COLUMN_HEADER_BYTES > byteLength) {
      throw new DamagedBlock("a block has impossible numbers");
    }
    let at = HEADER_BYTES + count * COLUMN_HEADER_BYTES;
    for (let column = 0; column < count; column++) {
      this.#starts.push(at);
      at += aligned(this.#view.getUint32(HEADER_BYTES + column * COLUMN_HEADER_BYTES + 16, true) * this.rows);
    }
    if (at !== byteLength) throw new DamagedBlock("a block has another length than it says");
  }

  /** The values of a column in as many bytes as they were stored with, where they were stored as they are. */
  narrow(column: number): Uint8Array | Uint16Array | Uint32Array | Float64Array {
    const header = HEADER_BYTES + column * COLUMN_HEADER_BYTES;
    const width = this.#view.getUint32(header + 16, true) as Packing["width"];
    const start = this.#starts[column];
    const isPlain = this.#view.getFloat64(header, true) === 0 && this.#view.getFloat64(header + 8, true) === 1;
    if (isPlain && width !== 0 && start !== undefined) {
      return arrayOf(width, this.#buffer, this.#view.byteOffset + start, this.rows).slice();
    }
    const values = new Float64Array(this.rows);
    this.read(column, values);
    return values;
  }

  /**
   * Fills the first {@link rows} of the given array.
   * @param only these rows, where they are few: the others are left as they are
   */
  read(column: number, into: Float64Array, only: readonly number[] | null = null): void {
    const header = HEADER_BYTES + column * COLUMN_HEADER_BYTES;
    const base = this.#view.getFloat64(header, true);
    const scale = this.#view.getFloat64(header + 8, true);
    const width = this.#view.getUint32(header + 16, true) as Packing["width"];
    const { rows } = this;
    if (width === 0) {
      into.fill(base, 0, rows);
      return;
    }
    const start = this.#starts[column];
    if (start === undefined) throw new DamagedBlock("a block has fewer columns than it should");
    const at = this.#view.byteOffset + start;
    if (only && only.length < rows / 8) {
      const stored = arrayOf(width, this.#buffer, at, rows);
      for (const row of only) into[row] = base + scale * stored[row]!;
      return;
    }
    // A loop for each width: one that meets all of them is several times slower.
    if (width === 1) unpack8(new Uint8Array(this.#buffer, at, rows), into, base, scale);
    else if (width === 2) unpack16(new Uint16Array(this.#buffer, at, rows), into, base, scale);
    else if (width === 4) unpack32(new Uint32Array(this.#buffer, at, rows), into, base, scale);
    else unpack64(new Float64Array(this.#buffer, at, rows), into, base, scale);
  }
}

function unpack8(stored: Uint8Array, into: Float64Array, base: number, scale: number): void {
  for (let row = 0; row < stored.length; row++) into[row] = base + scale * stored[row]!;
}

function unpack16(stored: Uint16Array, into: Float64Array, base: number, scale: number): void {
  for (let row = 0; row < stored.length; row++) into[row] = base + scale * stored[row]!;
}

function unpack32(stored: Uint32Array, into: Float64Array, base: number, scale: number): void {
  for (let row = 0; row < stored.length; row++) into[row] = base + scale * stored[row]!;
}

function unpack64(stored: Float64Array, into: Float64Array, base: number, scale: number): void {
  for (let row = 0; row < stored.length; row++) into[row] = base + scale * stored[row]!;
}
