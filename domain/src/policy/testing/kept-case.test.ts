import { describe, expect, it } from "vitest";
import { addressPeer, endpointsPeer, host, policy, ports, rule, workload, world } from "./build.ts";
import { failWithCase, formatKeptCase, type KeptCase, parseKeptCase, readKeptCases, shrinkCase } from "./kept-case.ts";

const FOUND: KeptCase = {
  world: world(
    [host("alpha", { addresses: ["10.0.0.1"] }), host("beta", { addresses: ["10.0.0.2"] }), workload("web", "alpha")],
    [
      policy("other", { rules: [rule("ingress")] }),
      policy("guilty", {
        rules: [
          rule("egress"),
          rule("ingress", {
            peers: [endpointsPeer("app=web"), addressPeer("10.0.0.0/8", "10.1.0.0/16")],
            ports: [ports(6, 80), ports(17, 53)],
          }),
        ],
      }),
    ],
  ),
  hostName: "alpha",
  packet: { subjectKey: "Host/alpha", direction: "ingress", remote: "10.0.0.2", protocol: 6, port: 80 },
};

/** Stands for a defect in how engines read an except. */
const hasExcept = ({ world: { policies, inventory } }: KeptCase): boolean => {
  if (inventory.endpoints.every(({ name }) => name !== "alpha")) throw new Error("nobody to ask");
  const peers = policies.flatMap((each) => each.rules.flatMap((one) => one.peers ?? []));
  return peers.some((peer) => peer.kind === "addresses" && peer.except.length > 0);
};

describe("a case that is kept", () => {
  it("is made as small as it goes", () => {
    const { policies, inventory } = shrinkCase(FOUND, hasExcept).world;
    expect(policies.map(({ name }) => name)).toEqual(["guilty"]);
    expect(policies[0]?.rules).toMatchObject([{ direction: "ingress", peers: [{ kind: "addresses" }], ports: null }]);
    expect(inventory.endpoints.map(({ key }) => key)).toEqual(["Host/alpha"]);
  });

  it("is the same after it was written and read", () => {
    expect(parseKeptCase(formatKeptCase(FOUND))).toEqual(FOUND);
  });

  it("is printed ready to be saved", () => {
    expect(() => failWithCase(FOUND, hasExcept)).toThrow(
      /kept\/<what it is about>\.json:\n\{\n {2}"hostName": "alpha"/,
    );
  });

  it("has a name that says what it is about", () => {
    const names = readKeptCases().map(({ name }) => name);
    expect(names).not.toEqual([]);
    for (const name of names) expect(name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)+$/);
  });
});
