import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { describeDecision, enforcedVerdict } from "../decision.ts";
import { evaluate } from "../evaluate.ts";
import type { Evaluation, PolicyFlow } from "../evaluation.ts";
import type { Endpoint, Policy, PolicyWorld } from "../model.ts";
import {
  addressPeer,
  arbitraryWorld,
  endpointsPeer,
  host,
  labels,
  policy,
  ports,
  rule,
  selectorFor,
  workload,
  world,
} from "../testing/index.ts";
import { type AccessDifference, compareAccess, createAccessModel, diffAccess, formatPortSet } from "./index.ts";
import { pairSubjects, type SubjectPair } from "./joint-space.ts";
import { partyHolds, portsHold, probeEnds, probePlaces } from "./testing.ts";

const WORLDS = Number(process.env.WARDLINE_ACCESS_WORLDS ?? 25);
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);

/** A world and what it becomes: some policies go, some come, and perhaps the inventory is another one. */
const transitions = fc
  .tuple(arbitraryWorld({ maxPolicies: 4 }), arbitraryWorld({ maxPolicies: 2 }), fc.array(fc.boolean()), fc.boolean())
  .map(([old, other, isKept, hasOtherInventory]): readonly [PolicyWorld, PolicyWorld] => {
    const kept = old.policies.filter((_, index) => isKept[index] ?? true);
    const added = other.policies.map((one) => ({ ...one, key: `${one.key}-added` }));
    const policies = [...kept, ...added].sort((left, right) => (left.key < right.key ? -1 : 1));
    return [old, { policies, inventory: hasOtherInventory ? other.inventory : old.inventory }];
  });

/** An address as somebody in the old world and somebody in the new one. */
interface JointEnd extends Omit<SubjectPair, "shown"> {
  readonly shownKey: string | null;
  readonly address: string;
}

function jointEnds(old: PolicyWorld, next: PolicyWorld): readonly JointEnd[] {
  const ownersIn = (own: PolicyWorld, address: string): readonly Endpoint[] =>
    probeEnds(own, 0)
      .filter((end) => end.address === address)
      .flatMap(({ endpointKey }) => own.inventory.endpoints.filter(({ key }) => key === endpointKey));
  const addresses = new Set([...probeEnds(old, 0), ...probeEnds(next, 0)].map(({ address }) => address));
  const own = [...addresses].flatMap((address) =>
    pairSubjects(ownersIn(old, address), ownersIn(next, address)).map((pair) => ({
      ...pair,
      shownKey: pair.shown.key,
      address,
    })),
  );
  const outside = [...probePlaces(old, 6), ...probePlaces(next, 6)].filter((address) => !addresses.has(address));
  return [...own, ...[...new Set(outside)].map((address) => ({ old: null, next: null, shownKey: null, address }))];
}

function isAllowed({ directions }: Evaluation): boolean {
  return directions.every(({ decision }) => enforcedVerdict(decision) === "allow");
}

