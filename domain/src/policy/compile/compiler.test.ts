import { isDeepStrictEqual } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Failure } from "../../errors/index.ts";
import type { PolicyRule, PolicyWorld } from "../model.ts";
import type { HostProgram } from "../program.ts";
import { columnsOfProgram } from "../program-columns.ts";
import {
  addressPeer,
  arbitraryWorld,
  GENERATED_HOST_NAMES,
  host,
  policy,
  ports,
  rule,
  world,
} from "../testing/index.ts";
import { compile, createCompiler } from "./index.ts";

const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);

/** One step from a world to the next; `other` is where new parts come from. */
type Edit = (current: PolicyWorld, other: PolicyWorld, place: number) => PolicyWorld;

const EDITS: Record<string, Edit> = {
  "adds a policy": (current, other, place) => {
    const added = at(other.policies, place);
    return withPolicies(current, [...current.policies, ...(added ? [{ ...added, key: `${added.key}-${place}` }] : [])]);
  },
  "removes a policy": (current, _other, place) => {
    const gone = at(current.policies, place);
    return withPolicies(
      current,
      current.policies.filter((one) => one !== gone),
    );
  },
  "puts another in the place of a policy": (current, other, place) => {
    const [old, next] = [at(current.policies, place), at(other.policies, place)];
    return withPolicies(
      current,
      current.policies.map((one) => (one === old && next ? { ...next, key: old.key } : one)),
    );
  },
  "changes the ports of one rule": (current, other, place) => {
    const [old, next] = [at(current.policies, place), at(other.policies, place)];
    const changed = at(old?.rules ?? [], place);
    const ports = at(next?.rules ?? [], place)?.ports ?? null;
    return withPolicies(
      current,
      current.policies.map((one) =>
        one === old ? { ...one, rules: one.rules.map((rule) => (rule === changed ? { ...rule, ports } : rule)) } : one,
      ),
    );
  },
  "moves a policy in its file": (current, _other, place) => {
    const moved = at(current.policies, place);
    const source = { file: "moved.yaml", line: place + 2, column: 1, endLine: place + 2, endColumn: 2 };
    return withPolicies(
      current,
      current.policies.map((one) =>
        one === moved ? { ...one, source, rules: one.rules.map((rule) => ({ ...rule, source })) } : one,
      ),
    );
  },
  "swaps observing and enforcing": (current, _other, place) => {
    const swapped = at(current.policies, place);
    return withPolicies(
      current,
      current.policies.map((one) =>
        one === swapped ? { ...one, mode: one.mode === "enforce" ? "observe" : "enforce" } : one,
      ),
    );
  },
  "changes an endpoint": (current, other, place) => {
    const [old, next] = [at(current.inventory.endpoints, place), at(other.inventory.endpoints, place)];
    const endpoints = current.inventory.endpoints.map((one) =>
      one === old && next ? { ...one, labels: next.labels, addresses: next.addresses, ports: next.ports } : one,
    );
    return { ...current, inventory: { ...current.inventory, endpoints } };
  },
  "forgets the names": (current) => ({
    ...current,
    inventory: { ...current.inventory, domainAddresses: new Map() },
  }),
  "reads everything again": (current) => structuredClone(current),
  "changes nothing": (current) => current,
};

function at<Value>(values: readonly Value[], place: number): Value | undefined {
  return values[place % Math.max(1, values.length)];
}

function withPolicies(current: PolicyWorld, policies: PolicyWorld["policies"]): PolicyWorld {
  return { ...current, policies: policies.toSorted((left, right) => (left.key < right.key ? -1 : 1)) };
}

const edits = fc.array(
  fc.record({
    edit: fc.constantFrom(...Object.keys(EDITS)),
    other: arbitraryWorld(),
    place: fc.nat({ max: 20 }),
    hosts: fc.subarray([...GENERATED_HOST_NAMES], { minLength: 1 }),
  }),
  { minLength: 1, maxLength: 8 },
);

/** `expect` is asked only for its words: it takes ten times as long over large equal programs. */
function expectSame(program: HostProgram, compiled: HostProgram, what: string): void {
  if (!isDeepStrictEqual(program, compiled)) expect(program, what).toEqual(compiled);
}

