import { readFileSync } from "node:fs";
import { type Endpoint, type PolicyWorld, PROTOCOL, readPolicyFiles, resolveFlowEnds } from "@wardline/domain/policy";
import { evaluateByBothEngines, lookupEnd } from "@wardline/domain/policy/testing";
import { describe, expect, it } from "vitest";

interface ConformanceCase {
  readonly name: string;
  readonly inventory: {
    readonly namespaces: readonly { readonly name: string; readonly labels: Record<string, string> }[];
    readonly workloads: readonly {
      readonly name: string;
      readonly namespace: string;
      readonly labels: Record<string, string>;
      readonly addresses: readonly string[];
      readonly ports: readonly { readonly name: string; readonly protocol: ProtocolName; readonly port: number }[];
    }[];
  };
  readonly policies: string;
  readonly probes: readonly {
    readonly from: string;
    readonly to: string;
    readonly protocol: ProtocolName;
    readonly port: number;
    readonly expect: "allow" | "deny";
  }[];
}

type ProtocolName = "TCP" | "UDP" | "SCTP";

const PROTOCOLS: Record<ProtocolName, number> = { TCP: PROTOCOL.tcp, UDP: PROTOCOL.udp, SCTP: PROTOCOL.sctp };

const cases: readonly ConformanceCase[] = JSON.parse(readFileSync(new URL("netpol-e2e.json", import.meta.url), "utf8"));

/** The data knows no hosts: each workload is put on one of its own, so that its tables are compiled alone. */
function toEndpoint(workload: ConformanceCase["inventory"]["workloads"][number]): Endpoint {
  const { name, namespace } = workload;
  return {
    key: `Workload/${namespace}/${name}`,
    kind: "workload",
    name,
    namespace,
    labels: new Map(Object.entries(workload.labels)),
    addresses: workload.addresses,
    ports: workload.ports.map(({ protocol, ...port }) => ({ ...port, protocol: PROTOCOLS[protocol] })),
    hostName: `host-of-${namespace}-${name}`,
    match: { kind: "cgroupPath", path: `/${namespace}/${name}` },
    source: null,
  };
}

function toWorld({ inventory, policies, name }: ConformanceCase): PolicyWorld {
  const reading = readPolicyFiles(policies.trim() === "" ? [] : [{ path: `${name}.yaml`, text: policies }]);
  const errors = reading.diagnostics.filter(({ severity }) => severity === "error");
  expect(errors, "the manifests are valid").toEqual([]);
  return {
    policies: reading.world.policies,
    inventory: {
      endpoints: inventory.workloads.map(toEndpoint),
      namespaces: new Map(
        inventory.namespaces.map((namespace) => [
          namespace.name,
          { name: namespace.name, labels: new Map(Object.entries(namespace.labels)) },
        ]),
      ),
      domainAddresses: new Map(),
    },
  };
}

describe("the NetworkPolicy conformance data", () => {
  let probes = 0;

  it.each(cases.map((one) => [one.name, one] as const))("%s", (_, one) => {
    const world = toWorld(one);
    for (const { from, to, protocol, port, expect: expected } of one.probes) {
      const addresses =
        one.inventory.workloads.find((item) => `${item.namespace}/${item.name}` === from)?.addresses ?? [];
      const families = [...new Set(addresses.map((address) => (address.includes(":") ? 6 : 4)))] as const;
      for (const family of families) {
        const flow = { ...resolveFlowEnds(world, from, to, { family }), protocol: PROTOCOLS[protocol], port };
        const what = `${from} to ${to} ${port}/${protocol} over IPv${family}`;
        expect(evaluateByBothEngines(world, flow).verdict, what).toBe(expected);
        for (const direction of ["egress", "ingress"] as const)
          expect(lookupEnd(world, flow, direction)).not.toBeNull();
      }
      probes += 1;
    }
  });

  it("was asked whole: 34 cases with 2,664 probes", () => {
    expect([cases.length, probes]).toEqual([34, 2_664]);
  });
});
