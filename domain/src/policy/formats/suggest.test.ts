import { describe, expect, it } from "vitest";
import { editDistance, foldLookalikes, nearestWord } from "./suggest.ts";

describe("editDistance", () => {
  it.each([
    ["", "", 0],
    ["abc", "", 3],
    ["egress", "egres", 1],
    ["egress", "egrses", 1],
    ["ingress", "egress", 2],
    ["kitten", "sitting", 3],
  ])("%j to %j is %i", (one, other, distance) => {
    expect(editDistance(one, other)).toBe(distance);
    expect(editDistance(other, one)).toBe(distance);
  });
});

describe("nearestWord", () => {
  const fields = ["podSelector", "policyTypes", "ingress", "egress"];

  it.each([
    ["egres", "egress"],
    ["Ingress", "ingress"],
    ["podselector", "podSelector"],
    ["policytype", "policyTypes"],
    ["іngress", "ingress"],
    ["pod", "podSelector"],
    ["po", null],
    ["rules", null],
    ["to", null],
    ["x".repeat(10_000), null],
  ])("for %s is %s", (word, nearest) => {
    expect(nearestWord(word, fields)).toBe(nearest);
  });
});

describe("foldLookalikes", () => {
  it.each([
    ["wеb", "web"],
    ["a‑b", "a-b"],
    ["ＴＣＰ", "TCP"],
    ["we\u200Bb", "web"],
    ["größe", "größe"],
    ["plain", "plain"],
  ])("%j reads as %j", (text, folded) => {
    expect(foldLookalikes(text)).toBe(folded);
  });
});
