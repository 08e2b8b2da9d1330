import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cidrContainsAddress, parseAddress } from "../address.ts";
import { builtinDecision } from "../builtin.ts";
import { compile } from "../compile/index.ts";
import { enforcedVerdict } from "../decision.ts";
import { createLookup } from "../lookup.ts";
import type { PolicyWorld } from "../model.ts";
import type { HostProgram } from "../program.ts";
import { arbitraryProbe, arbitraryWorld, type PacketProbe } from "../testing/index.ts";
import { type AccessChange, diffPrograms } from "./index.ts";

const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 7);
const PROBES = 60;

function covers(change: AccessChange, subjectKey: string, probe: PacketProbe): boolean {
  const remote = parseAddress(probe.remote);
  if (!remote.ok || change.subjectKey !== subjectKey || change.direction !== probe.direction) return false;
  const protocol =
    change.protocol === null ? !change.exceptProtocols.includes(probe.protocol) : change.protocol === probe.protocol;
  if (!protocol || probe.port < change.portLow || probe.port > change.portHigh) return false;
  return change.regions.some(
    ({ prefix, except }) =>
      cidrContainsAddress(prefix, remote.bytes) && !except.some((part) => cidrContainsAddress(part, remote.bytes)),
  );
}

function setOf(program: HostProgram, subjectKey: string): number {
  return program.sets.find((set) => set.endpointKey === subjectKey)?.id ?? 0;
}

function checkDiff(
  old: HostProgram | null,
  next: HostProgram,
  world: PolicyWorld,
  probes: readonly PacketProbe[],
): number {
  const { changes, leftOut } = diffPrograms(old, next, world, { limit: 1_000_000 });
  expect(leftOut).toBe(0);
  const before = old && createLookup(old);
  const after = createLookup(next);
  const keys = new Set([...next.sets, ...(old?.sets ?? [])].map((set) => set.endpointKey));
  let differing = 0;
  for (const probe of probes) {
    if (builtinDecision({ ...probe, local: null }) !== null) continue;
    for (const key of keys) {
      const oldVerdict =
        old && before ? enforcedVerdict(before({ ...probe, set: setOf(old, key) })) : ("allow" as const);
      const decision = after({ ...probe, set: setOf(next, key) });
      const newVerdict = enforcedVerdict(decision);
      const covering = changes.filter((change) => covers(change, key, probe));
      const found = covering.map((change) => [change.oldVerdict, change.newVerdict, change.decision.id]);
      const expected = oldVerdict === newVerdict ? [] : [[oldVerdict, newVerdict, decision.id]];
      expect(found, `${key} ${JSON.stringify(probe)}`).toEqual(expected);
      differing += expected.length;
    }
  }
  return differing;
}

const probesOf = (...worlds: PolicyWorld[]) =>
  fc.array(fc.oneof(...worlds.map(arbitraryProbe)), { minLength: PROBES, maxLength: PROBES });

describe("access diff", { timeout: 120_000 }, () => {
  it("covers exactly the packets whose verdict differs, each once, between any two worlds", () => {
    let differing = 0;
    const pairs = fc
      .tuple(arbitraryWorld({ maxPolicies: 4 }), arbitraryWorld({ maxPolicies: 4 }))
      .chain(([old, next]) => probesOf(old, next).map((probes) => ({ old, next, probes })));
    fc.assert(
      fc.property(pairs, ({ old, next, probes }) => {
        differing += checkDiff(compile(old, "alpha"), compile(next, "alpha"), next, probes);
      }),
      { numRuns: 200, seed: SEED },
    );
    expect(differing).toBeGreaterThan(1_000);
  });

  it("takes nothing enforced as everything allowed", () => {
    let differing = 0;
    const cases = arbitraryWorld().chain((world) => probesOf(world).map((probes) => ({ world, probes })));
    fc.assert(
      fc.property(cases, ({ world, probes }) => {
        differing += checkDiff(null, compile(world, "beta"), world, probes);
      }),
      { numRuns: 150, seed: SEED },
    );
    expect(differing).toBeGreaterThan(500);
  });

  it("is empty between a program and itself", () => {
    fc.assert(
      fc.property(arbitraryWorld(), (world) => {
        const program = compile(world, "alpha");
        expect(diffPrograms(program, program, world)).toEqual({ changes: [], leftOut: 0 });
      }),
      { numRuns: 50, seed: SEED },
    );
  });

  it("counts what the limit leaves out", () => {
    fc.assert(
      fc.property(arbitraryWorld(), (world) => {
        const program = compile(world, "alpha");
        const whole = diffPrograms(null, program, world, { limit: 1_000_000 });
        const part = diffPrograms(null, program, world, { limit: 3 });
        expect(part.changes).toEqual(whole.changes.slice(0, 3));
        expect(part.leftOut).toBe(whole.changes.length - part.changes.length);
      }),
      { numRuns: 50, seed: SEED },
    );
  });
});
