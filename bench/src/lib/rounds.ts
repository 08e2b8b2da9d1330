/** One figure for each filter and round, and what to say about them. Rounds are compared by their number. */
import type { FilterName } from "./filters.ts";
import { rounded, type Summary, summarize, summarizeRatios } from "./statistics.ts";

/** `null` = not measured in that round. One of the names is "none": what the others are compared with. */
export class Rounds<Name extends string = FilterName> {
  readonly #samples: Map<Name, (number | null)[]>;

  constructor(filters: readonly { readonly name: Name }[]) {
    this.#samples = new Map(filters.map(({ name }) => [name, []]));
  }

  set(name: Name, round: number, value: number): void {
    const own = this.#samples.get(name);
    if (!own) throw new RangeError(name);
    while (own.length < round) own.push(null);
    own[round] = value;
  }

  /** Pairs of one round where both were measured. */
  pairs(left: Name, right: Name | "none"): { readonly left: number[]; readonly right: number[] } {
    const other = this.#samples.get(right as Name) ?? [];
    const both = (this.#samples.get(left) ?? []).flatMap((value, round) => {
      const beside = other[round] ?? null;
      return value === null || beside === null ? [] : [[value, beside] as const];
    });
    return { left: both.map(([value]) => value), right: both.map(([, value]) => value) };
  }

  /** The figure itself, how far it is from the one without a filter, and their ratio. `null` = never measured. */
  describe(name: Name, digits = 2): RoundSummary | null {
    const own = (this.#samples.get(name) ?? []).filter((value) => value !== null);
    if (own.length === 0) return null;
    const { left, right } = this.pairs(name, "none");
    const paired = left.length > 0;
    return {
      value: rounded(summarize(own), digits),
      overNone: paired
        ? rounded(summarize(left.map((value, index) => value - (right[index] ?? Number.NaN))), digits)
        : null,
      ratioToNone: paired ? rounded(summarizeRatios(left, right), 3) : null,
    };
  }

  ratio(left: Name, right: Name): Summary | null {
    const pairs = this.pairs(left, right);
    return pairs.left.length === 0 ? null : rounded(summarizeRatios(pairs.left, pairs.right), 3);
  }

  describeAll(digits = 2): Record<string, RoundSummary | null> {
    return Object.fromEntries([...this.#samples.keys()].map((name) => [name, this.describe(name, digits)]));
  }
}

export interface RoundSummary {
  readonly value: Summary;
  readonly overNone: Summary | null;
  readonly ratioToNone: Summary | null;
}
