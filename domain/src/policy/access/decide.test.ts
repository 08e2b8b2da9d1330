import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Failure } from "../../errors/index.ts";
import { parseAddress } from "../address.ts";
import { enforcedVerdict } from "../decision.ts";
import { evaluate } from "../evaluate.ts";
import type { Evaluation, FlowEnd, PolicyFlow } from "../evaluation.ts";
import type { PolicyWorld, PortMatch, TestEnd } from "../model.ts";
import { arbitraryWorld, cidr, host, namedPort, policy, ports, selectorFor, world } from "../testing/index.ts";
import { decide, decideConnection, findConnection } from "./decide.ts";
import { type AccessQuestion, createAccessModel, type DecidedConnection } from "./index.ts";
import { compareEnds, type GroupEnd } from "./member-groups.ts";
import { compareProtocols } from "./port-space.ts";
import { groupHolds, isAsked, portsHold, probeFlows, type TestQuestion } from "./testing.ts";

const WORLDS = Number(process.env.WARDLINE_ACCESS_WORLDS ?? 25);
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);
const LIMITS = { maxOutside: 10, maxPorts: 12 };
const ANY: TestEnd = { kind: "any" };

/** Worlds with everything that policies can say, and with few probes, so that all pairs can be tried. */
function forEachWorld(body: (world: PolicyWorld) => void): void {
  fc.assert(fc.property(arbitraryWorld({ maxPolicies: 4 }), body), { numRuns: WORLDS, seed: SEED });
}

/** Compares without words first: said by `expect`, millions of equal answers take most of the time. */
function expectSame(decided: DecidedConnection, evaluation: Evaluation, asked: unknown): void {
  const [egress, ingress] = evaluation.directions;
  const isAllowed = [egress, ingress].every(({ decision }) => enforcedVerdict(decision) === "allow");
  const answer = [egress.decision, ingress.decision, evaluation.verdict, isAllowed ? "allow" : "deny"];
  if (isDeepStrictEqual([decided.egress, decided.ingress, decided.reported, decided.enforced], answer)) return;
  const text = JSON.stringify(asked);
  expect(decided.egress, text).toEqual(egress.decision);
  expect(decided.ingress, text).toEqual(ingress.decision);
  expect(decided.reported, text).toBe(evaluation.verdict);
  expect(decided.enforced, text).toBe(isAllowed ? "allow" : "deny");
  expect.unreachable(`differs: ${text}`);
}

const ends: fc.Arbitrary<TestEnd> = fc.oneof(
  fc.constant<TestEnd>({ kind: "any" }),
  fc
    .constantFrom("app=web", "app=db", "zone=a")
    .map((label): TestEnd => ({ kind: "endpoints", selector: selectorFor(label) })),
  fc.constantFrom<TestEnd>(
    { kind: "addresses", cidr: cidr("10.1.0.0/16"), except: [cidr("10.1.1.0/31"), cidr("10.1.1.128/25")] },
    { kind: "addresses", cidr: cidr("10.1.1.2/32"), except: [] },
    { kind: "addresses", cidr: cidr("2001:db8::/33"), except: [cidr("2001:db8:1::2/127")] },
    { kind: "addresses", cidr: cidr("0.0.0.0/0"), except: [cidr("10.0.0.0/8")] },
  ),
  fc.constantFrom(...(["world", "cluster", "mesh"] as const)).map((entity): TestEnd => ({ kind: "entity", entity })),
);

const questions = fc
  .record({
    from: ends,
    to: ends,
    fromWithout: fc.option(fc.constant(selectorFor("app=cache")), { freq: 2 }),
    ports: fc.constantFrom<readonly PortMatch[] | null>(
      null,
      [ports(6, 80, 443), ports(6, 400, 500), ports(1, 0, 0xffff)],
      [namedPort(6, "http"), ports(17, 53)],
      [],
    ),
  })
  .map((question): TestQuestion => ({ ...question, fromWithout: question.fromWithout ?? null }));

const WANTED: readonly ((
  decided: Pick<DecidedConnection, "reported" | "enforced" | "egress" | "ingress">,
) => boolean)[] = [
  ({ reported }) => reported === "deny",
  ({ enforced }) => enforced === "allow",
  ({ egress, ingress }) => ingress.reason === "rule" && egress.reason !== "rule",
];

