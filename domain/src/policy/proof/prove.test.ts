import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Failure } from "../../errors/index.ts";
import { isAsked, probeFlows } from "../access/testing.ts";
import { evaluate } from "../evaluate.ts";
import type { Evaluation, PolicyFlow } from "../evaluation.ts";
import type {
  Policy,
  PolicyRule,
  PolicyTest,
  PolicyTestCase,
  PolicyWorld,
  PortMatch,
  TestEnd,
  TestVia,
} from "../model.ts";
import {
  arbitraryWorld,
  cidr,
  endpointsPeer,
  host,
  NOWHERE,
  namedPort,
  policy,
  ports,
  rule,
  selectorFor,
  workload,
  world,
} from "../testing/index.ts";
import { describeCounterexample, MAX_TEST_CASES, proveTests } from "./index.ts";

const WORLDS = Number(process.env.WARDLINE_PROOF_WORLDS ?? 30);
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);
const LIMITS = { maxOutside: 8, maxPorts: 12 };
const ANY: TestEnd = { kind: "any" };

function testOf(...cases: readonly Partial<PolicyTestCase>[]): PolicyTest {
  return {
    key: "PolicyTest/default/t",
    name: "t",
    namespace: "default",
    description: null,
    source: NOWHERE,
    cases: cases.map((fields, index) => ({
      index,
      from: ANY,
      to: ANY,
      ports: null,
      expect: "deny",
      via: null,
      because: null,
      source: NOWHERE,
      ...fields,
    })),
  };
}

const named = (label: string): TestEnd => ({ kind: "endpoints", selector: selectorFor(label) });

const ends: fc.Arbitrary<TestEnd> = fc.oneof(
  fc.constant(ANY),
  fc.constantFrom("app=web", "app=db", "zone=a", "app=nobody").map(named),
  fc.constantFrom<TestEnd>(
    { kind: "addresses", cidr: cidr("10.1.0.0/16"), except: [cidr("10.1.1.0/31"), cidr("10.1.1.128/25")] },
    { kind: "addresses", cidr: cidr("10.1.1.2/32"), except: [] },
    { kind: "addresses", cidr: cidr("2001:db8::/33"), except: [cidr("2001:db8:1::2/127")] },
  ),
  fc.constantFrom(...(["world", "cluster", "mesh"] as const)).map((entity): TestEnd => ({ kind: "entity", entity })),
);

const portLists = fc.constantFrom<readonly PortMatch[] | null>(
  null,
  [ports(6, 80, 443), ports(1, 0, 0xffff)],
  [namedPort(6, "http"), ports(17, 53)],
  [namedPort(6, "nobody-has-this")],
);

/** Cases about the world, some of which name one of its policies and rules. */
function casesFor({ policies }: PolicyWorld): fc.Arbitrary<Partial<PolicyTestCase>> {
  const vias: TestVia[] = policies.flatMap((one) => [
    { kind: "decision", policyKey: one.key, rule: null },
    ...one.rules.map(({ name, direction, index }): TestVia => {
      return { kind: "decision", policyKey: one.key, rule: name ?? `${direction}[${index}]` };
    }),
  ]);
  const via = fc.oneof(
    { weight: 2, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constant<TestVia>({ kind: "through", selector: selectorFor("app=cache") }) },
    ...(vias.length > 0 ? [{ weight: 2, arbitrary: fc.constantFrom(...vias) }] : []),
  );
  const expected = fc.constantFrom("allow" as const, "deny" as const);
  return fc.record({ from: ends, to: ends, ports: portLists, expect: expected, via });
}

/** Whether a connection is what the case says cannot be, in the words of the reference alone. */
function contradicts({ expect: wanted, via }: PolicyTestCase, { verdict, directions }: Evaluation): boolean {
  if (verdict !== wanted) return true;
  if (via?.kind !== "decision") return false;
  return !directions.some(({ decision }) => {
    if (decision.verdict !== wanted || !decision.policyKeys.includes(via.policyKey)) return false;
    return via.rule === null || decision.rule === via.rule;
  });
}

function isAbout(world: PolicyWorld, { from, to, ports, via }: PolicyTestCase, flow: PolicyFlow): boolean {
  return isAsked(world, { from, to, ports, fromWithout: via?.kind === "through" ? via.selector : null }, flow);
}

