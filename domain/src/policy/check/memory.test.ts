import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SourceFile } from "../model.ts";
import { createPolicyReader, readPolicyFiles } from "../read.ts";
import type { ReadLimits } from "../yaml/limits.ts";

const NUM_RUNS = Number(process.env.WARDLINE_MEMORY_RUNS ?? 60);
const NOW = Date.UTC(2026, 10, 21);

const label = fc.constantFrom("{app: a}", "{app: b}", "{stage: live}", "{}", "{app: nobody}");
const ports = fc.constantFrom(
  "[{port: 80}]",
  "[{port: 80, endPort: 90}]",
  "[{port: http}]",
  "[{protocol: UDP, port: 53}]",
);
const network = fc.constantFrom("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "0.0.0.0/0", "2001:db8::/32");
const peer = fc.oneof(
  label.map((labels) => `{selector: {matchLabels: ${labels}}}`),
  network.map((cidr) => `{ipBlock: {cidr: "${cidr}"}}`),
  fc.constantFrom("{entity: host}", "{entity: world}"),
);
const direction = fc.constantFrom("ingress", "egress");

/** Few names, labels and networks, so that rules cover and contradict each other. */
const policy = fc
  .record({
    subject: label,
    tier: fc.constantFrom("app", "admin", "baseline"),
    mode: fc.constantFrom("enforce", "enforce", "observe"),
    expires: fc.constantFrom("", "", "  expires: 2026-11-23T00:00:00Z\n", "  expires: 2026-11-01T00:00:00Z\n"),
    direction,
    rules: fc.array(fc.tuple(fc.constantFrom("allow", "deny", "pass"), fc.array(peer, { maxLength: 2 }), ports), {
      minLength: 1,
      maxLength: 3,
    }),
  })
  .map(({ subject, tier, mode, expires, direction: way, rules }) => (name: string) => {
    const peersName = way === "ingress" ? "from" : "to";
    const lines = rules.map(([action, peers, portList]) => {
      const chosen = tier === "app" ? "" : `action: ${action}, `;
      const named = peers.length === 0 ? "" : `${peersName}: [${peers.join(", ")}], `;
      return `    - {${chosen}${named}ports: ${portList}}\n`;
    });
    return `apiVersion: wardline.io/v1\nkind: Policy\nmetadata: {name: ${name}}\nspec:\n  tier: ${tier}\n${
      tier === "app" ? "" : "  priority: 10\n"
    }  mode: ${mode}\n${expires}  subject: {selector: {matchLabels: ${subject}}}\n  ${way}:\n${lines.join("")}`;
  });

const host = fc
  .tuple(label, fc.constantFrom("[10.1.2.3]", '[10.1.2.4, "2001:db8::4"]', "[10.1.2.5]"), fc.constantFrom(80, 8080))
  .map(
    ([labels, addresses, port]) =>
      (name: string) =>
        `apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: ${name}, labels: ${labels}}\nspec:\n  addresses: ${addresses}\n  ports: [{name: http, port: ${port}}]\n`,
  );

interface Slots {
  readonly policies: readonly string[];
  readonly hosts: readonly string[];
}

type Change = (slots: Slots) => Slots;

const replaced = (list: readonly string[], at: number, text: string) =>
  list.map((each, position) => (position === at % list.length ? text : each));

const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(fc.nat(), policy).map(
      ([at, make]): Change =>
        (slots) => {
          const position = at % slots.policies.length;
          return { ...slots, policies: replaced(slots.policies, position, make(`policy-${position}`)) };
        },
    ),
  },
  fc.tuple(fc.nat(), host).map(
    ([at, make]): Change =>
      (slots) => {
        const position = at % slots.hosts.length;
        return { ...slots, hosts: replaced(slots.hosts, position, make(`host-${position}`)) };
      },
  ),
  fc.nat().map(
    (at): Change =>
      (slots) => ({ ...slots, policies: replaced(slots.policies, at, "") }),
  ),
  fc.constant<Change>((slots) => slots),
);

function filesOf({ policies, hosts }: Slots): readonly SourceFile[] {
  return [
    ...policies.map((text, position) => ({ path: `policy-${position}.yaml`, text })),
    ...hosts.map((text, position) => ({ path: `host-${position}.yaml`, text })),
  ];
}

describe("a check with a memory", { timeout: 120_000 }, () => {
  it.each([
    ["usual", {}],
    ["few comparisons", { maxRuleComparisons: 40 }],
    ["few diagnostics", { maxDiagnostics: 4 }],
  ] satisfies [string, Partial<ReadLimits>][])(
    "says what one without it says, with limits: %s",
    (_name, limits: Partial<ReadLimits>) => {
      const codes = new Set<string>();
      const property = fc.property(
        fc.array(policy, { minLength: 4, maxLength: 8 }),
        fc.array(host, { minLength: 1, maxLength: 3 }),
        fc.array(fc.tuple(change, fc.constantFrom(undefined, NOW)), { minLength: 1, maxLength: 8 }),
        (policies, hosts, changes) => {
          const reader = createPolicyReader({ limits });
          let slots: Slots = {
            policies: policies.map((make, position) => make(`policy-${position}`)),
            hosts: hosts.map((make, position) => make(`host-${position}`)),
          };
          reader.read(filesOf(slots));
          for (const [apply, nowUnixMs] of changes) {
            slots = apply(slots);
            const moment = nowUnixMs === undefined ? {} : { nowUnixMs };
            const read = reader.read(filesOf(slots), moment);
            expect(read).toEqual(readPolicyFiles(filesOf(slots), { limits, ...moment }));
            for (const { code } of read.diagnostics) codes.add(code);
          }
        },
      );
      fc.assert(property, { numRuns: NUM_RUNS });
      if (limits.maxDiagnostics === undefined) expect([...codes]).toEqual(expect.arrayContaining(["WL341", "WL348"]));
    },
  );

  it("tells of expiry by the time of each reading", () => {
    const text = `apiVersion: wardline.io/v1
kind: Policy
metadata: {name: short}
spec:
  expires: 2026-11-23T00:00:00Z
  subject: {selector: {}}
  ingress:
    - {ports: [{port: 80}]}
`;
    const reader = createPolicyReader();
    const codesAt = (nowUnixMs?: number) =>
      reader
        .read([{ path: "a.yaml", text }], nowUnixMs === undefined ? {} : { nowUnixMs })
        .diagnostics.map((each) => each.code);
    expect(codesAt()).toEqual(["WL322"]);
    expect(codesAt(NOW)).toContain("WL347");
    expect(codesAt(NOW + 3 * 86_400_000)).toContain("WL346");
    expect(codesAt(NOW - 30 * 86_400_000)).toEqual(["WL322"]);
  });
});