describe("the whole space of connections", () => {
  it("is decided as the reference decides, every connection in exactly one region", { timeout: 300_000 }, () => {
    const seen = new Map<string, number>();
    forEachWorld((world) => {
      const model = createAccessModel(world);
      const regions = [...decide(model, { from: ANY, to: ANY, ports: null, builtins: true })];
      for (const flow of probeFlows(world, LIMITS)) {
        const evaluation = evaluate(world, flow);
        expectSame(decideConnection(model, flow), evaluation, flow);
        const found = regions
          .filter(({ from, to }) => groupHolds(from, flow.from) && groupHolds(to, flow.to))
          .flatMap(({ ports }) => ports.filter((part) => portsHold(part, flow)));
        if (found.length !== 1) expect.unreachable(`in ${found.length} regions: ${JSON.stringify(flow)}`);
        for (const decided of found) expectSame(decided, evaluation, flow);
        const kind = evaluation.directions.map(({ decision }) => decision.reason).join();
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
      }
    });
    for (const kind of ["rule,rule", "isolated,rule", "rule,isolated", "not-isolated,rule", "builtin,builtin"]) {
      expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(WORLDS / 2);
    }
  });
});

function compareConnections(left: PolicyFlow, right: PolicyFlow): number {
  const end = ({ endpointKey, address }: FlowEnd): GroupEnd => {
    const parsed = parseAddress(address);
    return { endpointKey, address, bytes: parsed.ok ? parsed.bytes : new Uint8Array() };
  };
  return (
    compareEnds(end(left.from), end(right.from)) ||
    compareEnds(end(left.to), end(right.to)) ||
    compareProtocols(left.protocol, right.protocol) ||
    left.port - right.port
  );
}

describe("the smallest connection", () => {
  it("is real, no probe of the question is smaller, and none means none", { timeout: 300_000 }, () => {
    const found = { some: 0, none: 0, last: 0 };
    const cases = fc.tuple(arbitraryWorld({ maxPolicies: 4 }), fc.array(questions, { minLength: 6, maxLength: 6 }));
    fc.assert(
      fc.property(cases, ([world, asked]) => {
        const model = createAccessModel(world);
        const decided = probeFlows(world, LIMITS).map((flow) => ({ flow, ...decideConnection(model, flow) }));
        for (const question of asked) {
          const own = decided.filter(
            ({ flow, egress, ingress }) =>
              isAsked(world, question, flow) && egress.reason !== "builtin" && ingress.reason !== "builtin",
          );
          for (const isWanted of WANTED) {
            const example = findConnection(model, question, isWanted);
            const smallest = own.filter(isWanted).sort((left, right) => compareConnections(left.flow, right.flow))[0];
            const asked = { question, example, smallest: smallest?.flow };
            const text = JSON.stringify(asked);
            if (example === null) {
              expect(smallest, text).toBeUndefined();
              found.none += 1;
              continue;
            }
            expectSame(example, evaluate(world, example), asked);
            expect(isWanted(example) && isAsked(world, question, example), text).toBe(true);
            expect(smallest && compareConnections(smallest.flow, example) < 0, text).not.toBe(true);
            found[smallest && compareConnections(smallest.flow, example) === 0 ? "last" : "some"] += 1;
          }
        }
      }),
      { numRuns: WORLDS, seed: SEED },
    );
    expect(Math.min(found.none, found.last)).toBeGreaterThan(WORLDS / 2);
  });

  it("leaves out what is decided before any policy, unless that is asked for", () => {
    const own = world([host("a", { addresses: ["10.0.0.1"] })], [policy("closed")]);
    const model = createAccessModel(own);
    const allowed = (builtins: boolean) =>
      findConnection(model, { from: ANY, to: ANY, ports: null, builtins }, ({ enforced }) => enforced === "allow");
    expect(allowed(false)).toBeNull();
    // A host may always say that a packet was too big: ICMP type 3 code 4.
    expect(allowed(true)).toMatchObject({
      from: { endpointKey: "Host/a" },
      to: { address: "0.0.0.0" },
      protocol: 1,
      port: 772,
    });
  });

  it("refuses the entity that differs from subject to subject", () => {
    const model = createAccessModel(world([], []));
    const question: AccessQuestion = { from: { kind: "entity", entity: "host" }, to: ANY, ports: null };
    expect(() => findConnection(model, question, () => true)).toThrow(Failure);
  });
});
