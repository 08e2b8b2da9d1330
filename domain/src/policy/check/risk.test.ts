import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyFixes } from "../edit/apply-fixes.ts";
import { evaluate } from "../evaluate.ts";
import type { PolicyWorld } from "../model.ts";
import { readPolicyFiles } from "../read.ts";
import { addressPeer, host, NOWHERE, policy, ports, rule, workload, world } from "../testing/build.ts";
import { arbitraryWorld, GENERATED_HOST_NAMES } from "../testing/worlds.ts";
import { checkRisks, type HostNeeds } from "./risk.ts";

const WEB = host("web-1", { addresses: ["192.0.2.10"] });
const DNS_SERVERS = ["192.0.2.53", "2001:db8::53"];

function needs(connection: Partial<HostNeeds["connections"][number]>, hostName = "web-1"): HostNeeds {
  const usual = { purpose: "dns", direction: "egress", remotes: DNS_SERVERS, protocol: 17, port: 53 } as const;
  return { hostName, connections: [{ ...usual, ...connection }] };
}

function codes(subject: PolicyWorld, hosts: readonly HostNeeds[] = []): readonly string[] {
  return checkRisks(subject, { hosts }).map(({ code }) => code);
}

describe("checkRisks", () => {
  it("says nothing where nothing is cut", () => {
    expect(codes(world([WEB], []), [needs({})])).toEqual([]);
    const allowing = policy("dns", { rules: [rule("egress", { ports: [ports(17, 53)] }), rule("ingress")] });
    expect(codes(world([WEB], [allowing]), [needs({})])).toEqual([]);
  });

  it("names the servers that are cut and not the others", () => {
    const half = policy("half", {
      rules: [rule("egress", { peers: [addressPeer("192.0.2.0/24")], ports: [ports(17, 53)] }), rule("ingress")],
    });
    const [risk, ...others] = checkRisks(world([WEB], [half]), { hosts: [needs({})] });
    expect(others).toEqual([]);
    expect(risk?.code).toBe("WL402");
    expect(risk?.message).toContain("53/udp to 2001:db8::53.");
    expect(risk?.message).not.toContain("192.0.2.53");
  });

  it("points at the rule that denies, with its file and line", () => {
    const source = { ...NOWHERE, file: "guard.yaml", line: 7 };
    const guard = policy("guard", {
      tier: "admin",
      rules: [rule("ingress", { action: "deny", ports: [ports(6, 1, 1024)], source })],
    });
    const console = {
      purpose: "console",
      direction: "ingress",
      remotes: ["198.51.100.7"],
      protocol: 6,
      port: 22,
    } as const;
    const risks = checkRisks(world([WEB], [guard]), { hosts: [needs(console)] });
    expect(risks.map(({ code, source: at }) => [code, at])).toEqual([["WL401", source]]);
  });

  it("is one diagnostic for all hosts that one policy cuts", () => {
    const hosts = ["a", "b", "c", "d"].map((name) => host(name));
    const [risk, ...others] = checkRisks(world(hosts, [policy("closed", { rules: [rule("egress")] })]));
    expect(others).toEqual([]);
    expect(risk?.message).toContain("SSH of Host/a, Host/b, Host/c and 1 more: 22/tcp from anybody");
  });

  it("leaves out observed policies, loopback servers, and workloads that are only peers", () => {
    const closed = policy("closed", { mode: "observe" });
    expect(codes(world([WEB], [closed]), [needs({})])).toEqual([]);
    const open = policy("open", { rules: [rule("ingress")] });
    expect(codes(world([WEB], [open]), [needs({ remotes: ["127.0.0.53", "::1"] })])).toEqual([]);
    const peer = workload("peer", null, { addresses: ["192.0.2.99"] });
    expect(codes(world([peer], [policy("closed")]))).toEqual([]);
  });

  it("claims nothing while names are not looked up", () => {
    const peers = [{ kind: "domains", names: ["dns.example.org"], source: NOWHERE }] as const;
    const byName = policy("name", { rules: [rule("egress", { peers, ports: [ports(17, 53)] }), rule("ingress")] });
    expect(codes(world([WEB], [byName]))).toEqual([]);
  });

  it("asks hosts that no document declares", () => {
    expect(codes(world([], [policy("closed", { rules: [rule("ingress")] })]), [needs({})])).toEqual(["WL402"]);
  });

  it("offers a policy that takes a denial of higher tiers away", () => {
    const inventory = "apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: web-1, labels: {app: web}}\n---\n";
    const text = `${inventory}apiVersion: wardline.io/v1
kind: Policy
metadata: {name: guard}
spec:
  tier: admin
  priority: 50
  subject: {hosts: {matchLabels: {app: web}}}
  egress:
    - action: deny
`;
    const read = (given: string) => readPolicyFiles([{ path: "guard.yaml", text: given }]).world;
    const options = { hosts: [needs({})], files: [{ path: "guard.yaml", text }] };
    const [risk] = checkRisks(read(text), options);
    expect(risk?.code).toBe("WL402");
    const fixed = applyFixes(text, [risk!.fix!]).text;
    expect(readPolicyFiles([{ path: "guard.yaml", text: fixed }]).ok).toBe(true);
    expect(checkRisks(read(fixed), options)).toEqual([]);
  });

  it("agrees with the evaluator on every connection", () => {
    const remotes = ["10.1.1.1", "10.1.1.2", "192.0.2.7", "203.0.113.9", "2001:db8:1::2", "200:db8::1"];
    const service = fc.constantFrom([6, 80], [6, 22], [17, 53], [132, 80]);
    fc.assert(
      fc.property(
        arbitraryWorld(),
        fc.constantFrom(...GENERATED_HOST_NAMES),
        fc.constantFrom(...remotes),
        fc.constantFrom("ingress" as const, "egress" as const),
        service,
        (generated, hostName, remote, direction, [protocol, port]) => {
          const enforced = { ...generated, policies: generated.policies.filter(({ mode }) => mode === "enforce") };
          const subject = {
            endpointKey: `Host/${hostName}`,
            address: remote.includes(":") ? "2001:db8:ffff::fe" : "198.51.100.254",
          };
          const peer = { endpointKey: null, address: remote };
          const ends = direction === "egress" ? { from: subject, to: peer } : { from: peer, to: subject };
          const { verdict } = evaluate(enforced, { ...ends, protocol: protocol!, port: port! });
          const connection = {
            purpose: "mesh" as const,
            direction,
            remotes: [remote],
            protocol: protocol!,
            port: port!,
          };
          const risks = checkRisks(generated, { hosts: [{ hostName, connections: [connection] }] });
          expect(risks.some(({ code }) => code === "WL404")).toBe(verdict === "deny");
        },
      ),
      { numRuns: 150 },
    );
  });
});
