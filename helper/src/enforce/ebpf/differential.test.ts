import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile, createLookup, evaluate, type HostProgram, type PolicyWorld } from "@wardline/domain/policy";
import { arbitraryPacket, arbitraryWorld, GENERATED_HOST_NAMES, packetToFlow } from "@wardline/domain/policy/testing";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { unmount } from "../../linux/bpf/libbpf.ts";
import { isBpffs } from "../../linux/bpffs.ts";
import { findCgroup2Mount } from "../../linux/mounts.ts";
import { kernelLabProblem, readBpfObject } from "../../testing/kernelLab.ts";
import { EbpfEnforcer } from "./ebpfEnforcer.ts";
import { isFaithfulProbe } from "./probePacket.ts";

const PACKETS = Number(process.env.WARDLINE_FUZZ_PACKETS ?? 6000);
const PACKETS_PER_WORLD = 200;
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);
const problem = kernelLabProblem();

const cases = fc
  .tuple(arbitraryWorld(), fc.constantFrom(...GENERATED_HOST_NAMES))
  .map(([world, hostName]) => ({ world, program: compile(world, hostName) }))
  .chain(({ world, program }) =>
    fc
      .array(
        arbitraryPacket(world, program).filter((packet) => isFaithfulProbe(packet)),
        { minLength: PACKETS_PER_WORLD, maxLength: PACKETS_PER_WORLD },
      )
      .map((packets) => ({ world, program, packets })),
  );

function referenceDecision(world: PolicyWorld, program: HostProgram, packet: Parameters<typeof packetToFlow>[1]) {
  return evaluate(world, packetToFlow(program, packet)).directions[packet.direction === "egress" ? 0 : 1].decision;
}

describe.skipIf(problem !== null)(
  `reference = compiled tables = kernel${problem === null ? "" : ` (${problem})`}`,
  () => {
    const directory = mkdtempSync(join(tmpdir(), "wardline-differential-"));
    const cgroupRoot = join(findCgroup2Mount() ?? directory, `wl-diff-${process.pid}`);
    let enforcer: EbpfEnforcer;

    beforeAll(async () => {
      mkdirSync(cgroupRoot);
      enforcer = new EbpfEnforcer({ cgroupRoot, bpffsDir: join(directory, "bpf"), objectBytes: readBpfObject() });
      await enforcer.open();
    });

    afterAll(async () => {
      await enforcer.release();
      if (isBpffs(join(directory, "bpf"))) unmount(join(directory, "bpf"));
      rmdirSync(cgroupRoot);
      rmSync(directory, { recursive: true });
    });

    it(`decides ${PACKETS} packets alike in every engine, down to the rule`, { timeout: 240_000 }, async () => {
      const seen = new Map<string, number>();
      const count = (kind: string): void => void seen.set(kind, (seen.get(kind) ?? 0) + 1);
      let generation = 0;
      await fc.assert(
        fc.asyncProperty(cases, async ({ world, program, packets }) => {
          generation += 1;
          await enforcer.prepare(program, generation);
          const compiled = createLookup(program);
          for (const packet of packets) {
            const walked = compiled(packet);
            const kernel = enforcer.ask(packet);
            const message = JSON.stringify(packet);
            expect(kernel, message).toEqual({
              decision: walked.index,
              deny: walked.verdict === "deny",
              observeOnly: walked.observeOnly,
            });
            expect(walked.id, message).toBe(referenceDecision(world, program, packet).id);
            count(`${walked.reason} ${walked.verdict}`);
            count(`protocol ${packet.protocol}`);
            count(packet.remote.includes(":") ? "IPv6" : "IPv4");
          }
        }),
        { numRuns: Math.ceil(PACKETS / PACKETS_PER_WORLD), seed: SEED, endOnFailure: true },
      );
      // The comparison is worth nothing when the packets never reach a kind of decision.
      for (const kind of ["rule allow", "rule deny", "isolated deny", "not-isolated allow", "builtin allow"])
        expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(20);
      for (const kind of ["protocol 6", "protocol 17", "protocol 1", "protocol 58", "protocol 132", "IPv4", "IPv6"])
        expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(20);
    });
  },
);
