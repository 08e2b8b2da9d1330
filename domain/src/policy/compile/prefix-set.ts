/** The prefixes that some units name, in order, each with the units that its addresses are in: as columns of numbers. */
import { withRoom } from "./growing.ts";
import { ListInterner } from "./interner.ts";
import type { PrefixTable } from "./prefix-table.ts";

/** Numbers of prefixes, some perhaps twice. An address in a prefix of `adds` is in the unit, unless a longer prefix of `removes` has it. */
export interface UnitContent {
  readonly adds: readonly number[];
  readonly removes: readonly number[];
}

/** Sorted by family, address and length, so that a prefix comes after those that enclose it. */
export interface PrefixSet {
  readonly prefixes: PrefixTable;
  /** Numbers of the prefixes. */
  readonly numbers: Int32Array;
  /** Place of the nearest enclosing prefix; -1 = none. */
  readonly parents: Int32Array;
  /** Numbers of signatures: of the units that addresses in the prefix, and in no longer one, are in. */
  readonly signatures: Int32Array;
}

/** The signature of addresses in no unit. */
export const NO_UNITS = 0;

const NOTHING: readonly number[] = [];
const NONE = -1;
/** In place of a unit: the prefix is named by several, or by one that also removes something. */
const SEVERAL = -2;

/** What some units say of one prefix, as sorted unit numbers. */
export interface PrefixNode {
  readonly adds: number[];
  readonly removes: number[];
}

/** Answers for any units of one table, whose contents only grow. Signatures keep their numbers from one answer to the next. */
export class SignedPrefixes {
  readonly #prefixes: PrefixTable;
  readonly #contents: readonly (UnitContent | number)[];
  readonly #signatures = new ListInterner();
  /** Numbers of those of more than one unit. */
  readonly #several: number[] = [];
  /** By unit: the signature of it alone. */
  #ofUnit = new Int32Array(0);
  /** By prefix that one unit names: what was asked about it last, and the answer. */
  #lastUnit = new Int32Array(0);
  #lastOuter = new Int32Array(0);
  #lastSignature = new Int32Array(0);
  #last: { readonly units: Int32Array; readonly set: PrefixSet } | null = null;

  constructor(prefixes: PrefixTable, contents: readonly (UnitContent | number)[]) {
    this.#prefixes = prefixes;
    this.#contents = contents;
    this.#signatures.intern(NOTHING);
  }

  signature(number: number): readonly number[] {
    const units = this.#signatures.lists[number];
    if (units === undefined) throw new Error(`there is no signature ${number}`);
    return units;
  }

  *signaturesWith(units: ReadonlySet<number>): Iterable<number> {
    for (const unit of units) {
      const alone = this.#ofUnit[unit] ?? NONE;
      if (alone !== NONE) yield alone;
    }
    for (const number of this.#several) {
      for (const unit of this.signature(number)) {
        if (!units.has(unit)) continue;
        yield number;
        break;
      }
    }
  }

