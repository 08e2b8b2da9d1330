import { describe, expect, it } from "vitest";
import { APPLE_PF_CONF } from "../../testing/fakePf.ts";
import { findCall, withCall, withoutCall } from "./mainRuleset.ts";
import { withBlocks, withoutBlocks } from "./pfConf.ts";

const APPLE = ['scrub-anchor "com.apple/*" all fragment reassemble', 'anchor "com.apple/*" all'];
const OURS = ['scrub-anchor "wardline" all fragment reassemble', 'anchor "wardline" all'];

describe("the call in the main rules", () => {
  it.each([
    [APPLE, false, false],
    [[...APPLE, ...OURS], true, true],
    [[...APPLE, 'anchor "*" all'], true, false],
    [[...APPLE, 'anchor "wardline" in on en0 all'], false, false],
    [[...APPLE, 'anchor "wardline" proto tcp all'], false, false],
    [[...APPLE, 'anchor "wardline-other" all', 'anchor "wardline/*" all'], false, false],
    [['nat-anchor "wardline" all'], false, false],
  ])("%j", (rules, isCalled, isScrubbed) => {
    expect(findCall(rules, "wardline")).toMatchObject({ isCalled, isScrubbed });
  });

  it("counts what decides before it", () => {
    const rules = ["pass quick on lo0 all", "block drop in all", ...OURS, "block drop out quick all"];
    expect(findCall(rules, "wardline").quickBefore).toEqual(["pass quick on lo0 all"]);
  });

  it("is added and taken away without touching others", () => {
    const others = [...APPLE, "block drop in proto tcp from any to any port = 23", 'anchor "vpn" on utun0 all'];
    const added = withCall(others, "wardline");
    expect(added).toEqual({ rules: [others[0], OURS[0], ...others.slice(1), OURS[1]] });
    if (!("rules" in added)) throw new Error("no rules");
    expect(withCall(added.rules, "wardline")).toEqual(added);
    expect(withoutCall(added.rules, "wardline")).toEqual({ rules: others });
  });

  it.each([
    [['anchor "_1" all {', "  block drop all", "}"]],
    [["block drop from <__automatic_5b8c_0> to any"]],
    [['pass all label "\u00e9"']],
  ])("is not added to rules that cannot be given back: %j", (unfit) => {
    expect(withCall([...APPLE, ...unfit], "wardline")).toHaveProperty("problem");
    expect(withoutCall([...APPLE, ...unfit, ...OURS], "wardline")).toHaveProperty("problem");
  });
});

describe("the blocks in /etc/pf.conf", () => {
  const added = withBlocks(APPLE_PF_CONF, "wardline");

  it("stand where pf wants them", () => {
    const statements = added.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    expect(statements).toEqual([
      'scrub-anchor "com.apple/*"',
      'scrub-anchor "wardline"',
      'nat-anchor "com.apple/*"',
      'rdr-anchor "com.apple/*"',
      'dummynet-anchor "com.apple/*"',
      'anchor "com.apple/*"',
      'load anchor "com.apple" from "/etc/pf.anchors/com.apple"',
      'anchor "wardline"',
    ]);
  });

  it("come once, and go without a trace", () => {
    expect(withBlocks(added, "wardline")).toBe(added);
    expect(withoutBlocks(added)).toBe(APPLE_PF_CONF);
  });

  it.each([
    ["", ['scrub-anchor "wardline"', 'anchor "wardline"']],
    ["# only words", ['scrub-anchor "wardline"', 'anchor "wardline"']],
    ["set skip on lo0\npass all", ["set skip on lo0", 'scrub-anchor "wardline"', "pass all", 'anchor "wardline"']],
    [
      "scrub in \\\n  all\nrdr pass on en0\n",
      ["scrub in \\", "  all", 'scrub-anchor "wardline"', "rdr pass on en0", 'anchor "wardline"'],
    ],
    [
      'scrub-anchor "wardline"\nanchor "wardline" # by hand\n',
      ['scrub-anchor "wardline"', 'anchor "wardline" # by hand'],
    ],
    [
      'scrub in all\nanchor "wardline" on en0\n',
      ["scrub in all", 'scrub-anchor "wardline"', 'anchor "wardline" on en0', 'anchor "wardline"'],
    ],
  ])("are added to %j", (text, statements) => {
    const lines = withBlocks(text, "wardline").split("\n");
    expect(lines.filter((line) => line !== "" && !line.startsWith("#"))).toEqual(statements);
  });

  it("leave a file alone in which somebody cut one of them in half", () => {
    const damaged = added.replaceAll("# <<< wardline <<<\n", "");
    expect(withoutBlocks(damaged)).toBe(damaged);
    expect(withBlocks(damaged, "wardline")).toBe(damaged);
  });
});