/** Each rule at a line of its own; some of the policies in observe mode. */
function withPlaces(own: PolicyWorld, isObserved: readonly boolean[]): PolicyWorld {
  let line = 0;
  const place = (one: PolicyRule): PolicyRule => {
    line += 1;
    return { ...one, source: { ...NOWHERE, line } };
  };
  const policies = own.policies.map((one, index): Policy => {
    return { ...one, mode: isObserved[index] ? "observe" : one.mode, rules: one.rules.map(place) };
  });
  return { ...own, policies };
}

const WEB = host("web", { labels: new Map([["app", "web"]]), addresses: ["10.0.0.1"] });
const PROXY = host("proxy", { labels: new Map([["app", "proxy"]]), addresses: ["10.0.0.2"] });
const DB = host("db", {
  labels: new Map([["app", "db"]]),
  addresses: ["10.0.0.3", "2001:db8::3"],
  ports: [{ name: "postgres", protocol: 6, port: 5432 }],
});
const NOT_THERE = host("later", { labels: new Map([["app", "later"]]) });
const ENDPOINTS = [WEB, PROXY, DB, NOT_THERE];

const onDb = policy("db", {
  subject: selectorFor("app=db"),
  isolates: { ingress: true, egress: false },
  rules: [
    rule("ingress", {
      name: "web reads",
      peers: [endpointsPeer("app=web")],
      ports: [namedPort(6, "postgres")],
      source: { ...NOWHERE, file: "db.yaml", line: 7 },
    }),
    rule("ingress", {
      index: 1,
      peers: [endpointsPeer("app=later")],
      source: { ...NOWHERE, file: "db.yaml", line: 9 },
    }),
  ],
});

function proved(policies: readonly Policy[], ...cases: readonly Partial<PolicyTestCase>[]) {
  return proveTests(world(ENDPOINTS, policies), [testOf(...cases)]).cases;
}

