import { cidrOfAddress, formatAddress, parseAddress } from "../address.ts";
import type { Cidr } from "../model.ts";
import { type RangeSet, union } from "./range-set.ts";

const IPV4_END = 2 ** 32;
const IPV6_END = 1n << 128n;

/**
 * The IPv4 and IPv6 addresses, cut wherever one of the given prefixes begins or ends. The pieces are numbered in order,
 * IPv4 first, so that a prefix is one range of numbers and every question about addresses is one about numbers.
 */
export class AddressAtoms {
  /** Without the end of the last one, which does not fit. */
  readonly #starts4: Uint32Array;
  readonly #starts6: readonly bigint[];
  readonly #numbers6: ReadonlyMap<bigint, number>;
  /** Every address of both families. */
  readonly all: RangeSet;
  readonly all4: RangeSet;
  readonly all6: RangeSet;

  constructor(prefixes: Iterable<Cidr>) {
    const cuts4 = [0];
    const cuts6 = new Set([0n, IPV6_END]);
    for (const prefix of prefixes) {
      if (prefix.family === 4) {
        const start = start4(prefix);
        const end = start + size4(prefix);
        cuts4.push(start);
        if (end < IPV4_END) cuts4.push(end);
      } else {
        const [start, end] = edges6(prefix);
        cuts6.add(start).add(end);
      }
    }
    this.#starts4 = sortedOnce(Uint32Array.from(cuts4));
    this.#starts6 = [...cuts6].sort((left, right) => (left < right ? -1 : 1));
    const count4 = this.#starts4.length;
    this.#numbers6 = new Map(this.#starts6.map((start, index) => [start, count4 + index]));
    const end = count4 + this.#starts6.length - 1;
    this.all4 = [0, count4];
    this.all6 = [count4, end];
    this.all = [0, end];
  }

  /** The atoms of a prefix that the space was cut for. */
  ofPrefix(prefix: Cidr): RangeSet {
    const found = this.#find(prefix);
    if (found === null) throw new Error("the space is not cut for this prefix");
    return found;
  }

  isCutFor(prefix: Cidr): boolean {
    return this.#find(prefix) !== null;
  }

  #find(prefix: Cidr): RangeSet | null {
    let start: number | undefined;
    let end: number | undefined;
    if (prefix.family === 4) {
      const first = start4(prefix);
      start = this.#number4(first);
      end = this.#number4(first + size4(prefix));
    } else {
      const edges = edges6(prefix);
      start = this.#numbers6.get(edges[0]);
      end = this.#numbers6.get(edges[1]);
    }
    return start === undefined || end === undefined ? null : [start, end];
  }

  /** A search instead of a table: there may be hundreds of thousands of them, and most are asked for once. */
  #number4(edge: number): number | undefined {
    const starts = this.#starts4;
    if (edge === IPV4_END) return starts.length;
    const at = atomOf4(starts, edge);
    return starts[at] === edge ? at : undefined;
  }

  /** The atoms of addresses that the space was cut for; what is no address is left out. */
  ofAddresses(texts: Iterable<string>): RangeSet {
    const ranges: RangeSet[] = [];
    for (const text of texts) {
      const address = parseAddress(text);
      if (address.ok) ranges.push(this.ofPrefix(cidrOfAddress(address)));
    }
    return union(...ranges);
  }

  /** The atom that an address is in; `null` for what is no address. */
  atomOf(text: string): number | null {
    const address = parseAddress(text);
    if (!address.ok) return null;
    const prefix = cidrOfAddress(address);
    if (prefix.family === 4) return atomOf4(this.#starts4, start4(prefix));
    return this.all4[1]! + atomOf6(this.#starts6, edges6(prefix)[0]);
  }

  /** The first address of an atom as text, but never the all-zero one where the atom has another. */
  sample(atom: number): string {
    const count4 = this.all4[1]!;
    if (atom < count4) {
      const start = this.#starts4[atom]!;
      const value = start === 0 && this.#starts4[atom + 1] !== 1 ? 1 : start;
      return formatAddress(Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff));
    }
    const start = this.#starts6[atom - count4]!;
    return formatAddress(bytes6(start === 0n && this.#starts6[atom - count4 + 1]! > 1n ? 1n : start));
  }
}

/** The last start that is not above the address. Two functions, each for one kind of list, because they are asked often. */
function atomOf4(starts: Uint32Array, address: number): number {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= address) low = middle;
    else high = middle;
  }
  return low;
}

function atomOf6(starts: readonly bigint[], address: bigint): number {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= address) low = middle;
    else high = middle;
  }
  return low;
}

function sortedOnce(numbers: Uint32Array): Uint32Array {
  numbers.sort();
  let count = 0;
  for (const number of numbers) {
    if (count > 0 && numbers[count - 1] === number) continue;
    numbers[count] = number;
    count += 1;
  }
  return numbers.slice(0, count);
}

function start4({ bytes }: Cidr): number {
  return bytes[0]! * 0x100_0000 + bytes[1]! * 0x1_0000 + bytes[2]! * 0x100 + bytes[3]!;
}

function size4({ prefixLength }: Cidr): number {
  return 2 ** (32 - prefixLength);
}

function edges6({ bytes, prefixLength }: Cidr): readonly [bigint, bigint] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const start = (view.getBigUint64(0) << 64n) | view.getBigUint64(8);
  return [start, start + (1n << BigInt(128 - prefixLength))];
}

function bytes6(value: bigint): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, value >> 64n);
  view.setBigUint64(8, value & 0xffff_ffff_ffff_ffffn);
  return bytes;
}
