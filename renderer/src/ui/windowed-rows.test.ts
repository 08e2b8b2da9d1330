/** The rows in sight are those that a look at every row finds, for any heights and any place. */
import { describe, expect, it } from "vitest";
import { placesOf, rowsBetween } from "./windowed-rows.ts";

describe("rows in sight", () => {
  it("are all that touch the window, those beside them, and no others", () => {
    let state = 11;
    const below = (limit: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return (state >>> 8) % limit;
    };
    for (let round = 0; round < 500; round++) {
      const heights = Array.from({ length: below(60) }, () => 1 + below(70));
      const places = placesOf(heights.length, (index) => heights[index] ?? 0);
      const top = below(1_500);
      const bottom = top + below(400);
      const more = below(4);
      let start = 0;
      const touching = heights.flatMap((height, index) => {
        const end = start + height;
        const isTouching = start <= bottom && end > top;
        start = end;
        return isTouching ? [index] : [];
      });
      expect(places.at(-1)).toBe(start);
      const rows = rowsBetween(places, top, bottom, more);
      const found = rows.map(({ index }) => index);
      for (const index of touching) expect(found, `round ${round}`).toContain(index);
      if (touching.length > 0) {
        expect(found[0]).toBe(Math.max(0, (touching[0] ?? 0) - more));
        expect(found.at(-1)).toBe(Math.min(heights.length - 1, (touching.at(-1) ?? 0) + more));
      }
      for (const { index, start: from, end } of rows) expect(end - from).toBe(heights[index]);
    }
  });

  it("are none of an empty list, and the last ones of a list that became shorter than where one stands", () => {
    expect(
      rowsBetween(
        placesOf(0, () => 10),
        0,
        500,
        5,
      ),
    ).toEqual([]);
    expect(
      rowsBetween(
        placesOf(3, () => 10),
        5_000,
        5_400,
        1,
      ).map(({ index }) => index),
    ).toEqual([2]);
  });
});
