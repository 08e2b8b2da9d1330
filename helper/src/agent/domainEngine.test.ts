import { type DiscoveredEndpoint, withDiscoveredEndpoints } from "@wardline/domain/cluster";
import {
  compile,
  type HostProgram,
  type PolicyWorld,
  readPolicyFiles,
  type SourceFile,
  stateDigest,
  withoutExpired,
  withQuarantines,
} from "@wardline/domain/policy";
import { arbitraryWorld, GENERATED_HOST_NAMES } from "@wardline/domain/policy/testing";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createDomainEngine } from "./domainEngine.ts";
import { EngineMemory } from "./engineMemory.ts";
import { type Circumstances, NO_NAMES, NOTHING_DISCOVERED, type QuarantineRecord } from "./policyEngine.ts";

const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);
const HOST = "alpha";
const BY = { sinceMs: 1, actor: "test", reason: "" };
const CUT_OFF: QuarantineRecord = {
  ...BY,
  subjectKey: `Host/${HOST}`,
  match: null,
  managementCidrs: ["192.0.2.0/24"],
  managementPorts: [22],
};

const MEMBER: DiscoveredEndpoint = {
  kind: "member",
  namespace: "default",
  name: HOST,
  instance: "",
  labels: new Map([["app", "cache"]]),
  addresses: ["10.2.0.1", "198.51.100.1"],
};
const SERVICE: DiscoveredEndpoint = {
  kind: "service",
  namespace: "prod",
  name: "db",
  instance: "one",
  labels: new Map([["app", "db"]]),
  addresses: ["198.51.100.2"],
};

const circumstances = fc.record({
  discovered: fc.constantFrom(NOTHING_DISCOVERED, [MEMBER], [MEMBER, SERVICE], [SERVICE]),
  atUnixMs: fc.constantFrom(0, 1_800_000_000_000, 9_000_000_000_000),
  domainAddresses: fc.constantFrom(
    NO_NAMES,
    new Map([["one.example", ["192.0.2.1"]]]),
    new Map([["one.example", ["192.0.2.1", "2001:db8::1"]]]),
  ),
  quarantines: fc.constantFrom<readonly QuarantineRecord[]>([], [CUT_OFF]),
  observesPolicies: fc.boolean(),
});

/** Which policies of two worlds there are, so that worlds follow each other that differ by a little. */
const steps = fc.array(
  fc.record({ from: fc.integer({ min: 0, max: 9 }), without: fc.integer({ min: 0, max: 19 }), circumstances }),
  { minLength: 2, maxLength: 12 },
);

function mixed(one: PolicyWorld, other: PolicyWorld, from: number, without: number): PolicyWorld {
  const policies = one.policies.map((policy, place) => {
    const replacement = place === from ? other.policies[place] : undefined;
    return replacement === undefined ? policy : { ...replacement, key: policy.key };
  });
  return { ...one, policies: policies.filter((_, place) => place !== without) };
}

function fromScratch(world: PolicyWorld, hostName: string, under: Circumstances): HostProgram {
  const { policies, inventory } = withoutExpired(world, under.atUnixMs);
  const merged = withDiscoveredEndpoints({ policies, inventory }, under.discovered).inventory;
  const present = { policies, inventory: { ...merged, domainAddresses: under.domainAddresses } };
  return compile(withQuarantines(present, hostName, under.quarantines, under.observesPolicies), hostName);
}

function rulesFile(ports: readonly number[], name = "rules"): SourceFile {
  const rules = ports.map((port) => `  - ports: [{protocol: TCP, port: ${port}}]\n`).join("");
  const head = `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: ${name}}\n`;
  return { path: `${name}.yaml`, text: `${head}spec:\n  podSelector: {}\n  ingress:\n${rules}` };
}

const plain = (atUnixMs = 0): Circumstances => ({
  atUnixMs,
  domainAddresses: NO_NAMES,
  discovered: NOTHING_DISCOVERED,
  quarantines: [],
  observesPolicies: false,
});

