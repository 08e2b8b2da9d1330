import { compile, createLookup, type HostProgram, type PolicyWorld, type ProgramPacket } from "@wardline/domain/policy";
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
} from "@wardline/domain/policy/testing";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kernelLabProblem, readBpfObject } from "../../testing/kernelLab.ts";
import { DetachedTables } from "./detachedTables.ts";
import { canBeBuilt } from "./probePacket.ts";

const PACKETS = Number(process.env.WARDLINE_FUZZ_PACKETS ?? 60_000);
const PACKETS_PER_WORLD = 150;
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);
const problem = kernelLabProblem();

/** A world, one of its hosts, and packets for its program. */
const cases = fc
  .tuple(arbitraryWorld({ maxPolicies: 10 }), fc.constantFrom(...GENERATED_HOST_NAMES))
  .map(([world, hostName]) => ({ world, hostName, program: compile(world, hostName) }))
  .chain(({ world, program, hostName }) =>
    fc
      .array(
        arbitraryPacket(world, program).filter((packet) => canBeBuilt(packet)),
        { minLength: PACKETS_PER_WORLD, maxLength: PACKETS_PER_WORLD },
      )
      .map((packets) => ({ world, hostName, program, packets })),
  );

describe.skipIf(problem !== null)(
  `reference = compiled tables = kernel${problem === null ? "" : ` (${problem})`}`,
  () => {
    let tables: DetachedTables;
    beforeAll(() => {
      tables = new DetachedTables(readBpfObject());
    });
    afterAll(() => tables.close());

    /** What the engines say of a packet whose program is loaded, in one line each; equal when they agree. */
    function answers(
      world: PolicyWorld,
      program: HostProgram,
      lookup: ReturnType<typeof createLookup>,
      packet: ProgramPacket,
    ): readonly string[] {
      const walked = lookup(questionOf(packet));
      const { decision, deny, observeOnly } = tables.ask(packet);
      const line = (id: string | undefined, denied: boolean, observed: boolean) => `${id} ${denied} ${observed}`;
      return [
        line(referenceDecision(world, program, packet).id, walked.verdict === "deny", walked.observeOnly),
        line(walked.id, walked.verdict === "deny", walked.observeOnly),
        line(program.decisions[decision]?.id, deny, observeOnly),
      ];
    }

    function disagrees(found: KeptCase): boolean {
      const program = compile(found.world, found.hostName);
      tables.load(program);
      return new Set(answers(found.world, program, createLookup(program), keptPacket(found, program))).size > 1;
    }

    it(`decide ${PACKETS} packets alike, down to the rule`, { timeout: 240_000 + PACKETS * 5 }, () => {
      const seen = new Map<string, number>();
      const count = (kind: string): void => void seen.set(kind, (seen.get(kind) ?? 0) + 1);
      fc.assert(
        fc.property(cases, ({ world, hostName, program, packets }) => {
          tables.load(program);
          const lookup = createLookup(program);
          for (const packet of packets) {
            if (new Set(answers(world, program, lookup, packet)).size > 1) {
              const { set, ...rest } = packet;
              const subjectKey = program.sets[set]?.endpointKey ?? "";
              failWithCase({ world, hostName, packet: { subjectKey, ...rest } }, disagrees);
            }
            const { reason, verdict } = lookup(questionOf(packet));
            count(`${reason} ${verdict}`);
            count(`protocol ${packet.protocol}`);
            count(packet.remote.includes(":") ? "IPv6" : "IPv4");
          }
        }),
        // The case is made smaller by what it consists of, which is faster than by how it was drawn.
        { numRuns: Math.ceil(PACKETS / PACKETS_PER_WORLD), seed: SEED, endOnFailure: true },
      );
      // The comparison is worth nothing when the packets never reach a kind of decision.
      for (const kind of ["rule allow", "rule deny", "isolated deny", "not-isolated allow", "builtin allow"])
        expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(20);
      for (const kind of ["protocol 6", "protocol 17", "protocol 1", "protocol 58", "protocol 132", "IPv4", "IPv6"])
        expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(20);
    });

    it.each(readKeptCases().map((kept) => [kept.name, kept] as const))("agree on the kept case %s", (_, kept) => {
      const program = compile(kept.world, kept.hostName);
      tables.load(program);
      const [reference, ...others] = answers(kept.world, program, createLookup(program), keptPacket(kept, program));
      expect(others).toEqual([reference, reference]);
    });
  },
);
