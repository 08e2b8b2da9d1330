import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compile, type Endpoint, lookup, type PolicyWorld } from "../policy/index.ts";
import {
  arbitraryPacket,
  arbitraryWorld,
  endpointsPeer,
  GENERATED_HOST_NAMES,
  host,
  policy,
  questionOf,
  referenceDecision,
  rule,
  workload,
  world,
} from "../policy/testing/index.ts";
import { type DiscoveredEndpoint, describeRefused, mergeDiscovered, withDiscoveredEndpoints } from "./index.ts";

const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);

function member(name: string, addresses: readonly string[], labels: Readonly<Record<string, string>> = {}) {
  const fields = { kind: "member", namespace: "default", name, instance: "" } as const;
  return { ...fields, labels: new Map(Object.entries(labels)), addresses } satisfies DiscoveredEndpoint;
}

function service(name: string, address: string, labels: Readonly<Record<string, string>>, namespace = "default") {
  const fields = { kind: "service", namespace, name, instance: address } as const;
  return { ...fields, labels: new Map(Object.entries(labels)), addresses: [address] } satisfies DiscoveredEndpoint;
}

describe("what was discovered, in an inventory", () => {
  const WEB = host("web", { addresses: ["10.0.0.1"], labels: new Map([["app", "web"]]) });

  it("makes a host of a member that no document declares", () => {
    const { inventory } = mergeDiscovered(world([WEB], []).inventory, [member("db", ["10.0.0.2"], { app: "db" })]);
    expect(inventory.endpoints.map(({ key, addresses }) => [key, addresses])).toEqual([
      ["Host/db", ["10.0.0.2"]],
      ["Host/web", ["10.0.0.1"]],
    ]);
    expect(inventory.endpoints[0]?.labels).toEqual(new Map([["app", "db"]]));
  });

  it("keeps what a document says and adds what it does not have", () => {
    const found = member("web", ["10.0.0.1", "fd00::1"], { app: "other", zone: "a" });
    const { inventory } = mergeDiscovered(world([WEB], []).inventory, [found]);
    expect(inventory.endpoints[0]).toMatchObject({ key: "Host/web", addresses: ["10.0.0.1", "fd00::1"] });
    expect(Object.fromEntries(inventory.endpoints[0]?.labels ?? [])).toEqual({ app: "web", zone: "a" });
  });

  it("refuses an address that a document gives to another host or to a workload elsewhere, and says to whom", () => {
    const box = workload("box", "web", { addresses: ["10.0.0.9"], namespace: "shop" });
    const declared = world([WEB, box], []).inventory;
    const { inventory, refused } = mergeDiscovered(declared, [member("evil", ["10.0.0.1", "10.0.0.9", "10.0.0.66"])]);
    expect(inventory.endpoints.find(({ key }) => key === "Host/evil")?.addresses).toEqual(["10.0.0.66"]);
    expect(refused.map(describeRefused)).toEqual([
      "evil says that it has 10.0.0.1, which Host web has: it does not count for evil.",
      "evil says that it has 10.0.0.9, which Workload shop/box has: it does not count for evil.",
    ]);
    // The same address of a workload that runs on the member itself is no contradiction.
    expect(mergeDiscovered(declared, [member("web", ["10.0.0.9"])]).refused).toEqual([]);
  });

  it("makes a peer of a service and never a subject, and no document can stand in its place", () => {
    const found = service("db", "10.0.0.5", { app: "db" }, "shop");
    const { inventory } = mergeDiscovered(world([WEB], []).inventory, [found]);
    expect(inventory.endpoints.find(({ key }) => key === "Service/shop/db/10.0.0.5")).toMatchObject({
      kind: "workload",
      namespace: "shop",
      hostName: null,
      match: null,
    });
    const closed = world([WEB], [policy("all", { rules: [rule("ingress", { peers: [endpointsPeer("app=db")] })] })]);
    const program = compile(withDiscoveredEndpoints(closed, [found]), "web");
    expect(program.sets).toHaveLength(1);
    const ask = { set: 0, direction: "ingress", protocol: 6, port: 80, local: "10.0.0.1" } as const;
    expect(lookup(program, { ...ask, remote: "10.0.0.5" }).verdict).toBe("allow");
    expect(lookup(program, { ...ask, remote: "10.0.0.6" }).verdict).toBe("deny");
  });

  it("is the very world when there is nothing", () => {
    const plain = world([WEB], []);
    expect(withDiscoveredEndpoints(plain, [])).toBe(plain);
  });
});

