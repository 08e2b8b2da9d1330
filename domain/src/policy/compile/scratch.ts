/** Room for numbers that are needed while tables are put together, used again for the next ones. */
import { withRoomForBytes, withRoomUnsigned } from "./growing.ts";

export type Column = Uint8Array | Uint32Array;
export type Columns = Readonly<Record<string, Column>>;

export class Scratch {
  readonly #words = new Map<string, Uint32Array<ArrayBuffer>>();
  readonly #bytes = new Map<string, Uint8Array<ArrayBuffer>>();

  /** So many numbers with whatever is in them. Valid until somebody asks for the same name again. */
  words(name: string, length: number): Uint32Array<ArrayBuffer> {
    const room = withRoomUnsigned(this.#words.get(name) ?? new Uint32Array(0), length);
    this.#words.set(name, room);
    return room.subarray(0, length);
  }

  /** As {@link words}. */
  bytes(name: string, length: number): Uint8Array<ArrayBuffer> {
    const room = withRoomForBytes(this.#bytes.get(name) ?? new Uint8Array(0), length);
    this.#bytes.set(name, room);
    return room.subarray(0, length);
  }
}

/** The columns `before` where all are equal to the `made` ones; otherwise a new table with a copy of those that are not. */
export function keepEqual<Table extends { readonly [Name in keyof Table]: Column }>(
  made: Table,
  before: Table | undefined,
): Table {
  const kept = { ...made };
  let isSame = before !== undefined;
  for (const name of Object.keys(made) as (keyof Table)[]) {
    const own = made[name];
    const other = before?.[name];
    if (other !== undefined && isEqualColumn(own, other)) kept[name] = other;
    else {
      kept[name] = own.slice() as Table[keyof Table];
      isSame = false;
    }
  }
  return isSame && before !== undefined ? before : kept;
}

export function isEqualColumn(one: Column, other: Column): boolean {
  if (one === other) return true;
  if (one.length !== other.length) return false;
  // A loop for each kind: one that meets both is several times slower.
  if (one instanceof Uint32Array) return other instanceof Uint32Array && isEqualWords(one, other);
  return other instanceof Uint8Array && isEqualBytes(one, other);
}

function isEqualWords(one: Uint32Array, other: Uint32Array): boolean {
  for (let place = 0; place < one.length; place++) if (one[place] !== other[place]) return false;
  return true;
}

function isEqualBytes(one: Uint8Array, other: Uint8Array): boolean {
  for (let place = 0; place < one.length; place++) if (one[place] !== other[place]) return false;
  return true;
}
