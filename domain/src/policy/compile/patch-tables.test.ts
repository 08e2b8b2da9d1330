import { isDeepStrictEqual } from "node:util";
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

  it("tell addresses apart that were alike when a rule leaves one of them", () => {
    const [one, two] = [addressPeer("10.0.0.1/32"), addressPeer("10.0.0.2/32")];
    const policyOf = (priority: number, edited: PolicyRule) =>
      policy(`p${priority}`, { tier: "admin", isolates: { ingress: false, egress: false }, priority, rules: [edited] });
    const worldOf = (edited: PolicyRule) =>
      world(
        [host("a")],
        [
          policyOf(1, rule("egress", { action: "deny", peers: [one, two], ports: [ports(TCP, 80)] })),
          policyOf(2, edited),
          policyOf(3, rule("egress", { action: "deny", peers: [one, two], ports: [ports(TCP, 443)] })),
          ...many([], []).policies,
        ],
      );
    const compiler = createCompiler(worldOf(rule("egress", { peers: [one, two], ports: [ports(TCP, 80)] })));
    compiler.program("a");
    compiler.update(worldOf(rule("egress", { peers: [one], ports: [ports(TCP, 443)] })));
    const program = compiler.program("a");
    const packet = { set: 0, direction: "egress", protocol: TCP, port: 443 } as const;
    expect(lookup(program, { ...packet, remote: "10.0.0.1" }).verdict).toBe("allow");
    expect(lookup(program, { ...packet, remote: "10.0.0.2" }).verdict).toBe("deny");
    expect(program).toEqual(compile(compiler.world, "a"));
  });

  it("are those of a compilation from nothing when rules of few peers and ports cover each other", () => {
    const shapeOf = fc.record({
      direction: fc.constantFrom("ingress", "egress"),
      isAllow: fc.boolean(),
      peers: fc.subarray([0, 1, 2], { minLength: 1 }),
      ports: fc.uniqueArray(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 }),
    });
    type Shape = typeof shapeOf extends fc.Arbitrary<infer Value> ? Value : never;
    const made = (index: number, shape: Shape) =>
      rule(shape.direction, {
        index,
        action: shape.isAllow ? "allow" : "deny",
        peers: shape.peers.map((peer) => addressPeer(`10.0.0.${peer}/32`)),
        ports: shape.ports.map((port) => ports(TCP, port)),
      });
    const shapes = fc.array(shapeOf, { minLength: 3, maxLength: 6 });
    // Mostly the ports are others, as in most edits; one or two rules at once.
    const part = { place: fc.nat({ max: 5 }), shape: shapeOf, keeps: fc.constantFrom("peers", "peers", "ports") };
    const edits = fc.array(fc.array(fc.record(part), { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 6 });
    let [versions, patched] = [0, 0];
    fc.assert(
      fc.property(shapes, edits, (first, steps) => {
        const current = [...first];
        const worldNow = () => {
          const rules = current.map((shape, at) => made(at, shape));
          return many(
            rules.filter((_, at) => at % 2 === 0),
            rules.filter((_, at) => at % 2 === 1),
          );
        };
        const compiler = createCompiler(worldNow());
        compiler.program("a");
        for (const step of steps) {
          for (const { place, shape, keeps } of step) {
            const at = place % current.length;
            const before = current[at] ?? shape;
            const { direction } = before;
            current[at] = {
              ...shape,
              direction,
              ...(keeps === "peers" ? { peers: before.peers } : { ports: before.ports }),
            };
          }
          compiler.update(worldNow());
          const program = compiler.program("a");
          const columns = columnsOfProgram(program);
          versions += 1;
          if (columns !== null && patchOfPorts(columns.ports) !== null) patched += 1;
          const fresh = compile(compiler.world, "a");
          if (!isDeepStrictEqual(program, fresh)) expect(program).toEqual(fresh);
        }
      }),
      { numRuns: 800, seed: SEED },
    );
    // The comparison is worth nothing when everything is put together anew.
    expect(patched / versions).toBeGreaterThan(0.02);
  });
});
