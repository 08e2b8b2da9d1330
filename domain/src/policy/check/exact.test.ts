/** The exact checks against the reference evaluator, over random worlds and packets at the edges of their rules. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sharesHostNetwork } from "../endpoints.ts";
import { evaluate } from "../evaluate.ts";
import type { Direction, Endpoint, Policy, PolicyRule, PolicyWorld, SourceRange } from "../model.ts";
import { arbitraryProbe, type PacketProbe } from "../testing/packets.ts";
import { arbitraryWorld } from "../testing/worlds.ts";
import { ALL_PORTS, portNumber } from "./boxes.ts";
import { CheckContext } from "./context.ts";
import { type DecidedPart, decideBoxes } from "./decide-boxes.ts";
import { checkEffect } from "./effect.ts";
import { EndpointIndex } from "./endpoint-index.ts";
import { checkEqualPriority } from "./equal-priority.ts";
import { contains } from "./range-set.ts";
import { RuleSpace } from "./rule-space.ts";
import { checkShadowing } from "./shadowing.ts";
import { DiagnosticSink } from "./sink.ts";
import { SourceTexts } from "./source-texts.ts";
import { groupSubjects } from "./subject-groups.ts";
import { WorkBudget } from "./work-budget.ts";

const WORLDS = 60;
const PROBES = 40;
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);

function place(line: number): SourceRange {
  return { file: "generated.yaml", line, column: 1, endLine: line, endColumn: 2 };
}

/** Gives every policy and rule a line of its own, so that what is reported tells which one is meant. */
function withLines(world: PolicyWorld): PolicyWorld {
  let line = 0;
  const next = (): SourceRange => {
    line += 1;
    return place(line);
  };
  const policies = world.policies.map(
    (policy): Policy => ({
      ...policy,
      source: next(),
      rules: policy.rules.map((rule) => ({ ...rule, source: next() })),
    }),
  );
  return { ...world, policies };
}

function contextOf(world: PolicyWorld): { readonly context: CheckContext; readonly sink: DiagnosticSink } {
  const index = new EndpointIndex(world.inventory);
  const space = new RuleSpace(world, index);
  const sink = new DiagnosticSink(10_000);
  const context = new CheckContext({
    policies: world.policies,
    index,
    space,
    groups: groupSubjects(world.policies, index, space),
    sink,
    texts: new SourceTexts([]),
    budget: new WorkBudget(10_000_000),
    subjectSources: new Map(),
  });
  return { context, sink };
}

function reportedLines(sink: DiagnosticSink, ...codes: readonly string[]): ReadonlySet<number> {
  const reported = sink.finish(new Map()).filter(({ code }) => codes.includes(code));
  return new Set(reported.map(({ source }) => source.line));
}

/** Subjects that are asked only their own policies; a workload behind its host's address is asked the host's as well. */
function plainEndpoints(world: PolicyWorld): readonly Endpoint[] {
  return world.inventory.endpoints.filter((endpoint) => !sharesHostNetwork(endpoint));
}

function ask(world: PolicyWorld, endpoint: Endpoint, probe: PacketProbe) {
  const local =
    probe.remote.startsWith("::ffff:") || !probe.remote.includes(":") ? "198.51.100.254" : "2001:db8:ffff::fe";
  const subject = { endpointKey: endpoint.key, address: local };
  const peer = { endpointKey: null, address: probe.remote };
  const { protocol, port, direction } = probe;
  const ends = direction === "egress" ? { from: subject, to: peer } : { from: peer, to: subject };
  return evaluate(world, { ...ends, protocol, port }).directions[direction === "egress" ? 0 : 1];
}

function onlyEnforced(world: PolicyWorld): PolicyWorld {
  return { ...world, policies: world.policies.filter(({ mode }) => mode === "enforce") };
}

function without(world: PolicyWorld, drops: (policy: Policy, rule: PolicyRule) => boolean): PolicyWorld {
  const policies = world.policies.map((policy) => ({
    ...policy,
    rules: policy.rules.filter((rule) => !drops(policy, rule)),
  }));
  return { ...world, policies };
}

/** `expect` is asked only for its words: it takes longer than both answers. */
function expectSameVerdict(
  [left, right]: readonly [PolicyWorld, PolicyWorld],
  endpoint: Endpoint,
  probe: PacketProbe,
): void {
  const [answer, wanted] = [ask(left, endpoint, probe).verdict, ask(right, endpoint, probe).verdict];
  if (answer !== wanted) expect(answer, `${endpoint.key} ${JSON.stringify(probe)}`).toBe(wanted);
}

