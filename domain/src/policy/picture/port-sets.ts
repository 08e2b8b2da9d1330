/** Sets of ports by number, over several worlds: equal numbers = the same ports. Nearly all pairs of places share few. */
import type { AccessModel } from "../access/index.ts";
import type { PortRangePart } from "../access/port-set.ts";
import {
  combineSpaces,
  constantSpace,
  hasValue,
  mapSpace,
  type PortSpace,
  partsOf,
  truthKey,
} from "../access/port-space.ts";

const isTrue = (value: boolean): boolean => value;

export class PortSets {
  readonly none: number;
  readonly all: number;
  readonly #spaces: PortSpace<boolean>[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #ofModel = new Map<AccessModel, number[]>();
  /** By operation and first set, then by second set. */
  readonly #joint: Map<number, number>[] = [];

  constructor() {
    this.none = this.intern(constantSpace(false));
    this.all = this.intern(constantSpace(true));
  }

  intern(space: PortSpace<boolean>): number {
    const key = truthKey(space, isTrue);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#spaces.push(space) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }

  /** What one end of a world lets through: the ports of a space of its decisions. */
  allowedBy(model: AccessModel, space: number): number {
    let known = this.#ofModel.get(model);
    if (!known) {
      known = [];
      this.#ofModel.set(model, known);
    }
    let number = known[space];
    if (number === undefined) {
      number = this.intern(mapSpace(model.spaces.space(space), (decision) => model.decisions.allows(decision)));
      known[space] = number;
    }
    return number;
  }

  both(one: number, other: number): number {
    if (one === other || other === this.all) return one;
    if (one === this.all) return other;
    return this.#combine(0, one, other, (left, right) => left && right);
  }

  either(one: number, other: number): number {
    if (one === other || other === this.none) return one;
    if (one === this.none) return other;
    return this.#combine(1, one, other, (left, right) => left || right);
  }

  without(one: number, other: number): number {
    if (one === other || other === this.all) return this.none;
    if (one === this.none || other === this.none) return one;
    return this.#combine(2, one, other, (left, right) => left && !right);
  }

  #combine(kind: number, one: number, other: number, combine: (left: boolean, right: boolean) => boolean): number {
    let known = this.#joint[one * 3 + kind];
    if (!known) {
      known = new Map();
      this.#joint[one * 3 + kind] = known;
    }
    let number = known.get(other);
    if (number === undefined) {
      number = this.intern(combineSpaces(this.space(one), this.space(other), combine));
      known.set(other, number);
    }
    return number;
  }

  space(number: number): PortSpace<boolean> {
    const space = this.#spaces[number];
    if (!space) throw new Error(`there is no set of ports ${number}`);
    return space;
  }

  isEmpty(number: number): boolean {
    return number === this.none || !hasValue(this.space(number), isTrue);
  }

  parts(number: number): readonly PortRangePart[] {
    return partsOf(this.space(number)).flatMap(({ value, ...part }) => (value ? [part] : []));
  }
}
