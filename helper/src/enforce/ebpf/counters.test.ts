import { describe, expect, it } from "vitest";
import { counterEntries, DEFAULT_MAX_DECISIONS, maxDecisions } from "./counters.ts";
import { COUNTER } from "./layout.ts";

describe("maxDecisions", () => {
  it.each([
    [1, 131_072],
    [8, 131_072],
    [9, 116_508],
    [64, 16_384],
    [128, 8_192],
    // More CPUs than the memory is for: still enough for a policy that is used.
    [512, 4_096],
  ])("with %i CPUs is %i", (cpus, expected) => {
    expect(maxDecisions(cpus)).toBe(expected);
  });

  it("keeps the counters of both slots within 64 MiB up to 256 CPUs", () => {
    for (let cpus = 1; cpus <= 256; cpus++)
      expect(counterEntries(cpus) * COUNTER.size * cpus).toBeLessThanOrEqual(64 * 2 ** 20);
    expect(counterEntries(2)).toBe(2 * DEFAULT_MAX_DECISIONS);
  });
});
