import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ErrorCode, Failure } from "../../errors/index.ts";
import { compiledEngine, judgeVectors, readVectorFile, referenceEngine } from "./index.ts";

const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);

const DENY_ALL_BUT_WEB = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: only-web, namespace: x}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress:
    - ports: [{port: web}]
`;

function workload(name: string, addresses: readonly string[], fields: object = {}) {
  const ports = [{ name: "web", protocol: "TCP", port: 80 }];
  return { name, namespace: "x", labels: {}, addresses, ports, ...fields };
}

function policyCase(fields: { inventory?: object; policies?: string; probes?: readonly object[]; more?: object } = {}) {
  return {
    name: "one-case",
    source: "somewhere",
    inventory: {
      namespaces: [{ name: "x", labels: { "kubernetes.io/metadata.name": "x" } }],
      workloads: [workload("a", ["10.0.0.1", "fd00::1"]), workload("b", ["10.0.0.2", "fd00::2"])],
      ...fields.inventory,
    },
    policies: fields.policies ?? DENY_ALL_BUT_WEB,
    probes: fields.probes ?? [probe("x/a", "x/b", 80, "allow")],
    ...fields.more,
  };
}

function probe(from: string, to: string, port: number, expect: string, fields: object = {}) {
  return { from, to, protocol: "TCP", port, expect, ...fields };
}

function packetCase(fields: object = {}, packet: object = {}, rule: object = {}) {
  return {
    name: "packets",
    source: "somewhere",
    family: "ipv4",
    rules: { tiers: [tier([{ action: "allow", ...rule }])], profiles: [] },
    ipSets: {},
    packets: [{ src: "10.0.0.1", dst: "10.0.0.2", protocol: 6, srcPort: 1, dstPort: 80, expect: "allow", ...packet }],
    ...fields,
  };
}

function tier(rules: readonly object[], endAction = "deny") {
  return { name: "tier", endAction, policies: [{ name: "policy", rules }] };
}

const read = (...cases: readonly object[]) => readVectorFile("test.json", JSON.stringify(cases));

describe("cases about policies", () => {
  it("ask every address family that both ends have, and count a probe once", async () => {
    const inventory = {
      workloads: [workload("a", ["10.0.0.1", "fd00::1"]), workload("b", ["10.0.0.2"]), workload("c", ["fd00::3"])],
    };
    const probes = [probe("x/a", "x/b", 80, "allow"), probe("x/a", "x/c", 81, "deny")];
    const [found] = read(policyCase({ inventory, probes }));
    expect(found?.probes.map(({ readings }) => readings.map(({ label }) => label))).toEqual([["IPv4"], ["IPv6"]]);
    const [both] = read(policyCase());
    expect(both?.probes[0]?.readings.map(({ source, destination }) => [source, destination])).toEqual([
      ["10.0.0.1", "10.0.0.2"],
      ["fd00::1", "fd00::2"],
    ]);
    for (const engine of [referenceEngine, compiledEngine]) {
      expect(await judgeVectors(read(policyCase({ inventory, probes })), engine)).toMatchObject({ mismatches: [] });
    }
  });

  it("take bare addresses: of a workload, or of nobody", async () => {
    const probes = [
      probe("203.0.113.9", "10.0.0.2", 80, "allow"),
      probe("203.0.113.9", "x/b", 81, "deny"),
      probe("x/a", "203.0.113.9", 81, "allow"),
      probe("203.0.113.9", "203.0.113.10", 81, "allow"),
      probe("2001:DB8::9", "fd00::2", 81, "deny"),
    ];
    for (const engine of [referenceEngine, compiledEngine]) {
      const result = await judgeVectors(read(policyCase({ probes })), engine);
      expect(result).toEqual({ cases: 1, probes: 5, mismatches: [] });
    }
  });

  it("know workloads in the network of their node by its addresses", async () => {
    const inventory = {
      nodes: [{ name: "node-0", labels: {}, addresses: ["10.9.0.1"] }],
      workloads: [
        workload("a", ["10.0.0.1"]),
        workload("b", ["10.9.0.1"], { node: "node-0", hostNetwork: true }),
        workload("c", ["10.0.0.3"], { node: "node-0", hostNetwork: false }),
      ],
    };
    const policies = DENY_ALL_BUT_WEB.replace("ports: [{port: web}]", "from: [{ipBlock: {cidr: 10.9.0.1/32}}]");
    const probes = [probe("x/b", "x/a", 81, "allow"), probe("x/c", "x/a", 81, "deny"), probe("x/a", "x/c", 80, "deny")];
    for (const engine of [referenceEngine, compiledEngine]) {
      expect(await judgeVectors(read(policyCase({ inventory, policies, probes })), engine)).toMatchObject({
        mismatches: [],
      });
    }
  });

  it("say which rule decided a wrong reading", async () => {
    const { mismatches } = await judgeVectors(
      read(policyCase({ probes: [probe("x/a", "x/b", 81, "allow")] })),
      compiledEngine,
    );
    expect(mismatches).toMatchObject([{ case: "one-case", probe: 0, expected: "allow", got: "deny", port: 81 }]);
    expect(mismatches[0]?.readings[0]).toEqual({
      reading: "IPv4",
      fromAddress: "10.0.0.1",
      toAddress: "10.0.0.2",
      decidedBy: [
        "egress of Workload/x/a (10.0.0.1): allowed: no policy isolates egress",
        "ingress of Workload/x/b (10.0.0.2): denied: x/only-web isolates ingress and no rule allows it",
      ],
    });
  });

  it("take an empty text for no policies", async () => {
    const one = policyCase({ policies: "", probes: [probe("x/a", "x/b", 81, "allow")] });
    expect(await judgeVectors(read(one), referenceEngine)).toMatchObject({ mismatches: [] });
  });
});

describe("cases about packets", () => {
  it("see each packet from both ends, and a case with one tier in both tiers", () => {
    const labels = read(packetCase())[0]?.probes[0]?.readings.map(({ label }) => label);
    expect(labels).toEqual([
      "ingress, admin tier",
      "ingress, baseline tier",
      "egress, admin tier",
      "egress, baseline tier",
    ]);
    const two = { rules: { tiers: [tier([{ action: "pass" }]), tier([{ action: "allow" }])] } };
    expect(read(packetCase(two))[0]?.probes[0]?.readings).toHaveLength(2);
  });

  it("leave out the end from which a builtin decides, and only while the other end shows the policy", async () => {
    const fromLoopback = read(packetCase({}, { src: "127.0.0.1" }));
    expect(fromLoopback[0]?.probes[0]?.readings.map(({ label }) => label)).toEqual([
      "egress, admin tier",
      "egress, baseline tier",
    ]);
    const mtu = { protocol: 1, srcPort: undefined, dstPort: undefined, icmpType: 3, icmpCode: 4, expect: "deny" };
    const always = read(packetCase({ rules: { tiers: [] } }, mtu));
    const { mismatches } = await judgeVectors(always, compiledEngine);
    expect(mismatches[0]?.readings.map(({ decidedBy }) => decidedBy[0])).toEqual([
      expect.stringContaining("path MTU and ICMP error"),
      expect.stringContaining("path MTU and ICMP error"),
    ]);
  });

  it("mean ICMPv6 by protocol 1 over IPv6", async () => {
    const packet = { src: "fd00::1", dst: "fd00::2", protocol: 1, srcPort: undefined, dstPort: undefined };
    const typed = (type: number, verdict: string) =>
      packetCase(
        { family: "ipv6", name: `icmp-${type}` },
        { ...packet, icmpType: type, icmpCode: 0, expect: verdict },
        { icmpType: 8 },
      );
    for (const engine of [referenceEngine, compiledEngine]) {
      expect(await judgeVectors(read(typed(8, "allow"), typed(10, "deny")), engine)).toMatchObject({ mismatches: [] });
    }
  });
});

const TWO_PROTOCOLS = { protocol: 1, srcPort: undefined, dstPort: undefined, icmpType: 8, icmpCode: 0 };

describe("what is not in the format", () => {
  it.each([
    ["", /the file is not JSON/],
    ["{", /the file is not JSON/],
    ["{}", /the file must be a list, not an object/],
    ["[]", /the file must have at least 1 member/],
    ["[null]", /\[0\] must be an object, not null/],
    ["[[]]", /\[0\] must be an object, not a list/],
    ['[{"name":1}]', /\[0\] has no "source"/],
    [`${"[".repeat(100_000)}`, /the file is not JSON/],
    [`${"[".repeat(100_000)}${"]".repeat(100_000)}`, /\[0\] must be an object, not a list/],
  ])("is refused: %.40s", (text, reason) => {
    expect(() => readVectorFile("test.json", text)).toThrow(reason);
  });

  it.each([
    [policyCase({ more: { name: "Not Kebab" } }), /\[0\]\.name must be in lower case with hyphens/],
    [policyCase({ more: { expct: 1 } }), /\[0\]\.expct is not known here; known are name, source/],
    [policyCase({ more: { "a b": 1 } }), /\[0\]\["a b"\] is not known/],
    [policyCase({ policies: "kind: [" }), /\[0\]\.policies cannot be used: WL1\d\d in line 1/],
    [policyCase({ policies: "apiVersion: v2\nkind: Pod\n" }), /\[0\]\.policies cannot be used: WL2\d\d in line \d/],
    [
      policyCase({
        policies: "apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: h}\nspec: {addresses: [192.0.2.1]}\n",
      }),
      /must hold policies only/,
    ],
    [policyCase({ probes: [probe("x/a", "x/b", 65_536, "allow")] }), /probes\[0\]\.port must be a whole number from 0/],
    [policyCase({ probes: [probe("x/a", "x/b", 1.5, "allow")] }), /probes\[0\]\.port must be a whole number/],
    [policyCase({ probes: [probe("x/a", "x/b", 80, "perhaps")] }), /probes\[0\]\.expect must be allow or deny/],
    [policyCase({ probes: [probe("x/a", "x/a", 80, "allow")] }), /probes\[0\] goes from a workload to itself/],
    [policyCase({ probes: [probe("x/a", "10.0.0.1", 80, "allow")] }), /probes\[0\] goes from a workload to itself/],
    [policyCase({ probes: [probe("x/a", "x/z", 80, "allow")] }), /probes\[0\]\.to is neither a workload/],
    [policyCase({ probes: [probe("x/a", "10.0.0.300", 80, "allow")] }), /probes\[0\]\.to is neither a workload/],
    [policyCase({ probes: [probe("192.0.2.1", "fd00::2", 80, "allow")] }), /without a common address family/],
    [policyCase({ probes: [probe("x/a", "x/b", 80, "allow", { protocol: "ICMP" })] }), /must be TCP or UDP or SCTP/],
    [
      policyCase({ inventory: { namespaces: [{ name: "x", labels: {} }] } }),
      /labels must hold kubernetes\.io\/metadata/,
    ],
    [policyCase({ inventory: { workloads: [workload("a", [])] } }), /addresses must have at least 1 member/],
    [policyCase({ inventory: { workloads: [workload("a", ["10.0.0.1/32"])] } }), /must be an IPv4 or IPv6 address/],
    [
      policyCase({ inventory: { workloads: [workload("a", ["10.0.0.1"]), workload("b", ["::ffff:10.0.0.1"])] } }),
      /has the address 10\.0\.0\.1 more than once/,
    ],
    [
      policyCase({ inventory: { workloads: [workload("a", ["10.0.0.1"], { hostNetwork: true })] } }),
      /uses the network of its node and names none/,
    ],
    [packetCase({ family: "ipv5" }), /family must be ipv4 or ipv6/],
    [packetCase({ rules: { tiers: [tier([]), tier([]), tier([])] } }), /has 3 tiers; only two ordered tiers exist/],
    [packetCase({ rules: { tiers: [], profiles: [{}] } }), /profiles must be empty/],
    [packetCase({}, {}, { srcNet: [] }), /srcNet is not known/],
    [packetCase({}, {}, { srcNets: [] }), /srcNets must have at least 1 member/],
    [packetCase({}, {}, { srcNets: ["fd00::/8"] }), /srcNets\[0\] is not an IPv4 network/],
    [packetCase({}, {}, { srcNets: ["10.0.0.0"] }), /srcNets\[0\] has no prefix length/],
    [packetCase({}, {}, { dstPorts: [[81, 80]] }), /dstPorts\[0\] must be \[low, high\]/],
    [packetCase({}, {}, { dstIpSets: ["missing"] }), /names the set "missing"/],
    [
      packetCase({ ipSets: { s: ["10.0.0.0/8"] } }, {}, { dstNamedPortIpSets: ["s"] }),
      /a set of addresses where a set of ports/,
    ],
    [packetCase({}, {}, { icmpCode: 1 }), /has an ICMP code without a type/],
    [packetCase({}, { dstPort: undefined }), /must have both ports/],
    [packetCase({}, { protocol: 253 }), /must have both ports for TCP, UDP and SCTP, else none/],
    [packetCase({}, { protocol: 1, srcPort: undefined, dstPort: undefined }), /must have type and code for ICMP/],
    [packetCase({}, { src: "fd00::1" }), /src is not an IPv4 address/],
    [
      packetCase(
        { family: "ipv6" },
        { src: "fd00::1", dst: "fd00::2", protocol: 44, srcPort: undefined, dstPort: undefined },
      ),
      /is an IPv6 extension header/,
    ],
    [
      packetCase({ family: "ipv6" }, { ...TWO_PROTOCOLS, src: "fd00::1", dst: "fd00::2" }, { notProtocol: 58 }),
      /uses protocol 1 and protocol 58/,
    ],
  ])("is refused with its place: %#", (one, reason) => {
    expect(() => read(one)).toThrow(reason);
    expect(() => read(one)).toThrow(/^test\.json: /);
  });

  it("names a case twice", () => {
    expect(() => read(policyCase(), policyCase())).toThrow(/\[1\] has the name one-case, which another case/);
  });

  it("never ends in another error, wherever a valid file is damaged", () => {
    const valid = JSON.stringify([policyCase(), packetCase()]);
    const wrong = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.constantFrom("__proto__", "", "\u0000", "x/a", -1, 1e308, "10.0.0.0/8", [[]], { length: 1 }),
    );
    fc.assert(
      fc.property(fc.nat(), wrong, (position, value) => {
        let left = 0;
        const damage = (chosen: number): string =>
          JSON.stringify(
            JSON.parse(valid, (_key, old: unknown) => {
              left += 1;
              return left === chosen ? value : old;
            }) as unknown,
          ) ?? "null";
        damage(-1);
        const values = left;
        left = 0;
        const text = damage(1 + (position % values));
        try {
          readVectorFile("test.json", text);
        } catch (error) {
          expect(error).toBeInstanceOf(Failure);
          expect((error as Failure).code).toBe(ErrorCode.INVALID_ARGUMENT);
        }
      }),
      { numRuns: 600, seed: SEED },
    );
  });
});
