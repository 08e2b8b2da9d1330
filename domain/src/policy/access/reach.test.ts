import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { enforcedVerdict } from "../decision.ts";
import { evaluate } from "../evaluate.ts";
import type { PolicyFlow } from "../evaluation.ts";
import { arbitraryWorld } from "../testing/index.ts";
import type { AccessEnd } from "./index.ts";
import { createAccessModel, type ReachRow, reach } from "./index.ts";
import { partyHolds, portsHold, probeFlows } from "./testing.ts";

const WORLDS = Number(process.env.WARDLINE_ACCESS_WORLDS ?? 25);
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);
const ANY: AccessEnd = { kind: "any" };

function holds(row: ReachRow, flow: PolicyFlow): boolean {
  return (
    partyHolds(row.from, flow.from) && partyHolds(row.to, flow.to) && row.ports.some((part) => portsHold(part, flow))
  );
}

describe("reach", () => {
  it("has every allowed connection in exactly one row, with its rules, and no other", { timeout: 300_000 }, () => {
    let [allowed, denied] = [0, 0];
    fc.assert(
      fc.property(arbitraryWorld({ maxPolicies: 4 }), (world) => {
        const { rows, leftOut } = reach(createAccessModel(world), { from: ANY, to: ANY, limit: 100_000 });
        expect(leftOut).toBe(0);
        for (const flow of probeFlows(world, { maxOutside: 10, maxPorts: 12 })) {
          const { directions } = evaluate(world, flow);
          if (directions.some(({ decision }) => decision.reason === "builtin")) continue;
          const found = rows.filter((row) => holds(row, flow));
          const isAllowed = directions.every(({ decision }) => enforcedVerdict(decision) === "allow");
          const deciding = directions.map(({ decision }) => decision);
          const expected = isAllowed ? [deciding] : [];
          const shown = found.map((row) => [row.egress, row.ingress]);
          // Said only of those that differ: `expect` takes longer than all that it is asked about.
          if (!isDeepStrictEqual(shown, expected)) expect(shown, JSON.stringify(flow)).toEqual(expected);
          if (isAllowed) allowed += 1;
          else denied += 1;
        }
      }),
      { numRuns: WORLDS, seed: SEED },
    );
    expect(Math.min(allowed, denied)).toBeGreaterThan(WORLDS * 10);
  });
});