describe("a case", () => {
  const webToDb = { from: named("app=web"), to: named("app=db") };

  it("fails with the smallest connection and the rules behind it", () => {
    const [result] = proved([onDb], { ...webToDb, because: "No secrets." });
    expect(result).toMatchObject({
      status: "fails",
      counterexample: {
        contradicts: "verdict",
        connection: { from: { address: "10.0.0.1" }, to: { address: "10.0.0.3" }, protocol: 6, port: 5432 },
      },
    });
    expect(result?.counterexample?.walkthrough().verdict).toBe("allow");
    expect(result?.counterexample && describeCounterexample(result.counterexample)).toBe(
      "Host/web (10.0.0.1) → Host/db (10.0.0.3) 5432/tcp is allowed: ingress allowed by default/db, web reads (db.yaml:7)",
    );
  });

  it("holds only when its policy, and its rule, decide", () => {
    const wanted = { ...webToDb, ports: [namedPort(6, "postgres")], expect: "allow" as const };
    const via = (policyKey: string, name: string | null) => ({ kind: "decision" as const, policyKey, rule: name });
    const first = policy("a", { rules: [rule("ingress", { name: "web reads" }), rule("egress")] });
    const cases = [
      { ...wanted, via: via(onDb.key, "web reads") },
      { ...wanted, via: via(onDb.key, "ingress[1]") },
      { ...wanted, via: via("Policy/default/other", null) },
    ];
    expect(proved([onDb], ...cases).map(({ status }) => status)).toEqual(["holds", "fails", "fails"]);
    // Both allow it; the first in the order of policies is the one that decides.
    const [other] = proved([first, onDb], ...cases);
    expect(other?.counterexample?.contradicts).toBe("via");
    const closed = { from: named("app=proxy"), to: named("app=db"), via: via(onDb.key, null) };
    expect(proved([onDb], closed, { ...closed, via: via(onDb.key, "web reads") })).toMatchObject([
      { status: "holds" },
      { status: "fails", counterexample: { contradicts: "via" } },
    ]);
  });

  it("leaves the one way through out of its side", () => {
    const world: TestEnd = { kind: "entity", entity: "world" };
    const outOnly = policy("proxy-only", {
      isolates: { ingress: false, egress: true },
      rules: [rule("egress", { peers: [endpointsPeer()] })],
      subject: { namespaces: { kind: "any" }, endpoints: { requirements: [] } },
    });
    const open = policy("open", {
      tier: "admin",
      subject: selectorFor("app=proxy"),
      rules: [rule("egress", { ports: [ports(6, 443)] })],
    });
    const through = { kind: "through" as const, selector: selectorFor("app=proxy") };
    const results = proved([outOnly, open], { to: world }, { to: world, via: through });
    expect(results[0]?.counterexample?.connection).toMatchObject({ from: { endpointKey: "Host/proxy" }, port: 443 });
    expect(results[1]?.status).toBe("holds");
  });

  it("that is about nobody says so, and why", () => {
    const results = proved(
      [onDb],
      { from: named("app=nobody") },
      { to: named("app=later") },
      { ...webToDb, ports: [namedPort(6, "http")] },
      { from: { kind: "entity", entity: "world" }, to: { kind: "entity", entity: "world" } },
      { from: named("app=web"), to: named("app=web") },
    );
    expect(results.map(({ status, why }) => [status, why])).toEqual([
      ["vacuous", 'Nobody is in "from".'],
      ["vacuous", 'Nobody in "to" has an address.'],
      ["vacuous", 'Nobody in "to" has any of the ports, or they are decided before any policy.'],
      ["vacuous", "No host or workload is on either side, so no policy is asked."],
      ["vacuous", "The two sides have no connection with each other: one address, or no address family in common."],
    ]);
  });

  it("about the subject's own host is refused, and the others are proved", () => {
    const results = proved([onDb], { to: { kind: "entity", entity: "host" } }, { ...webToDb, ports: [ports(6, 80)] });
    expect(results.map(({ status }) => status)).toEqual(["refused", "holds"]);
    expect(results[0]?.why).toContain('"to: {entity: host}"');
  });

  it("counts what is enforced, and says when policies in observe mode would decide otherwise", () => {
    const observed = { ...onDb, mode: "observe" as const };
    const closed = { from: named("app=proxy"), to: named("app=db") };
    expect(proved([observed], closed, { ...closed, expect: "allow" })).toMatchObject([
      { status: "fails", reported: { status: "holds", example: { reported: "deny", enforced: "allow" } } },
      { status: "holds", reported: { status: "fails", example: { reported: "deny", enforced: "allow" } } },
    ]);
    expect(proved([onDb], closed)[0]?.reported).toBeNull();
  });

  it("with several peers behind a service is one case", () => {
    const [first, second] = ["app=web", "app=proxy"].map((label) => ({
      from: named(label),
      to: named("app=db"),
      ports: [ports(6, 5432)],
    }));
    const test = testOf({ ...second, index: 0 }, { ...first, index: 0 });
    const { cases, counts } = proveTests(world(ENDPOINTS, [onDb]), [test]);
    expect(counts).toEqual({ holds: 0, fails: 1, vacuous: 0, refused: 0 });
    expect(cases[0]?.counterexample?.connection.from.endpointKey).toBe("Host/web");
  });

  it("stands among so many others only as is bearable", () => {
    const many = testOf(...Array.from({ length: MAX_TEST_CASES + 1 }, () => ({})));
    expect(() => proveTests(world([], []), [many])).toThrow(Failure);
  });

  it("sees workloads behind an address of their host each for itself", () => {
    const shared = workload("job", "web", { labels: new Map([["app", "job"]]) });
    const own = world([...ENDPOINTS, shared], [{ ...onDb, subject: selectorFor("app=job") }]);
    const { cases } = proveTests(own, [testOf({ from: named("app=db"), to: named("app=job") })]);
    expect(cases[0]).toMatchObject({ status: "holds" });
  });
});