describe("a compiler of changing worlds", { timeout: 120_000 }, () => {
  it("gives after any sequence of edits what a compilation of the last world gives", () => {
    fc.assert(
      fc.property(arbitraryWorld(), edits, (first, steps) => {
        const compiler = createCompiler(first);
        let current = first;
        for (const { edit, other, place, hosts } of steps) {
          current = EDITS[edit]?.(current, other, place) ?? current;
          compiler.update(current);
          for (const hostName of hosts) expectSame(compiler.program(hostName), compile(current, hostName), edit);
        }
      }),
      { numRuns: 200, seed: SEED },
    );
  });

  it("gives after changes of single rules what a compilation gives, and keeps the tables that stay as they are", () => {
    const peers = (count: number) => Array.from({ length: count }, (_, index) => addressPeer(`10.0.${index}.0/24`));
    const rules = peers(60).map((peer, index) =>
      rule("egress", { index, peers: [peer], ports: [ports(6, index, index + 4)] }),
    );
    const many = (changed: readonly PolicyRule[]) =>
      world([host("a")], [policy("many", { isolates: { ingress: false, egress: true }, rules: [...changed] })]);
    const compiler = createCompiler(many(rules));
    compiler.program("a");
    let [runs, kept] = [0, 0];
    fc.assert(
      fc.property(fc.nat({ max: 59 }), fc.nat({ max: 100 }), fc.nat({ max: 9 }), (place, low, width) => {
        const before = columnsOfProgram(compiler.program("a"));
        const next = compiler.world.policies[0]?.rules.map((one, index) =>
          index === place ? { ...one, ports: [ports(6, low + 100 * place, low + 100 * place + width)] } : one,
        );
        compiler.update(many(next ?? []));
        const program = compiler.program("a");
        expectSame(program, compile(compiler.world, "a"), "one rule");
        const after = columnsOfProgram(program);
        runs += 1;
        if (after?.addresses4 === before?.addresses4 && after?.classes === before?.classes) kept += 1;
      }),
      { numRuns: 150, seed: SEED },
    );
    // Once everything has changed in time, it starts anew.
    expect(kept / runs).toBeGreaterThan(0.95);
  });

  it("gives what a compilation gives when everything changes at once, and leaves earlier programs as they were", () => {
    const counts = fc.array(fc.record({ count: fc.nat({ max: 400 }), revision: fc.nat({ max: 9 }) }), { maxLength: 5 });
    const many = (count: number, revision: number) =>
      Array.from({ length: count }, (_, index) =>
        rule("egress", {
          index,
          peers: [addressPeer(`10.${index % 7}.${index % 256}.0/24`)],
          ports: [ports(6, 1 + index + revision, 1 + index + revision + (index % 5))],
        }),
      );
    fc.assert(
      fc.property(fc.array(arbitraryWorld(), { minLength: 1, maxLength: 3 }), counts, (worlds, sizes) => {
        const sized = sizes.map(({ count, revision }) =>
          world(
            [host("alpha")],
            [policy("many", { isolates: { ingress: false, egress: true }, rules: many(count, revision) })],
          ),
        );
        const all = [...worlds, ...sized, ...worlds.toReversed(), ...sized.toReversed()];
        const compiler = createCompiler(world([], []));
        const made = all.flatMap((next) => {
          compiler.update(next);
          return ["alpha", "beta"].map((hostName) => {
            const program = compiler.program(hostName);
            expectSame(program, compile(next, hostName), "another world");
            return { program, columns: structuredClone(numbersOf(program)) };
          });
        });
        for (const { program, columns } of made) expect(isDeepStrictEqual(numbersOf(program), columns)).toBe(true);
      }),
      { numRuns: 15, seed: SEED },
    );
  });

  it("holds on to no version of a policy but the last", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    let rules: readonly PolicyRule[] = Array.from({ length: 200 }, (_, index) =>
      rule("egress", { index, peers: [addressPeer(`10.0.${index}.0/24`)], ports: [ports(6, 1)] }),
    );
    const worldNow = () =>
      world([host("a")], [policy("many", { isolates: { ingress: false, egress: true }, rules: [...rules] })]);
    const compiler = createCompiler(worldNow());
    compiler.program("a");
    const versions: WeakRef<readonly PolicyRule[]>[] = [];
    for (let edit = 0; edit < 50; edit++) {
      rules = rules.with(edit, rule("egress", { ...rules[edit], ports: [ports(6, 2 + edit)] }));
      compiler.update(worldNow());
      compiler.program("a");
      const own = compiler.world.policies[0]?.rules;
      if (own !== undefined) versions.push(new WeakRef(own));
    }
    // References are kept until the turn in which they were made is over.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    expect(versions).toHaveLength(50);
    expect(versions.filter((version) => version.deref() !== undefined).length).toBeLessThan(5);
  });

  it("returns the program that it has where nothing changed for the host", () => {
    const only = (name: string) => ({
      subject: { namespaces: { kind: "any" as const }, endpoints: { requirements: [nameIs(name)] } },
      rules: [rule("ingress")],
    });
    const before = world([host("a"), host("b")], [policy("one", only("a")), policy("two", only("b"))]);
    const compiler = createCompiler(before);
    const [ofA, ofB] = [compiler.program("a"), compiler.program("b")];
    const changed = {
      ...before,
      policies: before.policies.map((one) => (one.name === "two" ? { ...one, rules: [] } : one)),
    };
    compiler.update(structuredClone(changed));
    expect(compiler.program("a")).toBe(ofA);
    expect(compiler.program("b").digest).not.toBe(ofB.digest);
  });

  it("keeps its world when the next one cannot be compiled", () => {
    const before = world([host("a")], [policy("one", { rules: [rule("ingress")] })]);
    const compiler = createCompiler(before);
    const digest = compiler.program("a").digest;
    const wrong = world([host("a")], [policy("one", { rules: [rule("ingress", { action: "deny" })] })]);
    expect(() => compiler.update(wrong)).toThrow(Failure);
    expect(compiler.world).toBe(before);
    expect(compiler.program("a").digest).toBe(digest);
  });
});

/** All columns, also of what is made only when somebody asks. */
function numbersOf(program: HostProgram) {
  const columns = columnsOfProgram(program);
  if (columns === null) throw new Error("the program was not compiled");
  const { addresses4, addresses6, classes, ports: entries, decisionFlags } = columns;
  const { classIds, lows, highs, decisions } = entries;
  return { addresses4, addresses6, classes, entries: { classIds, lows, highs, decisions }, decisionFlags };
}

function nameIs(name: string) {
  return { key: "name", operator: "In" as const, values: [name] };
}
