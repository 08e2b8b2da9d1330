/** Spaces of decisions by number, each once, and what is made of pairs of them. */
import { type BuiltinName, ESSENTIAL_ICMP } from "../builtin.ts";
import type { AddressClass } from "./address-space.ts";
import type { DecisionBook } from "./decisions.ts";
import {
  combineSpaces,
  constantSpace,
  coveredSpace,
  hasValue,
  type PortSpace,
  spaceKey,
  truthKey,
} from "./port-space.ts";

/** Two decision numbers in one number: that of the source's egress and that of the destination's ingress. */
export type DecisionPair = number;

const PAIR_BASE = 2 ** 26;

export function pairOf(egress: number, ingress: number): DecisionPair {
  return egress * PAIR_BASE + ingress;
}

export function decisionsOfPair(pair: DecisionPair): { readonly egress: number; readonly ingress: number } {
  return { egress: Math.floor(pair / PAIR_BASE), ingress: pair % PAIR_BASE };
}

export class SpaceBook {
  readonly #decisions: DecisionBook;
  readonly #spaces: PortSpace<number>[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #pairs = new Map<number, PortSpace<DecisionPair>>();
  readonly #withIcmp = new Map<string, number>();
  readonly #allowedKeys: string[] = [];
  readonly #allowsSomething: boolean[] = [];

  constructor(decisions: DecisionBook) {
    this.#decisions = decisions;
  }

  intern(space: PortSpace<number>): number {
    const key = spaceKey(space);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#spaces.push(space) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }

  /** For a space that is known to be new, or that is not worth to be looked for. */
  add(space: PortSpace<number>): number {
    return this.#spaces.push(space) - 1;
  }

  space(number: number): PortSpace<number> {
    const space = this.#spaces[number];
    if (!space) throw new Error(`there is no space ${number}`);
    return space;
  }

  /** What is decided before any policy, laid over what policies decide about a remote address of the class. */
  withBuiltins({ family, isLoopback }: AddressClass, number: number): number {
    if (isLoopback) return this.intern(constantSpace(this.#decisions.builtin("loopback")));
    const key = `${family} ${number}`;
    let known = this.#withIcmp.get(key);
    if (known === undefined) {
      known = this.intern(this.#overlayIcmp(family, this.space(number)));
      this.#withIcmp.set(key, known);
    }
    return known;
  }

  #overlayIcmp(family: 4 | 6, space: PortSpace<number>): PortSpace<number> {
    const names = [...new Set(ESSENTIAL_ICMP.map(({ builtin }) => builtin))];
    return names.reduce((below, name) => {
      const builtin = this.#decisions.builtin(name);
      return combineSpaces(coveredSpace(icmpRanges(name, family)), below, (isCovered, own) =>
        isCovered ? builtin : own,
      );
    }, space);
  }

  /** Both sides of a connection. */
  pair(egress: number, ingress: number): PortSpace<DecisionPair> {
    const key = pairOf(egress, ingress);
    let known = this.#pairs.get(key);
    if (!known) {
      known = combineSpaces(this.space(egress), this.space(ingress), pairOf);
      this.#pairs.set(key, known);
    }
    return known;
  }

  /** Whether it allows any port at all. */
  allowsSomething(number: number): boolean {
    let answer = this.#allowsSomething[number];
    if (answer === undefined) {
      answer = hasValue(this.space(number), (decision) => this.#decisions.allows(decision));
      this.#allowsSomething[number] = answer;
    }
    return answer;
  }

  /** Where the decisions allow, as text: equal texts = the same packets pass, in whichever world. */
  allowedKey(number: number): string {
    let key = this.#allowedKeys[number];
    if (key === undefined) {
      key = truthKey(this.space(number), (decision) => this.#decisions.allows(decision));
      this.#allowedKeys[number] = key;
    }
    return key;
  }
}

function icmpRanges(name: BuiltinName, family: 4 | 6): { protocol: number; low: number; high: number }[] {
  return ESSENTIAL_ICMP.filter((entry) => entry.builtin === name && entry.family === family).flatMap(
    ({ protocol, typeLow, typeHigh, code }) =>
      Array.from({ length: typeHigh - typeLow + 1 }, (_, index) => ({
        protocol,
        low: ((typeLow + index) << 8) | (code ?? 0),
        high: ((typeLow + index) << 8) | (code ?? 0xff),
      })),
  );
}