  #numberOf(units: readonly number[]): number {
    const [first] = units;
    if (first !== undefined && units.length === 1) return this.#numberOfOne(first);
    const known = this.#signatures.lists.length;
    const number = this.#signatures.intern(units);
    if (number === known) this.#several.push(number);
    return number;
  }

  /** Most are of one unit: those are found by it, and nobody looks for them among the lists. */
  #numberOfOne(unit: number): number {
    let number = this.#ofUnit[unit] ?? NONE;
    if (number === NONE) {
      number = this.#signatures.add([unit]);
      this.#ofUnit[unit] = number;
    }
    return number;
  }

  of(units: Int32Array): PrefixSet {
    if (this.#last === null || (this.#last.units !== units && !isSameNumbers(this.#last.units, units))) {
      this.#last = { units, set: this.#sign(units) };
    }
    return this.#last.set;
  }

  #sign(units: Int32Array): PrefixSet {
    const prefixes = this.#prefixes;
    const { named, nodes, isNamed } = this.#nodesOf(units);
    const numbers = prefixes.sorted(isNamed);
    const parents = new Int32Array(numbers.length);
    const signatures = new Int32Array(numbers.length);
    let parent = NONE;
    for (let place = 0; place < numbers.length; place++) {
      const number = numbers[place] ?? 0;
      while (parent !== NONE && !prefixes.contains(numbers[parent] ?? 0, number)) parent = parents[parent] ?? NONE;
      parents[place] = parent;
      const outer = parent === NONE ? NO_UNITS : (signatures[parent] ?? NO_UNITS);
      const unit = named[number] ?? NONE;
      signatures[place] = unit >= 0 ? this.#inside(number, unit, outer) : this.#ofNode(nodes.get(number), outer);
      parent = place;
    }
    return { prefixes, numbers, parents, signatures };
  }

  /** By prefix: the one unit that adds it, or the nodes of those of which there is more to say. */
  #nodesOf(units: Int32Array) {
    const named = new Int32Array(this.#prefixes.count).fill(NONE);
    const isNamed = new Uint8Array(this.#prefixes.count);
    const nodes = new Map<number, PrefixNode>();
    const nodeOf = (prefix: number): PrefixNode => {
      const node = nodeIn(nodes, prefix);
      const alone = named[prefix] ?? NONE;
      if (alone >= 0) node.adds.push(alone);
      named[prefix] = SEVERAL;
      isNamed[prefix] = 1;
      return node;
    };
    for (const unit of units) {
      const content = this.#contents[unit];
      if (content === undefined) throw new Error(`there is no unit ${unit}`);
      if (typeof content !== "number") {
        for (const prefix of content.adds) appendOnce(nodeOf(prefix).adds, unit);
        for (const prefix of content.removes) appendOnce(nodeOf(prefix).removes, unit);
      } else if (named[content] === NONE) {
        named[content] = unit;
        isNamed[content] = 1;
      } else appendOnce(nodeOf(content).adds, unit);
    }
    this.#lastUnit = withRoom(this.#lastUnit, this.#prefixes.count, NONE);
    this.#lastOuter = withRoom(this.#lastOuter, this.#prefixes.count, NONE);
    this.#lastSignature = withRoom(this.#lastSignature, this.#prefixes.count, NONE);
    this.#ofUnit = withRoom(this.#ofUnit, this.#contents.length, NONE);
    return { named, nodes, isNamed };
  }

  /** The signature inside a prefix that one unit adds. */
  #inside(prefix: number, unit: number, outer: number): number {
    if (outer === NO_UNITS) return this.#numberOfOne(unit);
    if (this.#lastUnit[prefix] === unit && this.#lastOuter[prefix] === outer) return this.#lastSignature[prefix] ?? 0;
    const signature = this.#numberOf(signatureOf({ adds: [unit], removes: [] }, this.signature(outer)));
    this.#lastUnit[prefix] = unit;
    this.#lastOuter[prefix] = outer;
    this.#lastSignature[prefix] = signature;
    return signature;
  }

  #ofNode(node: PrefixNode | undefined, outer: number): number {
    return node === undefined ? outer : this.#numberOf(signatureOf(node, this.signature(outer)));
  }
}

function isSameNumbers(one: Int32Array, other: Int32Array): boolean {
  if (one.length !== other.length) return false;
  for (let place = 0; place < one.length; place++) if (one[place] !== other[place]) return false;
  return true;
}

export function nodeIn(nodes: Map<number, PrefixNode>, prefix: number): PrefixNode {
  let node = nodes.get(prefix);
  if (node === undefined) {
    node = { adds: [], removes: [] };
    nodes.set(prefix, node);
  }
  return node;
}

/** Units come in ascending order, so that a repeated one was the last. */
export function appendOnce(units: number[], unit: number): void {
  if (units[units.length - 1] !== unit) units.push(unit);
}

/** A unit that both adds and removes the very prefix does not have it. */
export function signatureOf({ adds, removes }: PrefixNode, inherited: readonly number[]): readonly number[] {
  if (inherited.length === 0 && removes.length === 0) return adds;
  const inside = new Set(inherited);
  for (const unit of adds) inside.add(unit);
  for (const unit of removes) inside.delete(unit);
  return [...inside].sort((left, right) => left - right);
}