describe("createDomainEngine", () => {
  it("compiles the same as from scratch, whatever it compiled before and under whatever circumstances", () => {
    const worlds = arbitraryWorld({ maxPolicies: 8 });
    fc.assert(
      fc.property(worlds, worlds, steps, fc.constantFrom(...GENERATED_HOST_NAMES), (one, other, taken, hostName) => {
        const engine = createDomainEngine();
        for (const { from, without, circumstances: present } of taken) {
          const world = from % 5 === 4 ? other : mixed(one, other, from, without);
          expect(engine.compile(world, hostName, present)).toEqual(fromScratch(world, hostName, present));
        }
      }),
      { numRuns: 60, seed: SEED, endOnFailure: true },
    );
  });

  it("reads the same as from scratch, mistakes included", () => {
    const engine = createDomainEngine();
    const broken: SourceFile = { path: "broken.yaml", text: "kind: NetworkPolicy\n" };
    const states: SourceFile[][] = [
      [rulesFile([80, 443]), rulesFile([22], "other")],
      [rulesFile([80, 444]), rulesFile([22], "other")],
      [rulesFile([80, 444]), broken],
      [rulesFile([22], "other")],
      [],
      [rulesFile([80, 443]), rulesFile([22], "other")],
    ];
    for (const files of states) {
      const { world, diagnostics, ok } = engine.read(files);
      const anew = readPolicyFiles(files);
      expect({ world, diagnostics, ok }).toEqual({ world: anew.world, diagnostics: anew.diagnostics, ok: anew.ok });
      expect(engine.compile(world, HOST, plain()).digest).toBe(compile(anew.world, HOST).digest);
    }
  });

  it("digests a state as everybody does", () => {
    const files = [rulesFile([80]), rulesFile([22], "other"), { path: "é.yaml", text: "# ü\n" }];
    expect(createDomainEngine().stateDigest(files)).toBe(stateDigest(files));
  });

  it("goes on from what it had: what did not change is the very same program", () => {
    const engine = createDomainEngine();
    const read = (): PolicyWorld => engine.read([rulesFile([80, 443])]).world;
    const first = engine.compile(read(), HOST, plain());
    // In between what a host with names does at each apply.
    engine.compile(read(), HOST, { ...plain(), domainAddresses: new Map([["one.example", ["192.0.2.1"]]]) });
    expect(engine.compile(read(), HOST, plain(5))).toBe(first);
  });
});

describe("EngineMemory", () => {
  afterEach(() => void vi.useRealTimers());

  const world = readPolicyFiles([rulesFile([80])]).world;
  const twice = { ...world, policies: [...world.policies, ...world.policies] };
  const failing = { ...world, policies: twice.policies.map((policy) => ({ ...policy, rules: null as never })) };

  it("forgets what it had when a compilation fails, and compiles the next from scratch", () => {
    const memory = new EngineMemory(() => ({ update: () => {}, digest: () => new Uint8Array(32) }));
    memory.compile("plain", world, HOST);
    expect(memory.isEmpty).toBe(false);
    expect(() => memory.compile("plain", failing, HOST)).toThrow();
    expect(memory.isEmpty).toBe(true);
    expect(memory.compile("plain", world, HOST).ports).toEqual(compile(world, HOST).ports);
  });

  it("forgets large policies when nobody asks for a while, and keeps small ones", () => {
    vi.useFakeTimers();
    const memory = new EngineMemory(() => ({ update: () => {}, digest: () => new Uint8Array(32) }), {
      idleMs: 1000,
      keptLength: 1000,
    });
    const large = rulesFile(Array.from({ length: 100 }, (_, place) => 1000 + place));
    memory.read([large]);
    vi.advanceTimersByTime(900);
    memory.compile("plain", world, HOST);
    vi.advanceTimersByTime(900);
    expect(memory.isEmpty).toBe(false);
    vi.advanceTimersByTime(200);
    expect(memory.isEmpty).toBe(true);
    memory.read([rulesFile([80])]);
    vi.advanceTimersByTime(100_000);
    expect(memory.isEmpty).toBe(false);
  });
});
