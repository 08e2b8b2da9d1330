/**
 * One order for the addresses of several partitions, of which there may be hundreds of thousands: numbers are sorted without
 * comparing them, and only IPv6 addresses as texts.
 */
import { fileDimension } from "./group-tables.ts";
import type { OpenFile } from "./open-file.ts";
import { orderOf } from "./radix-order.ts";

/** IPv4 is kept in its mapped form; as hex() says it. */
const MAPPED = "00000000000000000000FFFF";

const UNKNOWN = 0xffffffff;

/** Addresses of one file by their numbers in its dictionary. */
interface Addresses {
  readonly most: number;
  readonly ids: readonly number[];
  readonly keys: readonly number[];
  readonly others: readonly Other[];
  /** Of folded flows that had different ends. */
  readonly unknown: readonly number[];
}

/** Not IPv4. */
interface Other {
  readonly id: number;
  readonly key: string;
}

const known = new WeakMap<OpenFile, { readonly version: number; readonly addresses: Addresses }>();

/** What the series of one file have in a dimension. */
export interface SeriesAddresses {
  readonly addresses: Addresses;
  readonly numbers: Float64Array;
}

/** Of the state of the file that is being read. */
export function seriesAddresses(file: OpenFile, dimension: "source" | "destination" | "peer"): SeriesAddresses {
  const version = file.version();
  let kept = known.get(file);
  if (kept?.version !== version) {
    kept = { version, addresses: readAddresses(file) };
    known.set(file, kept);
  }
  return { addresses: kept.addresses, numbers: fileDimension(file, dimension).numbers };
}

function readAddresses(file: OpenFile): Addresses {
  const [ids, keys, others, unknown]: [number[], number[], Other[], number[]] = [[], [], [], []];
  let most = 0;
  for (const [id, key] of file.rows<[number, string]>("SELECT id, hex(key) FROM addresses", {})) {
    if (id > most) most = id;
    if (key === "") unknown.push(id);
    else if (key.startsWith(MAPPED)) {
      ids.push(id);
      keys.push(Number.parseInt(key.slice(MAPPED.length), 16));
    } else others.push({ id, key });
  }
  others.sort((a, b) => compare(a.key, b.key));
  return { most, ids, keys, others, unknown };
}

/**
 * By number of the series, for each file: the rank of its address among all, and how many ranks there are. Those that are not
 * known come last.
 */
export function rankAddresses(
  files: readonly SeriesAddresses[],
  isAscending: boolean,
): { readonly ranks: readonly Uint32Array[]; readonly count: number } {
  const rankOf = files.map(({ addresses }) => new Uint32Array(addresses.most + 1));
  const others = files
    .flatMap(({ addresses }, file) => addresses.others.map(({ id, key }) => ({ file, id, key })))
    .sort((a, b) => compare(a.key, b.key));
  const keys = Float64Array.from(files.flatMap(({ addresses }) => addresses.keys));
  const ids = files.flatMap(({ addresses }) => addresses.ids);
  const fileOf = files.flatMap(({ addresses }, file) => new Array<number>(addresses.ids.length).fill(file));
  const firstAfter = others.findIndex(({ key }) => key > MAPPED);
  const split = firstAfter < 0 ? others.length : firstAfter;
  let count = 0;
  const rankTexts = (from: number, to: number) => {
    for (let at = from; at < to; at++) {
      const { file, id, key } = others[at]!;
      if (at === from || key !== others[at - 1]!.key) count++;
      rankOf[file]![id] = count - 1;
    }
  };
  rankTexts(0, split);
  const order = orderOf(keys, keys.length);
  for (let next = 0; next < order.length; next++) {
    const at = order[next]!;
    if (next === 0 || keys[at] !== keys[order[next - 1]!]) count++;
    rankOf[fileOf[at]!]![ids[at]!] = count - 1;
  }
  rankTexts(split, others.length);
  const ranks = files.map(({ numbers, addresses: { unknown } }, file) => {
    const own = rankOf[file]!;
    for (const id of unknown) own[id] = UNKNOWN;
    const bySeries = new Uint32Array(numbers.length);
    for (let id = 1; id < bySeries.length; id++) {
      const rank = own[numbers[id]!]!;
      bySeries[id] = rank === UNKNOWN ? count : isAscending ? rank : count - 1 - rank;
    }
    return bySeries;
  });
  return { ranks, count: count + 1 };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
