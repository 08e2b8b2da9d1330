import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { enforcedVerdict } from "../decision.ts";
import { evaluate } from "../evaluate.ts";
import type { Endpoint, Inventory, PolicyWorld } from "../model.ts";
import { proveTests } from "../proof/index.ts";
import { readPolicyFiles } from "../read.ts";
import type { RecordedFlow } from "../simulate/recorded-flow.ts";
import { host, workload, world } from "../testing/index.ts";
import { PolicySuggester, type SuggestionOptions, type SuggestionResult } from "./suggest.ts";

const labelled = (name: string, address: string, labels: Record<string, string>) =>
  host(name, { labels: new Map(Object.entries(labels)), addresses: [address] });

const ENDPOINTS = [
  labelled("web-1", "10.0.0.1", { app: "web", "pod-template-hash": "5d9c7b8f6" }),
  labelled("web-2", "10.0.0.2", { app: "web", "pod-template-hash": "7f6c5d4b9" }),
  labelled("web-canary", "10.0.0.3", { app: "web", tier: "canary" }),
  labelled("db-1", "10.0.0.9", { app: "db" }),
];
const { inventory } = world(ENDPOINTS, []);

function flow(over: Partial<RecordedFlow> = {}): RecordedFlow {
  return {
    timeMs: Date.UTC(2026, 10, 20, 10),
    kind: "start",
    direction: "ingress",
    protocol: 6,
    sourceAddress: "10.0.0.1",
    destinationAddress: "10.0.0.9",
    port: 5432,
    verdict: "allow",
    enforced: "allow",
    subjectKey: "Host/db-1",
    host: "db-1",
    ...over,
  };
}

const times = (count: number, over: Partial<RecordedFlow> = {}) => Array.from({ length: count }, () => flow(over));

function suggest(flows: readonly RecordedFlow[], options: Partial<SuggestionOptions> = {}): SuggestionResult {
  const suggester = new PolicySuggester({ inventory, ...options });
  for (const each of flows) suggester.add(each);
  return suggester.result();
}

