import { describe, expect, it } from "vitest";
import { listOf } from "../hooks/use-live-rows.ts";
import { rankOf } from "./row-list.ts";
import { countOf, everything, extendedTo, has, NOTHING_SELECTED, only, rankRanges, toggled } from "./selection.ts";

/** Small and repeatable. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
}

const itself = {
  listed: 30,
  keyAt: (rank: number) => rank,
  rankAtOrAfter: (key: number) => Math.max(0, Math.min(30, key)),
};
/** As ids of a live list: newest first, with holes where others were filtered away. */
const ids = [97, 96, 90, 88, 87, 86, 70, 69, 44, 43, 42, 12, 11, 10, 3, 2, 1];
const live = listOf(
  ids.map((id) => ({ id: BigInt(id) }) as never),
  true,
);

describe.each([
  ["ranks", itself],
  ["ids", live],
])("a selection by %s", (_name, rows) => {
  it("is what the same steps make of a set of rows", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const next = random(seed);
      let selection = NOTHING_SELECTED;
      let anchor = 0;
      let expected = new Set<number>();
      for (let step = 0; step < 25; step++) {
        const rank = Math.floor(next() * rows.listed);
        const key = rows.keyAt(rank);
        const kind = next();
        if (kind < 0.3) {
          selection = only(key);
          expected = new Set([rank]);
          anchor = rank;
        } else if (kind < 0.55 && selection.anchor !== null) {
          selection = extendedTo(selection, key);
          const [from, to] = [Math.min(anchor, rank), Math.max(anchor, rank)];
          expected = new Set(Array.from({ length: to - from + 1 }, (_, index) => from + index));
        } else if (kind < 0.95) {
          selection = toggled(selection, key, rows);
          if (!expected.delete(rank)) expected.add(rank);
          anchor = rank;
        } else {
          selection = everything(rows);
          expected = new Set(Array.from({ length: rows.listed }, (_, index) => index));
          anchor = 0;
        }
        const chosen = Array.from({ length: rows.listed }, (_, index) => index).filter((index) =>
          has(selection, rows.keyAt(index)),
        );
        expect({ seed, step, chosen }).toEqual({ seed, step, chosen: [...expected].sort((a, b) => a - b) });
        expect(countOf(selection, rows)).toBe(expected.size);
        const ranks = rankRanges(selection, rows).flatMap(([from, until]) =>
          Array.from({ length: until - from }, (_, index) => from + index),
        );
        expect(ranks).toEqual(chosen);
      }
    }
  });
});

it("stays with its rows when newer ones come above and old ones leave", () => {
  const later = listOf(
    [120, 110, ...ids.slice(0, 8)].map((id) => ({ id: BigInt(id) }) as never),
    true,
  );
  const selection = extendedTo(only(live.keyAt(1)), live.keyAt(9));
  expect(countOf(selection, live)).toBe(9);
  expect(countOf(selection, later)).toBe(7);
  expect(rankRanges(selection, later)).toEqual([[3, 10]]);
  expect(rankOf(later, live.keyAt(1))).toBe(3);
  expect(rankOf(later, live.keyAt(9))).toBe(-1);
});
