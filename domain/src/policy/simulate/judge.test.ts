import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { evaluate } from "../evaluate.ts";
import type { PolicyWorld } from "../model.ts";
import { arbitraryProbe, arbitraryWorld, type PacketProbe } from "../testing/index.ts";
import { WorldJudge } from "./judge.ts";

const PACKETS = Number(process.env.WARDLINE_FUZZ_PACKETS ?? 20_000);
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);
const PROBES_PER_WORLD = 40;

/** Every endpoint, a host that no document declares, and nobody. */
function subjects(world: PolicyWorld): readonly (string | null)[] {
  return [...world.inventory.endpoints.map(({ key }) => key), "Host/undeclared", null];
}

const cases = arbitraryWorld().chain((world) =>
  fc.record({
    world: fc.constant(world),
    questions: fc.array(
      fc.record({
        probe: arbitraryProbe(world),
        subjectKey: fc.constantFrom(...subjects(world)),
        isToItself: fc.boolean(),
      }),
      { minLength: PROBES_PER_WORLD, maxLength: PROBES_PER_WORLD },
    ),
  }),
);

function localAddress({ remote }: PacketProbe): string {
  return remote.includes(":") && !remote.startsWith("::ffff:") ? "2001:db8:ffff::fe" : "198.51.100.254";
}

describe("the judge of a whole fleet", () => {
  it(`decides ${PACKETS} packets exactly as the reference, down to the rule`, {
    timeout: 120_000 + PACKETS * 5,
  }, () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(cases, ({ world, questions }) => {
        const judge = new WorldJudge(world);
        for (const { probe, subjectKey, isToItself } of questions) {
          const { direction, protocol, port } = probe;
          const local = isToItself ? probe.remote : localAddress(probe);
          const subject = { endpointKey: subjectKey, address: local };
          const peer = { endpointKey: null, address: probe.remote };
          const flow = direction === "egress" ? { from: subject, to: peer } : { from: peer, to: subject };
          const reference = evaluate(world, { ...flow, protocol, port }).directions[direction === "egress" ? 0 : 1];
          const remote = judge.remote(probe.remote);
          if (remote === null) throw new Error(`${probe.remote} is an address`);
          const own = isToItself ? remote.address : local;
          const decided = judge.decide({ subjectKey, direction, local: own, remote, protocol, port });
          expect(decided, JSON.stringify({ subjectKey, probe, local })).toEqual(reference.decision);
          const kind = `${decided.reason} ${decided.verdict}${decided.observeOnly ? " observed" : ""}`;
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
        }
      }),
      { numRuns: Math.ceil(PACKETS / PROBES_PER_WORLD), seed: SEED },
    );
    for (const kind of ["rule allow", "rule deny", "isolated deny", "isolated deny observed", "not-isolated allow"]) {
      expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(PACKETS / 1000);
    }
  });
});