function accept(result: SuggestionResult, over: Inventory = inventory): PolicyWorld {
  const reading = readPolicyFiles(
    result.suggestions.map(({ policyText }, index) => ({ path: `${index}.yaml`, text: policyText })),
  );
  expect(reading.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return { ...reading.world, inventory: over };
}

const onDb = ({ suggestions }: SuggestionResult) => suggestions.find(({ group }) => group === "default app=db");

describe("suggestions", () => {
  it("stay with the addresses and ports that were seen at 0", () => {
    const result = suggest(times(5), { generalize: 0 });
    expect(onDb(result)).toMatchObject({
      name: "suggested-db",
      namespace: "default",
      subjectKeys: ["Host/db-1"],
      rules: [{ direction: "ingress", peers: ["10.0.0.1/32 (Host/web-1)"], ports: ["5432/tcp"] }],
      notes: ["No egress was kept, so all of it would be denied."],
    });
    expect(onDb(result)?.policyText).toContain('- {ipBlock: {cidr: "10.0.0.1/32"}} # Host/web-1');
  });

  it("speak of the group once enough of it was seen, and never of another one with more labels", () => {
    const half = suggest(times(5), { generalize: 0.5 });
    expect(onDb(half)?.rules[0]?.peers).toEqual(["default app=web"]);
    expect(onDb(suggest(times(5), { generalize: 0.4 }))?.rules[0]?.peers).toEqual(["10.0.0.1/32 (Host/web-1)"]);
    const accepted = accept(half);
    const verdict = (from: string) =>
      evaluate(accepted, {
        from: { endpointKey: null, address: from },
        to: { endpointKey: "Host/db-1", address: "10.0.0.9" },
        protocol: 6,
        port: 5432,
      }).verdict;
    expect(["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(verdict)).toEqual(["allow", "allow", "deny"]);
  });

  it("widen to namespaces and prefixes only as far as the knob allows", () => {
    const outside = [1, 2, 200].flatMap((last) => times(3, { sourceAddress: `198.51.100.${last}` }));
    const peers = (generalize: number) => onDb(suggest(outside, { generalize }))?.rules.flatMap((rule) => rule.peers);
    expect(peers(0)).toEqual(["198.51.100.1/32", "198.51.100.2/32", "198.51.100.200/32"]);
    expect(peers(0.5)).toEqual(["198.51.100.0/24"]);
    const wide = [...times(3), ...times(3, { sourceAddress: "10.0.0.3" })];
    expect(onDb(suggest(wide, { generalize: 0.8 }))?.rules[0]?.peers).toEqual(["everybody in namespace default"]);
    const crawl = Array.from({ length: 70 }, (_, index) => flow({ sourceAddress: `${20 + index}.1.2.3` }));
    expect(onDb(suggest(crawl, { generalize: 1 }))?.rules[0]?.peers).toEqual(["any IPv4 address"]);
  });

  it("join neighbouring ports by the knob alone", () => {
    const many = [8000, 8001, 8003, 9000].flatMap((port) => times(3, { port }));
    const ports = (generalize: number) => onDb(suggest(many, { generalize }))?.rules[0]?.ports;
    expect(ports(0)).toEqual(["8000/tcp", "8001/tcp", "8003/tcp", "9000/tcp"]);
    expect(ports(0.5)).toEqual(["8000-8003/tcp", "9000/tcp"]);
  });

  it("leave noise out and say why", () => {
    const scan = Array.from({ length: 40 }, (_, port) => flow({ sourceAddress: "203.0.113.66", port: port + 1 }));
    const { leftOut, suggestions } = suggest([
      ...times(5),
      ...scan,
      ...times(4, { port: 22, enforced: "deny", verdict: "deny", kind: "deny" }),
      ...times(4, { destinationAddress: "224.0.0.251", direction: "egress", port: 5353, protocol: 17 }),
      ...times(4, { sourceAddress: "127.0.0.1", destinationAddress: "127.0.0.1" }),
      ...times(4, { port: 50_123 }),
      ...times(4, { sourceAddress: "192.0.2.1", destinationAddress: "192.0.2.2", direction: null }),
      flow({ port: 8443 }),
    ]);
    const reasons = Object.fromEntries(leftOut.map(({ reason, flows, denied }) => [reason, flows + denied]));
    expect(reasons).toEqual({
      scan: 40,
      denied: 4,
      multicast: 4,
      essential: 4,
      "ephemeral-port": 4,
      "ends-unknown": 4,
      rare: 1,
    });
    expect(suggestions.flatMap(({ rules }) => rules.flatMap(({ ports }) => ports))).toEqual(["5432/tcp"]);
  });

  it("suggest nothing for hosts of which only the others' view is known", () => {
    const result = suggest(times(5));
    expect(result.suggestions.map(({ group }) => group)).toEqual(["default app=db"]);
  });

  it("learn from observe mode what really passes, and count a connection once", () => {
    const result = suggest([...times(5, { verdict: "deny" }), ...times(5, { kind: "end" })]);
    expect(onDb(result)?.rules[0]?.evidence).toMatchObject({ flows: 5, sources: 1, hours: 1, share: 1 });
  });

  it("trust what is seen often, long and from many more", () => {
    const [few] = onDb(suggest(times(3)))?.rules ?? [];
    const long = Array.from({ length: 48 }, (_, hour) =>
      times(4, { timeMs: hour * 3_600_000, sourceAddress: `10.0.0.${1 + (hour % 2)}` }),
    ).flat();
    const [much] = onDb(suggest(long))?.rules ?? [];
    expect(few?.confidence).toBeLessThan(0.4);
    expect(much?.confidence).toBeGreaterThan(0.75);
  });

  it("put ICMP into our own format and leave it out of the Kubernetes one", () => {
    const pings = [...times(3), ...times(3, { protocol: 1, port: 8 << 8 })];
    expect(onDb(suggest(pings))?.policyText).toContain("{protocol: ICMP, type: 8, code: 0}");
    const kubernetes = suggest(pings, { format: "k8s" });
    expect(kubernetes.leftOut).toMatchObject([{ reason: "not-expressible", flows: 3 }]);
    expect(onDb(kubernetes)?.policyText).toContain("kind: NetworkPolicy");
  });

  it("come with a test of what must stay allowed", () => {
    const { testText } = onDb(suggest(times(5))) ?? {};
    const { tests, ok } = readPolicyFiles([{ path: "keeps.yaml", text: testText ?? "" }]);
    expect(ok).toBe(true);
    expect(tests).toMatchObject([
      {
        key: "PolicyTest/default/suggested-db-keeps",
        cases: [
          {
            from: { kind: "addresses", cidr: { prefixLength: 32 } },
            to: { kind: "addresses", cidr: { prefixLength: 32 } },
            expect: "allow",
            ports: [{ protocol: 6, low: 5432, high: 5432 }],
          },
        ],
      },
    ]);
  });

  it("come with a test that holds for the draft, as a proof over every packet says", () => {
    for (const generalize of [0, 0.5, 1]) {
      const { suggestions } = suggest([...times(5), ...times(5, { sourceAddress: "10.0.0.2" })], { generalize });
      const files = suggestions.flatMap(({ policyText, testText }, index) => [
        { path: `${index}.yaml`, text: policyText },
        { path: `${index}-keeps.yaml`, text: testText ?? "" },
      ]);
      const { world, tests } = readPolicyFiles(files);
      const { counts } = proveTests({ ...world, inventory }, tests);
      expect(counts).toEqual({ holds: expect.any(Number), fails: 0, vacuous: 0, refused: 0 });
      expect(counts.holds).toBeGreaterThan(0);
      // Without the policies' allows the same tests fail, so that they say something.
      const closed = world.policies.map((policy) => ({ ...policy, rules: [] }));
      expect(proveTests({ policies: closed, inventory }, tests).counts.holds).toBe(0);
    }
  });

  it("write labels that YAML would take for something else as text", () => {
    const odd = world([labelled("odd", "10.0.0.7", { on: "true", "a.b/c": "1e3" })], []).inventory;
    const result = suggest(times(3, { destinationAddress: "10.0.0.7", subjectKey: "Host/odd", host: "odd" }), {
      inventory: odd,
    });
    const [policy] = accept(result, odd).policies;
    expect(policy?.subject.endpoints.requirements).toEqual([
      { key: "a.b/c", operator: "In", values: ["1e3"] },
      { key: "on", operator: "In", values: ["true"] },
    ]);
  });
});

describe("suggestions for random fleets", () => {
  const LABELS = [{ app: "web" }, { app: "db" }, { app: "web", tier: "canary" }, {}];
  const fleet = fc
    .array(
      fc.record({
        labels: fc.constantFrom(...LABELS),
        shares: fc.boolean(),
        namespace: fc.constantFrom("default", "prod"),
      }),
      {
        minLength: 2,
        maxLength: 6,
      },
    )
    .map((specs) =>
      specs.map(({ labels, shares, namespace }, index): Endpoint => {
        const fields = { labels: new Map(Object.entries(labels)), namespace };
        return shares && index > 0
          ? workload(`job-${index}`, "node-0", fields)
          : host(`node-${index}`, { ...fields, addresses: [`10.0.0.${index + 1}`, `2001:db8::${index + 1}`] });
      }),
    );
  const OUTSIDE = ["198.51.100.1", "198.51.100.9", "2001:db8:9::1"];
  const PORTS = [22, 80, 81, 83, 443];

  const traffic = (endpoints: readonly Endpoint[]) => {
    const hosts = endpoints.filter(({ addresses }) => addresses.length > 0);
    const remotes = [...hosts.flatMap(({ addresses }) => addresses), ...OUTSIDE];
    return fc.array(
      fc
        .record({
          subject: fc.constantFrom(...endpoints),
          remote: fc.constantFrom(...remotes),
          direction: fc.constantFrom("ingress" as const, "egress" as const),
          port: fc.constantFrom(...PORTS),
          protocol: fc.constantFrom(6, 17),
        })
        .map(({ subject, remote, direction, port, protocol }) => {
          const owner = subject.addresses.length > 0 ? subject : endpoints[0];
          const isV6 = remote.includes(":");
          const local = owner?.addresses.find((address) => address.includes(":") === isV6) ?? remote;
          const ends =
            direction === "egress"
              ? { sourceAddress: local, destinationAddress: remote }
              : { sourceAddress: remote, destinationAddress: local };
          return flow({ ...ends, direction, port, protocol, subjectKey: subject.key, host: subject.hostName ?? "" });
        }),
      { minLength: 1, maxLength: 25 },
    );
  };

  const options = fc.record({
    generalize: fc.constantFrom(0, 0.3, 0.5, 0.8, 1),
    format: fc.constantFrom("wardline" as const, "k8s" as const),
  });

  it("allow all that they were learned from, and at 0 nothing else", { timeout: 60_000 }, () => {
    let checked = 0;
    let denied = 0;
    fc.assert(
      fc.property(
        fleet.chain((endpoints) => fc.tuple(fc.constant(endpoints), traffic(endpoints), options)),
        ([endpoints, flows, { generalize, format }]) => {
          const fleetInventory = world(endpoints, []).inventory;
          const result = suggest(flows, { inventory: fleetInventory, generalize, format, noise: { minFlows: 1 } });
          const accepted = accept(result, fleetInventory);
          const covered = new Map(
            result.suggestions.flatMap((each) => each.subjectKeys.map((key) => [key, each.group])),
          );
          const seen = new Set<string>();
          const verdictOf = (
            key: string,
            direction: "ingress" | "egress",
            own: string,
            remote: string,
            protocol: number,
            port: number,
          ) => {
            const subject = { endpointKey: key, address: own };
            const peer = { endpointKey: null, address: remote };
            const ends = direction === "egress" ? { from: subject, to: peer } : { from: peer, to: subject };
            const evaluated = evaluate(accepted, { ...ends, protocol, port }).directions[
              direction === "egress" ? 0 : 1
            ];
            return enforcedVerdict(evaluated.decision);
          };
          for (const { source, destination, protocol, port } of result.kept) {
            for (const [direction, own, remote] of [
              ["egress", source, destination],
              ["ingress", destination, source],
            ] as const) {
              if (own.key === null || !covered.has(own.key)) continue;
              checked++;
              seen.add(`${covered.get(own.key)} ${direction} ${remote.address} ${protocol} ${port}`);
              expect(verdictOf(own.key, direction, own.address, remote.address, protocol, port)).toBe("allow");
            }
          }
          if (
            generalize > 0 ||
            result.suggestions.some(({ notes }) => notes.some((note) => note.startsWith("No label")))
          )
            return;
          for (const [key, group] of covered) {
            for (const direction of ["ingress", "egress"] as const) {
              for (const remote of [...OUTSIDE, "10.0.0.1", "10.0.0.3", "2001:db8::2", "203.0.113.5"]) {
                for (const port of PORTS) {
                  if (seen.has(`${group} ${direction} ${remote} 6 ${port}`)) continue;
                  const own = remote.includes(":") ? "2001:db8:ffff::fe" : "198.51.100.254";
                  denied++;
                  expect(verdictOf(key, direction, own, remote, 6, port), `${key} ${direction} ${remote} ${port}`).toBe(
                    "deny",
                  );
                }
              }
            }
          }
        },
      ),
      { numRuns: 150, seed: 20_261_121 },
    );
    expect(checked).toBeGreaterThan(500);
    expect(denied).toBeGreaterThan(1000);
  });
});
