import {
  BUILTIN_DECISIONS,
  canonicalAddress,
  compile,
  createLookup,
  enforcedVerdict,
  type HostProgram,
  type PolicyWorld,
  type ProgramPacket,
} from "@wardline/domain/policy";
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
import { ProgramRunner } from "../../testing/programRunner.ts";
import { DetachedTables } from "./detachedTables.ts";
import { buildProbePacket, canBeBuilt, isFaithfulProbe } from "./probePacket.ts";

const PACKETS = Number(process.env.WARDLINE_FUZZ_PACKETS ?? 50_000);
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

const HOOK_PACKETS = Math.ceil(PACKETS / 2.5);
const ETHERNET_SIZE = 14;

/** An own address that no packet had before (ranges of RFC 2544 and RFC 3849), so that none belongs to a known flow. */
function freshAddress(serial: number, isIpv6: boolean): string {
  return isIpv6
    ? `2001:db8:f000::${(serial >> 16).toString(16)}:${(serial & 0xffff).toString(16)}`
    : `198.${18 + ((serial >> 16) & 1)}.${(serial >> 8) & 0xff}.${serial & 0xff}`;
}

/**
 * The attached programs take the direction from their hook and remember flows; here each packet is the first of its own.
 * Answers belong to a flow of the other direction and are left out.
 */
describe.skipIf(problem !== null)(
  `attached programs = compiled tables${problem === null ? "" : ` (${problem})`}`,
  () => {
    let runner: ProgramRunner;
    beforeAll(async () => {
      runner = new ProgramRunner();
      await runner.open();
      // All packets come by one interface, those of the overlay among them.
      runner.enforcer.setOverlay({ name: "", index: runner.interfaceIndex });
    });
    afterAll(() => runner.close());

    it(`pass and drop ${HOOK_PACKETS} packets of the host alike`, { timeout: 240_000 + PACKETS * 5 }, async () => {
      const seen = { allow: 0, deny: 0 };
      let generation = 0;
      let serial = 0;
      await fc.assert(
        fc.asyncProperty(cases, async ({ program, packets }) => {
          generation += 1;
          const prepared = await runner.enforcer.prepare(program, generation);
          runner.enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
          const lookup = createLookup(program);
          for (const packet of packets.map((each) => ({ ...each, set: 0 })).filter(isFaithfulProbe)) {
            const decision = lookup(packet);
            // Only an interface tells a hook what is loopback; the runner's packets come from another one.
            if (decision.index === BUILTIN_DECISIONS.loopback.index) continue;
            serial += 1;
            const local = freshAddress(serial, !canonicalAddress(packet.remote)?.includes("."));
            const bytes = buildProbePacket({ ...packet, local }).subarray(ETHERNET_SIZE);
            const { returnValue } = runner.run(packet.direction, bytes);
            const expected = enforcedVerdict(decision);
            expect(returnValue === 1 ? "allow" : "deny", JSON.stringify(packet)).toBe(expected);
            seen[expected] += 1;
          }
        }),
        { numRuns: Math.ceil(HOOK_PACKETS / PACKETS_PER_WORLD), seed: SEED, endOnFailure: true },
      );
      expect(seen.allow).toBeGreaterThan(HOOK_PACKETS / 10);
      expect(seen.deny).toBeGreaterThan(HOOK_PACKETS / 20);
    });
  },
);
