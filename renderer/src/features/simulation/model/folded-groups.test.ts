import { create } from "@bufbuild/protobuf";
import { SimulationGroupSchema } from "@wardline/api/wardline/console/v1/policies";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { foldGroups, portRanges } from "./folded-groups.ts";

const group = (to: string, port: number, flows: number, summary = "denied") =>
  create(SimulationGroupSchema, {
    ...{ from: "app=web", to, protocol: 6, port, flows: BigInt(flows) },
    example: { decision: { summary } },
  });

describe("foldGroups", () => {
  it("makes a scan one row where its first port stood, and leaves what carried traffic alone", () => {
    const scan = Array.from({ length: 20 }, (_, index) => group("db", index + 1, 2));
    const rows = foldGroups([group("db", 5432, 90), ...scan, group("api", 1, 1)]);
    expect(rows.map((row) => [row.group.port, row.groups.length, row.flows])).toEqual([
      [5432, 1, 90n],
      [1, 20, 40n],
      [1, 1, 1n],
    ]);
  });

  it("keeps apart what another rule decides", () => {
    const groups = Array.from({ length: 12 }, (_, index) => group("db", index, 1, `denied ${index % 2}`));
    expect(foldGroups(groups).map((row) => row.groups.length)).toEqual([6, 6]);
  });

  it("loses no group and counts none twice", () => {
    const anyGroup = fc
      .record({ to: fc.constantFrom("a", "b"), port: fc.nat(30), flows: fc.integer({ min: 1, max: 6 }) })
      .map(({ to, port, flows }) => group(to, port, flows));
    fc.assert(
      fc.property(fc.array(anyGroup, { maxLength: 60 }), (groups) => {
        const rows = foldGroups(groups);
        const kept = rows.flatMap((row) => row.groups);
        expect(new Set(kept)).toEqual(new Set(groups));
        expect(kept).toHaveLength(groups.length);
        expect(rows.reduce((sum, row) => sum + row.flows, 0n)).toBe(groups.reduce((sum, { flows }) => sum + flows, 0n));
      }),
    );
  });
});

describe("portRanges", () => {
  it("names ranges, lowest first, and counts the rest", () => {
    expect(portRanges([3, 1, 2, 443])).toBe("1–3, 443");
    expect(portRanges([1, 3, 5, 7, 9, 11, 12])).toBe("1, 3, 5, 7 and 3 more");
    expect(portRanges([8, 8])).toBe("8");
  });
});
