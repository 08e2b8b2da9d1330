import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lookup } from "../lookup.ts";
import type { PolicyRule } from "../model.ts";
import { patchOfPorts } from "../port-columns.ts";
import { columnsOfProgram } from "../program-columns.ts";
import { addressPeer, host, policy, ports, rule, world } from "../testing/index.ts";
import { compile, createCompiler } from "./index.ts";

const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_122);
const TCP = 6;

function many(urgent: readonly PolicyRule[], general: readonly PolicyRule[]) {
  const others = Array.from({ length: 30 }, (_, index) =>
    rule("egress", { index: 100 + index, peers: [addressPeer(`10.0.1.${index}/32`)], ports: [ports(TCP, index)] }),
  );
  const shape = { tier: "admin", isolates: { ingress: false, egress: false } } as const;
  return world(
    [host("a")],
    [
      policy("urgent", { ...shape, priority: 1, rules: [...urgent] }),
      policy("general", { ...shape, priority: 2, rules: [...general, ...others] }),
    ],
  );
}

const peers = [addressPeer("10.0.0.1/32")];

describe("tables that are patched", () => {
  it("keep a rule that takes the place of another one before a new one takes its own", () => {
    const general = [
      rule("egress", { index: 0, action: "deny", peers, ports: [ports(TCP, 80), ports(TCP, 500)] }),
      rule("egress", { index: 1, peers, ports: [ports(TCP, 443)] }),
    ];
    const urgent = (port: number) => [rule("egress", { index: 0, peers, ports: [ports(TCP, port)] })];
    const compiler = createCompiler(many(urgent(80), general));
    compiler.program("a");
    compiler.update(many(urgent(600), general));
    const program = compiler.program("a");
    const fresh = compile(compiler.world, "a");
    const packet = { set: 0, direction: "egress", remote: "10.0.0.1", protocol: TCP, port: 80 } as const;
    expect(lookup(fresh, packet).verdict).toBe("deny");
    expect(lookup(program, packet).verdict).toBe("deny");
    expect(program).toEqual(fresh);
  });

  it("are those of a compilation from nothing when rules of few ports cover each other", () => {
    const ruleOf = fc.record({
      isAllow: fc.boolean(),
      peer: fc.nat({ max: 2 }),
      ports: fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 3 }),
    });
    type Shape = typeof ruleOf extends fc.Arbitrary<infer Value> ? Value : never;
    const rules = fc.array(ruleOf, { minLength: 1, maxLength: 4 });
    const made = (index: number, shape: Shape) =>
      rule("egress", {
        index,
        action: shape.isAllow ? "allow" : "deny",
        peers: [addressPeer(`10.0.0.${shape.peer}/32`)],
        ports: shape.ports.map((port) => ports(TCP, port)),
      });
    const edits = fc.array(fc.record({ isUrgent: fc.boolean(), place: fc.nat({ max: 3 }), shape: ruleOf }), {
      minLength: 1,
      maxLength: 8,
    });
    let [versions, patched] = [0, 0];
    fc.assert(
      fc.property(rules, rules, edits, (urgent, general, steps) => {
        const lists = {
          urgent: urgent.map((one, at) => made(at, one)),
          general: general.map((one, at) => made(at, one)),
        };
        const compiler = createCompiler(many(lists.urgent, lists.general));
        compiler.program("a");
        for (const { isUrgent, place, shape } of steps) {
          const list = isUrgent ? lists.urgent : lists.general;
          // As an edit mostly is: other ports for the same peer.
          const at = place % list.length;
          const peer = (isUrgent ? urgent : general)[at]?.peer ?? 0;
          list[at] = made(at, { ...shape, peer });
          compiler.update(many(lists.urgent, lists.general));
          const program = compiler.program("a");
          versions += 1;
          const columns = columnsOfProgram(program);
          if (columns !== null && patchOfPorts(columns.ports) !== null) patched += 1;
          const fresh = compile(compiler.world, "a");
          if (program.digest !== fresh.digest) expect(program).toEqual(fresh);
          expect(program.ports).toEqual(fresh.ports);
        }
      }),
      { numRuns: 250, seed: SEED },
    );
    expect(patched / versions).toBeGreaterThan(0.1);
  });
});
