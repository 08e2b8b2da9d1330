import type { Term } from "./rule-expander.ts";
import { ANY_ADDRESS } from "./units.ts";

/** Units are counted from here. */
const FIRST_UNIT = ANY_ADDRESS;
/** One unit in so many, from where on a place for each unit is cheaper than a map. */
const DENSE = 8;

/** The terms of each unit: one alone, as most units have, or a list. */
export class UnitTerms {
  readonly #sparse: Map<number, Term | Term[]> | null;
  readonly #dense: (Term | Term[] | undefined)[] = [];

  /** For about `termCount` terms, of `unitCount` units that there are. */
  constructor(termCount: number, unitCount: number) {
    this.#sparse = termCount * DENSE < unitCount ? new Map() : null;
  }

  get(unit: number): Term | Term[] | undefined {
    return this.#sparse === null ? this.#dense[unit - FIRST_UNIT] : this.#sparse.get(unit);
  }

  has(unit: number): boolean {
    return this.get(unit) !== undefined;
  }

  set(unit: number, terms: Term | Term[]): void {
    if (this.#sparse !== null) {
      this.#sparse.set(unit, terms);
      return;
    }
    // Without gaps, which would make it slow.
    while (this.#dense.length < unit - FIRST_UNIT) this.#dense.push(undefined);
    this.#dense[unit - FIRST_UNIT] = terms;
  }

  delete(unit: number): void {
    if (this.#sparse !== null) this.#sparse.delete(unit);
    else if (this.has(unit)) this.#dense[unit - FIRST_UNIT] = undefined;
  }

  /** Those that have terms. */
  *keys(): Iterable<number> {
    if (this.#sparse !== null) {
      yield* this.#sparse.keys();
      return;
    }
    for (let place = 0; place < this.#dense.length; place++) {
      if (this.#dense[place] !== undefined) yield place + FIRST_UNIT;
    }
  }
}
