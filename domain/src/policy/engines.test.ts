import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compile } from "./compile/index.ts";
import { evaluate } from "./evaluate.ts";
import { createLookup } from "./lookup.ts";
import type { PolicyWorld } from "./model.ts";
import type { HostProgram } from "./program.ts";
import { arbitraryPacket, arbitraryWorld, GENERATED_HOST_NAMES, packetToFlow } from "./testing/index.ts";

const PACKETS_PER_WORLD = 40;
const PACKETS = Number(process.env.WARDLINE_FUZZ_PACKETS ?? 100_000);
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);

/** A world, the program of one of its hosts, and packets for it. */
const cases = fc
  .tuple(arbitraryWorld(), fc.constantFrom(...GENERATED_HOST_NAMES))
  .map(([world, hostName]) => ({ world, program: compile(world, hostName) }))
  .chain(({ world, program }) =>
    fc
      .array(arbitraryPacket(world, program), { minLength: PACKETS_PER_WORLD, maxLength: PACKETS_PER_WORLD })
      .map((packets) => ({ world, program, packets })),
  );

function comparable({ index: _, ...content }: HostProgram["decisions"][number]): object {
  return content;
}

describe("the reference and the compiled tables", () => {
  it(`decide ${PACKETS} packets alike, down to the rule`, { timeout: 120_000 + PACKETS * 5 }, () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(cases, ({ world, program, packets }) => {
        const answer = createLookup(program);
        for (const packet of packets) {
          const evaluation = evaluate(world, packetToFlow(program, packet));
          const reference = evaluation.directions[packet.direction === "egress" ? 0 : 1];
          const compiled = answer(packet);
          expect(comparable(compiled), JSON.stringify(packet)).toEqual(reference.decision);
          const kind = `${compiled.reason} ${compiled.verdict}${compiled.observeOnly ? " observed" : ""}`;
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
        }
      }),
      { numRuns: Math.ceil(PACKETS / PACKETS_PER_WORLD), seed: SEED },
    );
    // The comparison is worth nothing when the packets never reach a kind of decision.
    for (const kind of [
      "rule allow",
      "rule deny",
      "rule deny observed",
      "isolated deny",
      "isolated deny observed",
      "not-isolated allow",
      "builtin allow",
    ]) {
      expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(50);
    }
  });

  it("give equal programs for equal worlds, whatever the order of the policies", () => {
    fc.assert(
      fc.property(arbitraryWorld(), (world) => {
        const shuffled: PolicyWorld = { ...world, policies: world.policies.toReversed() };
        expect(compile(shuffled, "alpha")).toEqual(compile(world, "alpha"));
      }),
      { numRuns: 100, seed: SEED },
    );
  });
});
