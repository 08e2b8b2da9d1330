import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compile } from "./compile/index.ts";
import { lookup } from "./lookup.ts";
import type { PolicyWorld } from "./model.ts";
import type { HostProgram, ProgramPacket } from "./program.ts";
import {
  arbitraryPacket,
  arbitraryWorld,
  failWithCase,
  GENERATED_HOST_NAMES,
  type KeptCase,
  keptPacket,
  questionOf,
  readKeptCases,
  referenceDecision,
} from "./testing/index.ts";

const PACKETS_PER_WORLD = 40;
const PACKETS = Number(process.env.WARDLINE_FUZZ_PACKETS ?? 100_000);
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);

/** A world, the program of one of its hosts, and packets for it. */
const cases = fc
  .tuple(arbitraryWorld(), fc.constantFrom(...GENERATED_HOST_NAMES))
  .map(([world, hostName]) => ({ world, hostName, program: compile(world, hostName) }))
  .chain(({ world, hostName, program }) =>
    fc
      .array(arbitraryPacket(world, program), { minLength: PACKETS_PER_WORLD, maxLength: PACKETS_PER_WORLD })
      .map((packets) => ({ world, hostName, program, packets })),
  );

/** What is compared: the whole decision but its number, which is the program's own. */
function answers(world: PolicyWorld, program: HostProgram, packet: ProgramPacket) {
  const { index: _, ...compiled } = lookup(program, questionOf(packet));
  return { reference: referenceDecision(world, program, packet), compiled };
}

function disagrees(found: KeptCase): boolean {
  const program = compile(found.world, found.hostName);
  const { reference, compiled } = answers(found.world, program, keptPacket(found, program));
  return !isDeepStrictEqual(reference, compiled);
}

describe("the reference and the compiled tables", () => {
  it(`decide ${PACKETS} packets alike, down to the rule`, { timeout: 120_000 + PACKETS * 5 }, () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(cases, ({ world, hostName, program, packets }) => {
        for (const packet of packets) {
          const { reference, compiled } = answers(world, program, packet);
          if (!isDeepStrictEqual(reference, compiled)) {
            const { set, ...rest } = packet;
            const subjectKey = program.sets[set]?.endpointKey ?? "";
            failWithCase({ world, hostName, packet: { subjectKey, ...rest } }, disagrees);
          }
          const kind = `${compiled.reason} ${compiled.verdict}${compiled.observeOnly ? " observed" : ""}`;
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
        }
      }),
      { numRuns: Math.ceil(PACKETS / PACKETS_PER_WORLD), seed: SEED, endOnFailure: true },
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

  it.each(readKeptCases().map((kept) => [kept.name, kept] as const))("agree on the kept case %s", (_, kept) => {
    const program = compile(kept.world, kept.hostName);
    const { reference, compiled } = answers(kept.world, program, keptPacket(kept, program));
    expect(compiled).toEqual(reference);
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