/** Runs the property over worlds with packets that probe the edges of their rules. */
function forWorlds(property: (world: PolicyWorld, probes: readonly PacketProbe[]) => void, numRuns = WORLDS): void {
  const cases = arbitraryWorld().chain((generated) => {
    const world = withLines(generated);
    return fc.tuple(fc.constant(world), fc.array(arbitraryProbe(world), { minLength: PROBES, maxLength: PROBES }));
  });
  fc.assert(
    fc.property(cases, ([world, probes]) => property(world, probes)),
    { numRuns, seed: SEED },
  );
}

describe("the exact checks", { timeout: 120_000 }, () => {
  it("decide every packet as the reference does", () => {
    forWorlds((world, probes) => {
      const { context } = contextOf(world);
      const enforced = onlyEnforced(world);
      const parts = new Map<string, readonly DecidedPart[]>();
      for (const group of context.groups) {
        for (const direction of ["ingress", "egress"] satisfies Direction[]) {
          const everything = [{ addresses: context.space.atoms.all, ports: ALL_PORTS }];
          const decided = decideBoxes(group, direction, everything, ({ mode }) => mode === "enforce");
          for (const { key } of group.endpoints) parts.set(`${key} ${direction}`, decided ?? []);
        }
      }
      for (const endpoint of plainEndpoints(world)) {
        for (const probe of probes) {
          const decided = parts.get(`${endpoint.key} ${probe.direction}`);
          const { decision } = ask(enforced, endpoint, probe);
          if (!decided || decision.reason === "builtin") continue;
          const atom = context.space.atoms.atomOf(probe.remote)!;
          const port = portNumber(probe.protocol, probe.port);
          const matching = decided.filter(({ boxes }) =>
            boxes.some((box) => contains(box.addresses, atom) && contains(box.ports, port)),
          );
          const [part] = matching;
          const isSame = matching.length === 1 && part?.verdict === decision.verdict;
          if (!isSame) expect({ decided: matching, probe }).toEqual({ decided: [decision.verdict], probe });
          if (decision.reason === "rule") expect(part?.rule?.source).toEqual(decision.source);
        }
      }
    });
  });

  it("call a rule without effect only when no packet changes without it", () => {
    let found = 0;
    forWorlds((world, probes) => {
      const { context, sink } = contextOf(world);
      checkShadowing(context);
      const lines = reportedLines(sink, "WL340", "WL341");
      found += lines.size;
      if (lines.size === 0) return;
      const reduced = without(world, (_, rule) => lines.has(rule.source.line));
      const enforced = [onlyEnforced(reduced), onlyEnforced(world)] as const;
      for (const endpoint of world.inventory.endpoints) {
        for (const probe of probes) {
          expectSameVerdict(enforced, endpoint, probe);
          expectSameVerdict([reduced, world], endpoint, probe);
        }
      }
    });
    expect(found).toBeGreaterThan(2);
  });

  it("call an observed or baseline policy without effect only when no packet changes without it", () => {
    let found = 0;
    forWorlds((world, probes) => {
      const { context, sink } = contextOf(world);
      checkEffect(context);
      for (const line of reportedLines(sink, "WL345", "WL348")) {
        found += 1;
        const policy = world.policies.find(({ source }) => source.line === line)!;
        const enforced = onlyEnforced({
          ...world,
          policies: world.policies.map((each) => (each === policy ? { ...each, mode: "enforce" } : each)),
        });
        const reduced = { ...enforced, policies: enforced.policies.filter(({ key }) => key !== policy.key) };
        for (const endpoint of plainEndpoints(world)) {
          for (const probe of probes) {
            expectSameVerdict([reduced, enforced], endpoint, probe);
          }
        }
      }
    });
    expect(found).toBeGreaterThan(1);
  });

  it("find every conflict at equal priority that changes a packet", () => {
    let found = 0;
    forWorlds((generated, probes) => {
      // One tier and two priorities, so that the order of two policies is all that can differ.
      const policies = generated.policies.map((policy): Policy => {
        const rules = policy.rules.map((rule) => (rule.index % 2 === 1 ? { ...rule, action: "deny" as const } : rule));
        return {
          ...policy,
          tier: "admin",
          isolates: { ingress: false, egress: false },
          priority: policy.priority % 2,
          rules,
        };
      });
      const world = { ...generated, policies };
      const { context, sink } = contextOf(world);
      checkEqualPriority(context);
      if (reportedLines(sink, "WL344").size > 0) {
        found += 1;
        return;
      }
      // Keys break ties: other keys, other winners.
      const reversed = {
        ...world,
        policies: world.policies.map((policy, position) => ({ ...policy, key: `Policy/${9 - position}` })).toReversed(),
      };
      const enforced = [onlyEnforced(reversed), onlyEnforced(world)] as const;
      for (const endpoint of plainEndpoints(world)) {
        for (const probe of probes) {
          expectSameVerdict(enforced, endpoint, probe);
        }
      }
    }, WORLDS * 4);
    expect(found).toBeGreaterThan(3);
  });
});