const ADDRESSES = ["10.1.1.1", "10.1.1.2", "10.2.0.1", "192.0.2.7", "198.51.100.1", "2001:db8:1::1", "2001:db8:9::1"];
const someLabels = fc.record(
  { app: fc.constantFrom("web", "db", "cache"), zone: fc.constantFrom("a", "b") },
  { requiredKeys: [] },
);
const someMember = fc
  .tuple(fc.constantFrom(...GENERATED_HOST_NAMES, "delta"), fc.subarray(ADDRESSES), someLabels)
  .map(([name, addresses, labels]) => member(name, addresses, labels));
const someService = fc
  .tuple(fc.constantFrom(...ADDRESSES), someLabels, fc.constantFrom("default", "prod"))
  .map(([address, labels, namespace]) => service("db", address, labels, namespace));
const discoveredEndpoints = fc.tuple(
  fc.uniqueArray(someMember, { maxLength: 4, selector: ({ name }) => name }),
  fc.uniqueArray(someService, { maxLength: 4, selector: ({ namespace, instance }) => `${namespace}/${instance}` }),
);

/** The same by hand: what somebody would write into documents who knows all this. */
function writtenByHand(before: PolicyWorld, [members, services]: readonly DiscoveredEndpoint[][]): PolicyWorld {
  const declared = before.inventory.endpoints;
  const hosts = new Map(declared.filter(({ kind }) => kind === "host").map((one) => [one.name, one]));
  for (const { name, addresses, labels } of members ?? []) {
    const free = addresses.filter((a) => !declared.some((e) => e.hostName !== name && e.addresses.includes(a)));
    const document = hosts.get(name) ?? host(name, { labels: new Map() });
    const all = new Map(labels);
    for (const [key, value] of document.labels) all.set(key, value);
    const own = free.filter((address) => !document.addresses.includes(address));
    hosts.set(name, { ...document, labels: all, addresses: [...document.addresses, ...own] });
  }
  const written = (services ?? []).map(
    ({ namespace, addresses, labels }, at): Endpoint =>
      workload(`written${at}`, null, { namespace, addresses, labels }),
  );
  const workloads = declared.filter(({ kind }) => kind === "workload");
  return { ...before, inventory: { ...before.inventory, endpoints: [...hosts.values(), ...workloads, ...written] } };
}

describe("a world with what was discovered", () => {
  it("decides as its compiled tables do, and as one that was written by hand", { timeout: 120_000 }, () => {
    let differing = 0;
    fc.assert(
      fc.property(
        arbitraryWorld().chain((base) =>
          fc.tuple(fc.constant(base), discoveredEndpoints, fc.constantFrom(...GENERATED_HOST_NAMES)).chain((made) => {
            const merged = withDiscoveredEndpoints(base, made[1].flat());
            const program = compile(merged, made[2]);
            const packets = fc.array(arbitraryPacket(merged, program), { minLength: 20, maxLength: 20 });
            return fc.tuple(fc.constant(made), fc.constant({ merged, program }), packets);
          }),
        ),
        ([[base, found, hostName], { merged, program }, packets]) => {
          const byHand = compile(writtenByHand(base, found), hostName);
          expect(program.digest).toBe(byHand.digest);
          for (const packet of packets) {
            const { index: _, ...compiled } = lookup(program, questionOf(packet));
            expect(compiled).toEqual(referenceDecision(merged, program, packet));
          }
          if (program.digest !== compile(base, hostName).digest) differing++;
        },
      ),
      { numRuns: 250, seed: SEED, endOnFailure: true },
    );
    // The property says nothing when what was discovered does not matter.
    expect(differing).toBeGreaterThan(20);
  });
});