describe("diff", () => {
  it("has every changed connection in exactly one row, with what decides it, and no other", {
    timeout: 300_000,
  }, () => {
    const seen = { gained: 0, lost: 0, same: 0 };
    fc.assert(
      fc.property(transitions, ([old, next]) => {
        const comparison = compareAccess(createAccessModel(old), createAccessModel(next));
        const { rows } = comparison.diff({ limit: 100_000 });
        const counter = comparison.countFlows();
        const counts = rows.map(() => 0);
        const ends = jointEnds(old, next);
        const isAlone = (address: string): boolean => ends.filter((end) => end.address === address).length === 1;
        for (const from of ends) {
          for (const to of ends) {
            if (from.address.includes(":") !== to.address.includes(":") || from.address === to.address) continue;
            if (from.shownKey === null && to.shownKey === null) continue;
            for (const [protocol, port] of PROBED_PORTS) {
              const ask = (side: "old" | "next", own: PolicyWorld): Evaluation =>
                evaluate(own, {
                  from: { endpointKey: from[side]?.key ?? null, address: from.address },
                  to: { endpointKey: to[side]?.key ?? null, address: to.address },
                  protocol,
                  port,
                });
              const [before, after] = [ask("old", old), ask("next", next)];
              if (before.directions.some(({ decision }) => decision.reason === "builtin")) continue;
              const shown: PolicyFlow = {
                from: { endpointKey: from.shownKey, address: from.address },
                to: { endpointKey: to.shownKey, address: to.address },
                protocol,
                port,
              };
              const found = rows.filter((row) => holds(row, shown));
              const [was, is] = [isAllowed(before), isAllowed(after)];
              const expected = was === is ? [] : [was ? "lost" : "gained"];
              const changes = found.map(({ change }) => change);
              // Said only of those that differ: `expect` takes longer than all that it is asked about.
              if (!isDeepStrictEqual(changes, expected)) expect(changes, JSON.stringify(shown)).toEqual(expected);
              for (const row of found) expectSides(row, before, after);
              if (isAlone(to.address)) {
                for (const row of found) counts[rows.indexOf(row)]! += 1;
                const ends = { sourceAddress: from.address, destinationAddress: to.address };
                counter.add({ ...ends, protocol, port, direction: "egress", subjectKey: from.shownKey ?? "" });
              }
              seen[was === is ? "same" : was ? "lost" : "gained"] += 1;
            }
          }
        }
        expect(counter.rows).toEqual(counts);
        expect(counter.unclear + counter.notOurs).toBe(0);
      }),
      { numRuns: WORLDS, seed: SEED },
    );
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(WORLDS * 10);
  });

  it("is empty for equal meaning, whatever the names, the order and the words", () => {
    fc.assert(
      fc.property(arbitraryWorld({ maxPolicies: 4 }), (old) => {
        const renamed = old.policies
          .filter(({ tier }) => tier === "application")
          .map((one, index) => ({ ...one, key: `Policy/renamed/${9 - index}`, rules: one.rules.toReversed() }));
        const others = old.policies.filter(({ tier }) => tier !== "application");
        const policies = [...others, ...renamed].sort((left, right) => (left.key < right.key ? -1 : 1));
        expect(diffAccess(createAccessModel(old), createAccessModel({ ...old, policies })).rows).toEqual([]);
      }),
      { numRuns: 50, seed: SEED },
    );
  });
});

const PROBED_PORTS: readonly (readonly [number, number])[] = [
  [6, 0],
  [6, 80],
  [6, 90],
  [6, 443],
  [6, 8080],
  [6, 65535],
  [17, 53],
  [17, 60999],
  [132, 80],
  [1, 8 << 8],
  [58, 128 << 8],
  [47, 0],
];

function holds(row: AccessDifference, flow: PolicyFlow): boolean {
  return (
    partyHolds(row.from, flow.from) && partyHolds(row.to, flow.to) && row.ports.some((part) => portsHold(part, flow))
  );
}

function expectSides(row: AccessDifference, before: Evaluation, after: Evaluation): void {
  for (const { direction, ...side } of row.sides) {
    const place = direction === "egress" ? 0 : 1;
    expect(side).toEqual({ before: before.directions[place].decision, after: after.directions[place].decision });
    expect(enforcedVerdict(side.before)).not.toBe(enforcedVerdict(side.after));
  }
  expect(row.sides.length).toBeGreaterThan(0);
}

const INVENTORY = [
  host("web-1", { addresses: ["10.0.0.1", "2001:db8::1"], labels: labelMap("app=web", "env=prod") }),
  host("web-2", { addresses: ["10.0.0.2", "2001:db8::2"], labels: labelMap("app=web", "env=prod") }),
  host("db-1", { addresses: ["10.0.1.1", "2001:db8::1:1"], labels: labelMap("app=db", "env=prod") }),
  host("job", { addresses: ["10.0.2.1"], labels: labelMap("app=job", "env=prod") }),
];

function labelMap(...pairs: readonly string[]): ReadonlyMap<string, string> {
  return new Map(labels(...pairs).requirements.map(({ key, values }) => [key, values[0] ?? ""]));
}

function rowTexts(old: PolicyWorld, next: PolicyWorld): readonly string[] {
  return diffAccess(createAccessModel(old), createAccessModel(next)).rows.map(
    ({ change, from, to, ports: set, sides }) => {
      const why = sides.map(({ direction, before, after }) => {
        const texts = [before, after].map((decision) => describeDecision(decision, direction));
        return `${direction}: ${texts.join(" -> ")}`;
      });
      return `${change} ${from.text} > ${to.text} ${formatPortSet(set)}; ${why.join("; ")}`;
    },
  );
}

const database = (...rules: Policy["rules"]): Policy =>
  policy("db", { subject: selectorFor("app=db"), isolates: { ingress: true, egress: false }, rules });
const fromWeb = rule("ingress", { peers: [endpointsPeer("app=web")], ports: [ports(6, 5432)] });

