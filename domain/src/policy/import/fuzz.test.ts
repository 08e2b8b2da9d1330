import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DIAGNOSTICS } from "../check/registry.ts";
import { readPolicyFiles } from "../read.ts";
import { parseCalicoSelector } from "./calico-expression.ts";

const RUNS = Number(process.env.WARDLINE_FUZZ_RUNS ?? 2000);
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);

/** Words that the readers know, so that what is generated gets further than its first field. */
const KEYS = [
  "endpointSelector nodeSelector matchLabels matchExpressions key operator values ingress egress ingressDeny egressDeny",
  "fromEndpoints toEndpoints fromCIDR toCIDR fromCIDRSet cidr except fromEntities toEntities fromNodes toFQDNs matchName",
  "matchPattern toPorts ports port endPort protocol rules icmps fields family type enableDefaultDeny description specs",
  "selector namespaceSelector types order tier action source destination nets notNets notPorts icmp code ipVersion",
  "containers podIPs podIP ip addresses address nodeName hostNetwork phase containerPort name __proto__ constructor",
].flatMap((line) => line.split(" "));

const SCALARS = [
  "Allow",
  "Deny",
  "Log",
  "TCP",
  "ICMP",
  "all",
  "world",
  "Ingress",
  "In",
  "Exists",
  "80",
  "6000:6010",
  "10.0.0.0/8",
  "::/0",
  "10.0.0.1",
  "example.org",
  "**.example.org",
  "app == 'a' && has(b)",
  "k8s:app",
  "default",
  "InternalIP",
  "constructor",
  "__proto__",
];

const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom<unknown>(...SCALARS, null, true, false, 0, 80, 8, 70_000, -1, 1.5),
    fc.string({ maxLength: 12 }),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...KEYS), tie("value"), { maxKeys: 5 }),
  ),
}));

const TYPES = [
  ["cilium.io/v2", "CiliumNetworkPolicy"],
  ["cilium.io/v2", "CiliumClusterwideNetworkPolicy"],
  ["projectcalico.org/v3", "NetworkPolicy"],
  ["crd.projectcalico.org/v1", "GlobalNetworkPolicy"],
  ["v1", "Pod"],
  ["v1", "Node"],
] as const;

describe("readers of foreign documents", () => {
  it("answer anything with diagnostics, and let no policy through that has an error", () => {
    fc.assert(
      fc.property(fc.constantFrom(...TYPES), value, value, ([apiVersion, kind], spec, status) => {
        const text = JSON.stringify({ apiVersion, kind, metadata: { name: "a" }, spec, specs: undefined, status });
        const { world, diagnostics, ok } = readPolicyFiles([{ path: "fuzz.json", text }]);
        expect(ok).toBe(!diagnostics.some(({ severity }) => severity === "error"));
        if (!ok) expect(world.policies).toEqual([]);
        // Plain data, as threads get it: no field is anything that objects have by themselves.
        structuredClone(world);
        for (const { code, source } of diagnostics) {
          expect(Object.hasOwn(DIAGNOSTICS, code)).toBe(true);
          expect([source.file, source.line]).toEqual(["fuzz.json", 1]);
        }
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });

  it("answer any text as a selector", () => {
    const piece = fc.oneof(
      fc.constantFrom(
        "app",
        "==",
        "!=",
        "in",
        "not in",
        "{",
        "}",
        "'a'",
        "&&",
        "||",
        "!",
        "(",
        ")",
        "has(",
        "all()",
        ",",
      ),
      fc.string({ unit: "binary", maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const parsed = parseCalicoSelector(pieces.join(" "));
        if (!parsed.ok) expect(parsed.message).toMatch(/\S/);
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });
});
