import { describe, expect, it } from "vitest";
import { howInWords } from "./rollout-words.ts";

describe("howInWords", () => {
  const usual = {
    stages: "one",
    canaryHostId: "",
    watchSeconds: 10,
    isAutomatic: true,
    hasCatchUp: true,
    typed: "",
  } as const;

  it("says the whole choice in one line", () => {
    expect(howInWords(usual, null)).toBe(
      "one host first, then all · watched 10 seconds after each stage · goes on by itself · hosts that are away follow",
    );
    expect(howInWords({ ...usual, stages: "tenth", isAutomatic: false, hasCatchUp: false }, "web-1")).toBe(
      "web-1 first, then a tenth, then all · watched 10 seconds after each stage · waits for you between stages · hosts that are away are left out",
    );
  });

  it("names no first host where all change at once, and shows what a name hides", () => {
    expect(howInWords({ ...usual, stages: "all" }, "web-1")).toMatch(/^all at once ·/);
    expect(howInWords(usual, "a\u202eb")).not.toContain("\u202e");
  });
});