describe("coverage", () => {
  it("lists the rules that decide no connection of any case", () => {
    const pass = policy("pass", { tier: "admin", rules: [rule("ingress", { action: "pass" })] });
    const own = world(ENDPOINTS, [onDb, pass]);
    const run = (...cases: readonly Partial<PolicyTestCase>[]) => {
      const { coverage } = proveTests(own, [testOf(...cases)], { coverage: true });
      return [coverage?.ruleCount, coverage?.untouched.map((one) => `${one.policy.name} ${one.rule.source.line}`)];
    };
    expect(run()).toEqual([2, ["db 7", "db 9"]]);
    // Nobody has the label of the second rule, so it decides nothing whatever the tests ask.
    expect(run({})).toEqual([2, ["db 9"]]);
    expect(run({ from: named("app=proxy") })).toEqual([2, ["db 7", "db 9"]]);
    expect(run({ from: named("app=web"), ports: [ports(6, 1, 5431)] })).toEqual([2, ["db 7", "db 9"]]);
  });

  it("counts rules in observe mode by what they would decide", () => {
    const own = world(ENDPOINTS, [{ ...onDb, mode: "observe" }]);
    const { coverage } = proveTests(own, [testOf({ from: named("app=web") })], { coverage: true });
    expect(coverage?.untouched.map((one) => one.rule.source.line)).toEqual([9]);
  });
});

describe("a proof", () => {
  it("says what trying every probe says, and its counterexample is real", { timeout: 300_000 }, () => {
    const seen = { holds: 0, fails: 0, vacuous: 0, refused: 0, via: 0, reported: 0, touched: 0 };
    const observed = fc.array(fc.boolean(), { minLength: 4, maxLength: 4 });
    const worlds = fc
      .tuple(arbitraryWorld({ maxPolicies: 4 }), fc.option(observed, { nil: [] }))
      .map(([own, isObserved]) => withPlaces(own, isObserved))
      .chain((own) => fc.tuple(fc.constant(own), fc.array(casesFor(own), { minLength: 12, maxLength: 12 })));
    fc.assert(
      fc.property(worlds, ([own, cases]) => {
        const enforced = { ...own, policies: own.policies.filter(({ mode }) => mode === "enforce") };
        const probes = probeFlows(own, LIMITS)
          .map((flow) => ({ flow, evaluation: evaluate(enforced, flow), reported: evaluate(own, flow) }))
          .filter(({ evaluation }) => evaluation.directions.every(({ decision }) => decision.reason !== "builtin"));
        const run = proveTests(own, [testOf(...cases)], { coverage: true });
        const untouched = new Set(run.coverage?.untouched.map((one) => one.rule.source));
        expect(run.cases).toHaveLength(cases.length);
        for (const { status, testCase, counterexample, reported } of run.cases) {
          const asked = probes.filter(({ flow }) => isAbout(own, testCase, flow));
          const wrong = asked.filter(({ evaluation }) => contradicts(testCase, evaluation));
          const text = JSON.stringify({ testCase, status, counterexample, wrong: wrong[0]?.flow });
          seen[status] += 1;
          if (status === "vacuous") expect(asked, text).toEqual([]);
          if (status !== "fails") expect(wrong, text).toEqual([]);
          if (counterexample === null) expect(status, text).not.toBe("fails");
          else {
            const { connection, walkthrough } = counterexample;
            const decided = evaluate(enforced, connection);
            expect(isAbout(own, testCase, connection) && contradicts(testCase, decided), text).toBe(true);
            expect(counterexample.contradicts, text).toBe(decided.verdict === testCase.expect ? "via" : "verdict");
            expect(walkthrough(), text).toEqual(evaluate(own, connection));
            if (counterexample.contradicts === "via") seen.via += 1;
          }
          if (reported !== null) {
            seen.reported += 1;
            expect(reported.status, text).not.toBe(status);
            const by = reported.status === "fails" ? own : enforced;
            expect(contradicts(testCase, evaluate(by, reported.example)), text).toBe(true);
            expect(reported.example.reported, text).toBe(evaluate(own, reported.example).verdict);
          }
          const wrongReports = asked.filter((probe) => contradicts(testCase, probe.reported));
          if (status === "holds" && reported === null) expect(wrongReports, text).toEqual([]);
          for (const { evaluation } of asked) {
            for (const { decision } of evaluation.directions) {
              if (decision.reason !== "rule") continue;
              seen.touched += 1;
              expect(untouched.has(decision.source ?? NOWHERE), text).toBe(false);
            }
          }
        }
      }),
      { numRuns: WORLDS, seed: SEED },
    );
    expect(
      Math.min(seen.holds, seen.fails, seen.vacuous, seen.via, seen.touched),
      JSON.stringify(seen),
    ).toBeGreaterThan(WORLDS / 2);
    expect(seen.reported).toBeGreaterThan(0);
  });
});
