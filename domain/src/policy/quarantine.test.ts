import { describe, expect, it } from "vitest";
import { compile } from "./compile/index.ts";
import { evaluate } from "./evaluate.ts";
import { resolveFlowEnds } from "./flow-ends.ts";
import { lookup } from "./lookup.ts";
import { findQuarantineSubject, type QuarantineScope, withQuarantines } from "./quarantine.ts";
import { host, policy, ports, rule, selectorFor, workload, world } from "./testing/index.ts";

const ALPHA = host("alpha", { addresses: ["10.0.0.1"] });
const BETA = host("beta", { addresses: ["10.0.0.2"] });
const WEB = workload("web", "alpha", { addresses: ["10.0.0.5"] });
const OPEN = policy("open", { tier: "admin", priority: 0, rules: [rule("ingress"), rule("egress")] });
const WORLD = world([ALPHA, BETA, WEB], [OPEN]);
const SSH = { match: null, managementCidrs: ["192.0.2.0/24"], managementPorts: [22] } as const;
const HOST: QuarantineScope = { subjectKey: "Host/alpha", ...SSH };
const WORKLOAD: QuarantineScope = {
  subjectKey: "Workload/default/web",
  match: WEB.match,
  managementCidrs: [],
  managementPorts: [],
};

function verdicts(scopes: readonly QuarantineScope[], over = WORLD, observes = false) {
  const program = compile(withQuarantines(over, "alpha", scopes, observes), "alpha");
  return (set: number, direction: "ingress" | "egress", remote: string, port: number, protocol = 6) => {
    const decision = lookup(program, { set, direction, remote, protocol, port });
    return `${decision.verdict}${decision.observeOnly ? " (observed)" : ""} ${decision.policyKeys.join()}`;
  };
}

const CUT = "deny wardline.io/quarantine/Host/alpha";

describe("a quarantined host", () => {
  it("keeps nothing but its management, its workloads included", () => {
    const ask = verdicts([HOST]);
    for (const set of [0, 1]) {
      expect(ask(set, "ingress", "192.0.2.7", 22)).toBe("allow wardline.io/quarantine/Host/alpha");
      expect(ask(set, "ingress", "192.0.2.7", 23)).toBe(CUT);
      expect(ask(set, "ingress", "192.0.2.7", 22, 17)).toBe(CUT);
      expect(ask(set, "ingress", "198.51.100.1", 22)).toBe(CUT);
      expect(ask(set, "egress", "192.0.2.7", 22)).toBe(CUT);
      expect(ask(set, "ingress", "2001:db8::1", 22)).toBe(CUT);
    }
  });

  it("is cut off although no document declares it, and in a world without policies", () => {
    expect(verdicts([HOST], world([], []))(0, "egress", "192.0.2.7", 443)).toBe(CUT);
  });

  it("leaves the other hosts' programs as they were", () => {
    expect(compile(withQuarantines(WORLD, "alpha", [HOST]), "beta").digest).toBe(compile(WORLD, "beta").digest);
  });
});

describe("a quarantined workload", () => {
  it("is cut off alone", () => {
    const ask = verdicts([WORKLOAD]);
    expect(ask(1, "ingress", "192.0.2.7", 22)).toBe("deny wardline.io/quarantine/Workload/default/web");
    expect(ask(0, "ingress", "192.0.2.7", 22)).toMatch(/^allow .*open/);
  });

  it("is not reached by the management of its host, which is in quarantine too", () => {
    const ask = verdicts([HOST, WORKLOAD]);
    expect(ask(0, "ingress", "192.0.2.7", 22)).toBe("allow wardline.io/quarantine/Host/alpha");
    expect(ask(1, "ingress", "192.0.2.7", 22)).toBe("deny wardline.io/quarantine/Workload/default/web");
  });

  it("stays cut off when the policies no longer declare it", () => {
    const program = compile(withQuarantines(world([ALPHA], [OPEN]), "alpha", [WORKLOAD]), "alpha");
    expect(program.sets).toMatchObject([{ id: 0 }, { id: 1, endpointKey: "Workload/default/web", match: WEB.match }]);
    const question = { set: 1, direction: "egress", remote: "192.0.2.7", protocol: 6, port: 443 } as const;
    expect(lookup(program, question).verdict).toBe("deny");
  });
});

it("is enforced where the policies are only observed, and they stay observed", () => {
  const denying = policy("closed", { subject: selectorFor(), rules: [rule("ingress", { ports: [ports(6, 80)] })] });
  const ask = verdicts([WORKLOAD], world([ALPHA, WEB], [denying]), true);
  expect(ask(1, "ingress", "192.0.2.7", 80)).toBe("deny wardline.io/quarantine/Workload/default/web");
  expect(ask(0, "ingress", "192.0.2.7", 443)).toBe("deny (observed) Policy/default/closed");
});

it("is named when somebody asks why", () => {
  const held = withQuarantines(WORLD, "alpha", [HOST]);
  const { from, to } = resolveFlowEnds(held, "beta", "alpha");
  const evaluation = evaluate(held, { from, to, protocol: 6, port: 443 });
  expect(evaluation.verdict).toBe("deny");
  expect(JSON.stringify(evaluation)).toContain("wardline.io/quarantine/Host/alpha");
});

describe("finding a subject", () => {
  const found = (text: string, over = WORLD) => findQuarantineSubject(over, "alpha", text);

  it("takes a key, a name with its namespace, and a name that only one has", () => {
    for (const text of ["Workload/default/web", "default/web", "web"]) {
      expect(found(text)).toMatchObject({ kind: "found", endpoint: { key: "Workload/default/web" } });
    }
    expect(found("Host/alpha")).toMatchObject({ kind: "found", endpoint: { key: "Host/alpha" } });
    const twice = world([ALPHA, WEB, workload("web", "alpha", { namespace: "shop" })], []);
    expect(found("web", twice)).toEqual({ kind: "ambiguous", keys: ["Workload/default/web", "Workload/shop/web"] });
  });

  it("names what is near and what there is; another host is not here", () => {
    expect(found("wev")).toEqual({ kind: "unknown", nearest: "web", keys: ["Host/alpha", "Workload/default/web"] });
    expect(found("Host/beta")).toMatchObject({ kind: "unknown" });
  });
});
