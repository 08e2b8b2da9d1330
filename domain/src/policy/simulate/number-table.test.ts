import { expect, it } from "vitest";
import { NumberTable } from "./number-table.ts";

it("gives each key one number, in the order in which they came, however many there are", () => {
  const table = new NumberTable();
  const key = (index: number) => [index % 7, -index, index >> 3, (index * 65_537) | 0, index & 1] as const;
  for (let index = 0; index < 20_000; index++) {
    expect(table.size).toBe(index);
    expect(table.numberOf(...key(index))).toBe(index);
  }
  for (let index = 0; index < 20_000; index++) expect(table.numberOf(...key(index))).toBe(index);
  expect(table.size).toBe(20_000);
});
