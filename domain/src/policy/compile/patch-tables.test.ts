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

describe("tables that are patched", { timeout: 120_000 }, () => {
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
      { numRuns: 500, seed: SEED },
    );
    // The comparison is worth nothing when everything is put together anew.
    expect(patched / versions).toBeGreaterThan(0.02);
  });

  it("are those of a compilation from nothing whatever is edited: nested networks, ranges, tiers, rules that come and go", () => {
    const networks = [
      "10.0.0.1/32",
      "10.0.0.2/32",
      "10.0.0.0/31",
      "10.0.0.0/24",
      "0.0.0.0/0",
      "fd00::1/128",
      "fd00::/64",
    ];
    const shapeOf = fc.record({
      direction: fc.constantFrom("ingress" as const, "egress" as const),
      action: fc.constantFrom("allow" as const, "deny" as const, "pass" as const),
      peers: fc.subarray(networks, { maxLength: 3 }),
      protocol: fc.constantFrom(TCP, TCP, TCP, 17),
      low: fc.integer({ min: 1, max: 8 }),
      span: fc.constantFrom(0, 0, 0, 1, 3),
      hasMore: fc.boolean(),
    });
    type Shape = typeof shapeOf extends fc.Arbitrary<infer Value> ? Value : never;
    const made = (index: number, { direction, action, peers: prefixes, protocol, low, span, hasMore }: Shape) =>
      rule(direction, {
        ...{ index, action },
        peers: prefixes.map((prefix) => addressPeer(prefix)),
        ports: [ports(protocol, low, low + span), ...(hasMore ? [ports(protocol, low + 20)] : [])],
      });
    const editOf = fc.record({
      ...{ policy: fc.nat({ max: 3 }), at: fc.nat({ max: 8 }), shape: shapeOf },
      kind: fc.constantFrom("ports", "ports", "ports", "peers", "action", "whole", "add", "remove", "swap"),
    });
    type Edit = typeof editOf extends fc.Arbitrary<infer Value> ? Value : never;
    const edited = (rules: Shape[], { at, shape, kind }: Edit): void => {
      const place = rules.length === 0 ? 0 : at % rules.length;
      const before = rules[place];
      if (kind === "add" || before === undefined) rules.splice(place, 0, shape);
      else if (kind === "remove") rules.splice(place, 1);
      else if (kind === "swap") rules.push(...rules.splice(place, 1));
      else if (kind === "whole") rules[place] = shape;
      else if (kind === "peers") rules[place] = { ...before, peers: shape.peers };
      else if (kind === "action") rules[place] = { ...before, action: shape.action };
      else rules[place] = { ...shape, direction: before.direction, action: before.action, peers: before.peers };
    };
    const policies = fc.array(fc.array(shapeOf, { minLength: 1, maxLength: 5 }), { minLength: 4, maxLength: 4 });
    const edits = fc.array(fc.array(editOf, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(policies, edits, fc.boolean(), (first, steps, isIsolated) => {
        const current = first.map((rules) => [...rules]);
        const worldNow = () => {
          const open = { ingress: false, egress: false };
          const tiers = current.slice(0, 3).map((rules, at) => {
            const own = rules.map((shape, index) => made(index, shape));
            // Enough rules that an edit is a small part of the whole.
            const others = at === 1 ? (many([], []).policies[1]?.rules ?? []) : [];
            return policy(`p${at}`, { tier: "admin", isolates: open, priority: at + 1, rules: [...own, ...others] });
          });
          const last = (current[3] ?? []).map((shape, index) => made(index, { ...shape, action: "allow" }));
          const isolates = { ingress: isIsolated, egress: isIsolated };
          return world([host("a"), host("b")], [...tiers, policy("p3", { isolates, rules: last })]);
        };
        const compiler = createCompiler(worldNow());
        for (const name of ["a", "b"]) compiler.program(name);
        for (const step of steps) {
          for (const edit of step) edited(current[edit.policy] ?? [], edit);
          compiler.update(worldNow());
          for (const name of ["a", "b"]) {
            const [program, fresh] = [compiler.program(name), compile(compiler.world, name)];
            if (!isDeepStrictEqual(program, fresh)) expect(program).toEqual(fresh);
          }
        }
      }),
      { numRuns: 200, seed: SEED },
    );
  });
});