describe("rows of a diff", () => {
  it("name groups by the labels that they share, and both families at once", () => {
    expect(rowTexts(world(INVENTORY, [database()]), world(INVENTORY, [database(fromWeb)]))).toEqual([
      "gained app=web > db-1 5432/tcp; ingress: denied: default/db isolates ingress and no rule allows it -> allowed by default/db, ingress[0]",
    ]);
  });

  it("count what the inventory changes", () => {
    const next = [...INVENTORY, host("web-3", { addresses: ["10.0.0.3"], labels: labelMap("app=web") })];
    expect(rowTexts(world(INVENTORY, [database(fromWeb)]), world(next, [database(fromWeb)]))).toEqual([
      "gained web-3 > db-1 5432/tcp; ingress: denied: default/db isolates ingress and no rule allows it -> allowed by default/db, ingress[0]",
    ]);
  });

  it("show prefixes with excepts for addresses outside the inventory", () => {
    const wide = rule("ingress", {
      index: 1,
      peers: [addressPeer("10.0.0.0/8", "10.9.0.0/16")],
      ports: [ports(6, 22)],
    });
    expect(rowTexts(world(INVENTORY, [database(fromWeb, wide)]), world(INVENTORY, [database(fromWeb)]))).toEqual([
      "lost every endpoint, 10.0.0.0/8 except 10.9.0.0/16 > db-1 22/tcp; ingress: allowed by default/db, ingress[1] -> denied: default/db isolates ingress and no rule allows it",
    ]);
  });

  it("are none for a host that only gets another name", () => {
    const renamed = INVENTORY.map((one) => (one.name === "job" ? { ...one, key: "Host/batch", name: "batch" } : one));
    expect(rowTexts(world(INVENTORY, [database(fromWeb)]), world(renamed, [database(fromWeb)]))).toEqual([]);
  });

  it("are none for a denial that is only observed", () => {
    const observed = { ...database(), mode: "observe" as const };
    expect(rowTexts(world(INVENTORY, []), world(INVENTORY, [observed]))).toEqual([]);
  });
});

describe("recorded flows", () => {
  const comparison = compareAccess(
    createAccessModel(world(INVENTORY, [database()])),
    createAccessModel(world([...INVENTORY, workload("pool", "web-1")], [database(fromWeb)])),
  );
  const flow = { protocol: 6, port: 5432, direction: null, subjectKey: "" };

  it("are counted by row; the others by why they are in none", () => {
    const counter = comparison.countFlows();
    for (const sourceAddress of ["10.0.0.2", "10.0.0.2", "10.0.2.1"]) {
      counter.add({ ...flow, sourceAddress, destinationAddress: "10.0.1.1" });
    }
    counter.add({ ...flow, sourceAddress: "10.0.0.2", destinationAddress: "192.0.2.1" });
    counter.add({ ...flow, sourceAddress: "192.0.2.2", destinationAddress: "192.0.2.1" });
    counter.add({ ...flow, sourceAddress: "10.0.0.2", destinationAddress: "2001:db8::1:1" });
    counter.add({ ...flow, sourceAddress: "10.0.0.2", destinationAddress: "10.0.0.2" });
    expect(counter.rows).toEqual([2]);
    expect(counter).toMatchObject({ unchanged: 3, notOurs: 2, unclear: 0 });
  });
});

describe("the endpoints at an address", () => {
  const [a, b, w] = [host("a"), host("b"), workload("w", "a")];
  const keys = (old: readonly Endpoint[], next: readonly Endpoint[]) =>
    pairSubjects(old, next).map((pair) => [pair.old?.key ?? null, pair.next?.key ?? null, pair.shown.key]);

  it("are paired by key, then in turn, and the rest with the host", () => {
    expect(keys([a], [a])).toEqual([["Host/a", "Host/a", "Host/a"]]);
    expect(keys([], [a])).toEqual([[null, "Host/a", "Host/a"]]);
    expect(keys([a], [])).toEqual([["Host/a", null, "Host/a"]]);
    expect(keys([a], [b])).toEqual([["Host/a", "Host/b", "Host/b"]]);
    expect(keys([a], [a, w])).toEqual([
      ["Host/a", "Host/a", "Host/a"],
      ["Host/a", "Workload/default/w", "Workload/default/w"],
    ]);
    expect(keys([a, w], [b])).toEqual([
      ["Host/a", "Host/b", "Host/b"],
      ["Workload/default/w", "Host/b", "Workload/default/w"],
    ]);
  });
});
