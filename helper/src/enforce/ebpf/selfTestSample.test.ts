import { compile, createLookup } from "@wardline/domain/policy";
import { arbitraryWorld, GENERATED_HOST_NAMES } from "@wardline/domain/policy/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type HandProgramOptions, type HandRule, handProgram } from "../../testing/handProgram.ts";
import { compareLists } from "./listChanges.ts";
import { reduceProgram, samplePackets } from "./selfTestSample.ts";

const TCP = 6;

/** One rule for each of so many addresses, one port each. */
function rules(count: number): readonly HandRule[] {
  return Array.from({ length: count }, (_, place) => {
    const remote = `10.1.${place >> 8}.${place & 255}`;
    return { direction: "ingress", remote, protocol: TCP, port: 1000 + place, verdict: "allow" } as const;
  });
}

/** Decisions by what they are about, so that two programs can be compared as compiled ones can. */
function programOf(options: HandProgramOptions) {
  const program = handProgram(options);
  const decisions = program.decisions.map((decision, index) => {
    const rule = options.rules[index - 18];
    return rule === undefined ? decision : { ...decision, id: `${rule.remote} ${rule.port}`.padStart(16, "0") };
  });
  return { ...program, decisions };
}

describe("samplePackets", () => {
  it.each([0, 200, 399])("asks about a rule that came or went at place %i of 400", (place) => {
    const all = rules(400);
    const many = programOf({ rules: all });
    const fewer = programOf({ rules: all.filter((_, position) => position !== place) });
    const { remote, port } = all[place] as HandRule;
    const added = samplePackets(many, fewer);
    expect(added).toContainEqual({ set: 0, direction: "ingress", remote, protocol: TCP, port });
    const removed = samplePackets(fewer, many);
    expect(removed).toContainEqual({ set: 0, direction: "ingress", remote, protocol: TCP, port });
  });

  it("asks about a rule that got another port, by both ports", () => {
    const all = rules(300);
    const changed = all.map((rule, place) => (place === 150 ? { ...rule, port: 9 } : rule));
    const packets = samplePackets(programOf({ rules: changed }), programOf({ rules: all }));
    const { remote } = all[150] as HandRule;
    for (const port of [9, 1150])
      expect(packets).toContainEqual({ set: 0, direction: "ingress", remote, protocol: TCP, port });
  });

  it("asks a few hundred packets of a program of any size", () => {
    const small = samplePackets(programOf({ rules: rules(2) }), null);
    const large = samplePackets(programOf({ rules: rules(4000) }), programOf({ rules: rules(1) }));
    expect(small.length).toBeGreaterThan(10);
    expect(large.length).toBeLessThan(300);
  });
});

describe("reduceProgram", () => {
  it("decides the sampled packets as the whole program does", () => {
    const worlds = fc.tuple(arbitraryWorld({ maxPolicies: 10 }), fc.constantFrom(...GENERATED_HOST_NAMES));
    fc.assert(
      fc.property(worlds, worlds, ([world, host], [other, otherHost]) => {
        const program = compile(world, host);
        const packets = samplePackets(program, compile(other, otherHost));
        const [whole, reduced] = [createLookup(program), createLookup(reduceProgram(program, packets))];
        for (const packet of packets) expect(reduced(packet).index).toBe(whole(packet).index);
      }),
      { numRuns: 60 },
    );
  });
});

describe("compareLists", () => {
  const compare = (before: string, after: string) => {
    const { added, removed } = compareLists(before.length, after.length, (one, other) => before[one] === after[other]);
    return [[...added].map((place) => after[place]).join(""), [...removed].map((place) => before[place]).join("")];
  };

  it.each([
    ["abcdef", "abcdef", "", ""],
    ["abcdef", "abXcdef", "X", ""],
    ["abcdef", "abdef", "", "c"],
    ["abcdef", "abXdef", "X", "c"],
    ["abcdef", "Xabcdef", "X", ""],
    ["abcdef", "abcdefX", "X", ""],
    ["abcdef", "", "", "abcdef"],
    ["", "ab", "ab", ""],
  ])("of %s and %s", (before, after, added, removed) => {
    expect(compare(before, after)).toEqual([added, removed]);
  });
});
