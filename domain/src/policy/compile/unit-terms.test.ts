import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Term } from "./rule-expander.ts";
import { UnitTerms } from "./unit-terms.ts";
import { ANY_ADDRESS } from "./units.ts";

const term = (id: number): Term => ({ id, rule: {} as Term["rule"], place: 0, ports: null, units: [] });

describe("the terms of units", () => {
  it.each([
    ["many", 1_000],
    ["few", 1],
  ])("are those of a map, for %s of the units", (_name, termCount) => {
    const unit = fc.integer({ min: ANY_ADDRESS, max: 3_000 });
    const steps = fc.array(fc.record({ unit, isGone: fc.boolean() }), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (all) => {
        const terms = new UnitTerms(termCount, 2_000);
        const map = new Map<number, Term>();
        for (const [id, { unit, isGone }] of all.entries()) {
          if (isGone) {
            terms.delete(unit);
            map.delete(unit);
          } else {
            const one = term(id);
            terms.set(unit, one);
            map.set(unit, one);
          }
          expect(terms.get(unit)).toBe(map.get(unit));
          expect(terms.has(unit)).toBe(map.has(unit));
        }
        const order = (units: Iterable<number>) => [...units].toSorted((left, right) => left - right);
        expect(order(terms.keys())).toEqual(order(map.keys()));
        for (const [one, own] of map) expect(terms.get(one)).toBe(own);
      }),
      { numRuns: 200 },
    );
  });
});
