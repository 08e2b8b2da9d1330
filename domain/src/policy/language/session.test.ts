import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ruleDecision } from "../decision.ts";
import { readPolicyFiles } from "../read.ts";
import { type FleetFacts, LanguageSession, NO_FACTS, placeAt } from "./index.ts";

const INVENTORY = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: web-1, labels: {app: web, zone: a}}
spec: {addresses: [192.0.2.10], ports: [{name: https, port: 443}]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: web-2, labels: {app: web}}
spec: {addresses: [192.0.2.11], ports: [{name: https, port: 443}]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: db-1, labels: {app: db}}
spec: {addresses: [192.0.2.20]}
---
apiVersion: wardline.io/v1
kind: Workload
metadata: {name: cache, namespace: shop, labels: {app: cache, odd: "true"}}
spec: {host: web-1, addresses: [192.0.2.30]}
`;
const POLICY = `apiVersion: wardline.io/v1
kind: Policy
metadata:
  name: db
spec:
  subject:
    selector:
      matchLabels:
        app: db
  ingress:
    - from:
        - selector:
            matchLabels:
              app: web
        - ipBlock:
            cidr: 192.0.2.0/24
      ports:
        - protocol: TCP
          port: 5432
`;
const TESTS = `apiVersion: wardline.io/v1
kind: PolicyTest
metadata:
  name: db
spec:
  tests:
    - from: {selector: {matchLabels: {app: web}}}
      to: {selector: {matchLabels: {app: db}}}
      ports: [{protocol: TCP, port: 5432}]
      expect: allow
    - from: {selector: {matchLabels: {app: web}}}
      to: {selector: {matchLabels: {app: db}}}
      ports: [{protocol: TCP, port: 5432}]
      expect: deny
      because: nobody but the office
`;
const FACTS: FleetFacts = {
  ...NO_FACTS,
  flows: 2_000,
  ports: [
    { protocol: 6, port: 5432, flows: 1_500, denied: 20 },
    { protocol: 17, port: 53, flows: 500, denied: 0 },
  ],
  addresses: [{ address: "192.0.2.77", name: "", flows: 12 }],
  discovered: [
    { kind: "service", namespace: "default", name: "orders", labels: { app: "orders" }, addresses: ["192.0.2.40"] },
  ],
};

function sessionWith(text: string, facts = FACTS): { session: LanguageSession; offset: number } {
  const offset = text.indexOf("¦");
  const session = new LanguageSession();
  session.setText("inventory.yaml", INVENTORY);
  session.setText("db.yaml", text.replace("¦", ""));
  session.setFacts(facts);
  return { session, offset };
}

function offered(text: string): Record<string, string> {
  const { session, offset } = sessionWith(text);
  const items = session.complete("db.yaml", offset)?.items ?? [];
  return Object.fromEntries(items.map(({ label, detail }) => [label, detail]));
}

/** The text after the item of this label was taken. */
function taken(text: string, label: string): string {
  const { session, offset } = sessionWith(text);
  const answer = session.complete("db.yaml", offset);
  const item = answer?.items.find((each) => each.label === label);
  if (!answer || !item) throw new Error(`${label} is not offered`);
  const plain = text.replace("¦", "");
  return plain.slice(0, answer.from) + item.insert + plain.slice(answer.to);
}

const head = POLICY.slice(0, POLICY.indexOf("  subject:"));

describe("completion from the fleet", () => {
  it("offers labels with how many have them, discovered ones too", () => {
    expect(offered(POLICY.replace("app: db", "¦"))).toMatchObject({ app: "3 hosts, 2 workloads", zone: "1 host" });
    expect(offered(POLICY.replace("app: db", "app: ¦"))).toEqual({
      web: "2 hosts",
      db: "1 host",
      cache: "1 workload",
      orders: "1 workload",
    });
    expect(offered(`${head}  subject: {hosts: {matchLabels: {app: ¦}}}`)).toEqual({ web: "2 hosts", db: "1 host" });
    expect(offered(`${head}  subject: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ¦}}}`)).toEqual({
      default: "3 hosts",
      shop: "1 workload",
    });
    expect(
      offered(
        `${head}  subject:\n    selector:\n      matchExpressions:\n        - key: app\n          operator: In\n          values: [w¦]`,
      ),
    ).toEqual({ web: "2 hosts" });
  });

  it("offers ports of recorded flows with counts, and named ones", () => {
    expect(offered(POLICY.replace("port: 5432", "port: ¦"))).toEqual({
      "5432": "TCP, 1,500 flows, 20 denied",
      https: "443/TCP on 2",
    });
    expect(offered(POLICY.replace("protocol: TCP", "protocol: ¦"))).toMatchObject({
      TCP: "default, 1,500 flows",
      UDP: "500 flows",
    });
    expect(offered(POLICY.replace("port: 5432", "port: postg¦"))).toEqual({ "5432": "TCP, 1,500 flows, 20 denied" });
  });

  it("offers addresses of hosts, and of strangers in flows", () => {
    expect(offered(POLICY.replace("192.0.2.0/24", "192¦"))).toMatchObject({
      "192.0.2.10/32": "web-1",
      "192.0.2.77/32": "12 flows",
    });
  });

  it("writes in the style of the place", () => {
    expect(taken(`${head}  ingress:\n    - fr¦`, "from")).toBe(`${head}  ingress:\n    - from:\n        - `);
    expect(taken(`${head}  ingress:\n    - from:\n        - ¦`, "ipBlock")).toBe(
      `${head}  ingress:\n    - from:\n        - ipBlock:\n            `,
    );
    expect(taken(`${head}  ingress:\n    ¦`, "from")).toBe(`${head}  ingress:\n    - from:\n        - `);
    expect(taken(`${head}  tier: a¦`, "admin")).toBe(`${head}  tier: admin`);
    expect(taken(`${head}  subject:\n    selector:\n      matchLabels:\n        odd: ¦`, "true")).toContain(
      'odd: "true"',
    );
    expect(taken('{"apiVersion":"wardline.io/v1","kind":"Policy","spec":{¦}}', "subject")).toContain(
      '"spec":{"subject": }',
    );
    expect(taken('{"apiVersion":"wardline.io/v1","kind":"Policy","spec":{"tier": "¦"}}', "admin")).toContain(
      '"tier": "admin"',
    );
    expect(taken(`${head}  sub¦ject: {}`, "subject")).toBe(`${head}  subject: {}`);
    expect(offered(`${POLICY}---\n¦`)).toHaveProperty("PolicyTest");
    expect(offered(`${head}  # sub¦`)).toEqual({});
  });

  it("answers at every position of a text, however it is cut or typed over", () => {
    const texts = [
      POLICY,
      TESTS,
      INVENTORY,
      JSON.stringify({ apiVersion: "v1", kind: "List", items: [{ kind: "Host", metadata: { name: "a" } }] }, null, 1),
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...texts),
        fc.nat(700),
        fc.nat(700),
        fc.string({ maxLength: 8 }),
        (text, cut, at, typed) => {
          const changed = text.slice(0, cut) + typed + text.slice(Math.max(cut, at));
          const { session } = sessionWith(changed);
          const offset = Math.min(cut + typed.length, changed.length);
          const place = placeAt(changed, offset);
          const answer = session.complete("db.yaml", offset);
          session.hover("db.yaml", offset);
          session.references("db.yaml", offset);
          return (
            place.from <= place.to &&
            (answer === null || (answer.from >= 0 && answer.to <= changed.length && answer.from <= offset))
          );
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("hover", () => {
  const now = (text: string): readonly string[] => {
    const { session, offset } = sessionWith(text);
    return session.hover("db.yaml", offset)?.now ?? [];
  };

  it("says whom a selector and a label pick, by what the engine read", () => {
    expect(now(POLICY.replace("subject:", "sub¦ject:"))).toEqual(["Selects 1 host: db-1."]);
    expect(now(POLICY.replace("app: web", "ap¦p: web"))[0]).toBe("app=web: 2 hosts: web-1, web-2.");
  });

  it("says who is known in a block, and what flowed", () => {
    expect(now(POLICY.replace("192.0.2.0/24", "192.0.2¦.0/24"))).toEqual([
      "256 addresses.",
      "4 of the inventory in it: db-1, web-1, web-2, cache.",
      "12 recorded flows of one address in it; 1 of them nobody knows: 192.0.2.77.",
    ]);
  });

  it("says what a port usually is and how many flows used it", () => {
    expect(now(POLICY.replace("5432", "54¦32"))).toEqual([
      "Usually PostgreSQL.",
      "1,500 of 2,000 recorded flows went to it, 20 of them denied.",
    ]);
  });

  it("says since when flows were counted, where that is known", () => {
    const { session, offset } = sessionWith(POLICY.replace("5432", "54¦32"));
    const ports = [{ protocol: 6, port: 5432, flows: 3, denied: 0 }];
    session.setFacts({ ...NO_FACTS, flows: 9, ports, sinceUnixMs: Date.UTC(2026, 10, 20, 8, 30) });
    expect(session.hover("db.yaml", offset)?.now).toContain(
      "3 of 9 recorded flows since 2026-11-20 08:30 UTC went to it.",
    );
  });
});

describe("one session", () => {
  it("finds where a label is given and where else it is asked for", () => {
    const { session, offset } = sessionWith(POLICY.replace("app: web", "app: we¦b"));
    const found = session.references("db.yaml", offset);
    expect(found?.subject).toBe("label app=web");
    expect(found?.definitions.map(({ file, line }) => `${file}:${line}`)).toEqual([
      "inventory.yaml:1",
      "inventory.yaml:6",
    ]);
    expect(found?.uses.map(({ file, line }) => `${file}:${line}`)).toEqual([
      "db.yaml:14",
      "inventory.yaml:3",
      "inventory.yaml:8",
    ]);
  });

  it("says what a line does, with what its rule decided", () => {
    const [policy] = readPolicyFiles([{ path: "db.yaml", text: POLICY }]).world.policies;
    const id = policy?.rules[0] ? ruleDecision(policy, policy.rules[0]).id : "";
    const use = {
      flows: 7,
      denied: 0,
      lastFlowUnixMs: 1,
      packets: 9,
      hostCount: 1,
      countedAtUnixMs: 1,
      lastHitUnixMs: 1,
    };
    const { session } = sessionWith(POLICY, { ...FACTS, rules: new Map([[id, use]]) });
    const meaning = session.line("db.yaml", 14);
    expect(meaning).toMatchObject({
      kind: "rule",
      rule: {
        rule: "ingress[0]",
        subject: { text: "app=db", members: { hosts: 1, workloads: 0 } },
        peers: [{ text: "app=web", members: { hosts: 2 } }, { text: "192.0.2.0/24" }],
        ports: ["5432/TCP"],
        use: { flows: 7 },
      },
    });
    expect(session.line("db.yaml", 6)).toMatchObject({ kind: "policy", policy: { isolates: ["ingress"] } });
    expect(session.line("inventory.yaml", 3)).toMatchObject({ kind: "endpoint", key: "Host/web-1" });
  });

  it("walks through all problems, also into the next file and back", () => {
    const { session } = sessionWith(POLICY.replace("protocol: TCP", "protocol: TCPP"));
    session.setText("a.yaml", "apiVersion: nope\nkind: Policy\n");
    session.check("db.yaml", 0);
    const first = session.nextProblem("db.yaml", 1, 1, false);
    expect(first).toMatchObject({ code: "WL206", source: { file: "db.yaml", line: 18 } });
    expect(session.nextProblem("db.yaml", 18, first?.source.column ?? 0, false)?.source.file).toBe("inventory.yaml");
    expect(session.nextProblem("inventory.yaml", 99, 1, false)?.source.file).toBe("a.yaml");
    expect(session.nextProblem("inventory.yaml", 1, 1, true)?.source.file).toBe("db.yaml");
    expect(session.explain("WL206")).toMatchObject({ code: "WL206", title: expect.any(String) });
  });

  it("lists a thousand problems, counts the others by severity, and goes to those as well", () => {
    const session = new LanguageSession();
    const wrong = (index: number) => `kind: Nothing${index}\n`;
    session.setText("a.yaml", Array.from({ length: 1_203 }, (_, index) => wrong(index)).join("---\n"));
    for (let index = 0; index < 205; index++) session.setText(`b/${index}.yaml`, wrong(index));
    const { problems, problemCount, unlisted, elsewhere, unlistedElsewhere } = session.check("a.yaml", 0);
    expect(problems).toHaveLength(1_000);
    expect(problemCount).toBe(1_000 + unlisted.errors + unlisted.warnings + unlisted.notes);
    expect(unlisted.errors).toBeGreaterThan(200);
    expect(elsewhere).toHaveLength(200);
    expect(unlistedElsewhere).toMatchObject({ files: 5 });
    const counted = elsewhere
      .slice(0, 1)
      .reduce((sum, { errors, warnings, notes }) => sum + errors + warnings + notes, 0);
    expect(unlistedElsewhere.errors + unlistedElsewhere.warnings + unlistedElsewhere.notes).toBe(5 * counted);

    const last = problems.at(-1)?.source;
    const next = session.nextProblem("a.yaml", last?.line ?? 0, last?.column ?? 0, false)?.source;
    expect(next?.file).toBe("a.yaml");
    expect(next?.line).toBeGreaterThan(last?.line ?? 0);
    const end = session.nextProblem("b/0.yaml", 1, 1, true)?.source;
    expect(end).toMatchObject({ file: "a.yaml", line: 1_203 * 2 - 1 });
  });

  it("proves the tests against the text as it stands, and not while it has errors", () => {
    const { session } = sessionWith(POLICY);
    session.setText("tests.yaml", TESTS);
    expect(session.check("db.yaml", 0)).toMatchObject({ isOk: true, problems: [] });
    const proved = runToEnd(session.prove());
    expect(proved.marks.map(({ line, status }) => `${line} ${status}`)).toEqual(["7 holds", "11 fails"]);
    expect(proved.marks[1]).toMatchObject({
      decidedAt: { file: "db.yaml", line: 11 },
      because: "nobody but the office",
    });
    expect(proved.marks[1]?.text).toContain("db.yaml:11");
    expect(proved.touched).toEqual(["db.yaml:11"]);
    session.setText("db.yaml", POLICY.replace("TCP", "TCPP"));
    expect(runToEnd(session.prove())).toMatchObject({ marks: [], notRun: expect.stringContaining("errors") });
  });

  it("gives the same problems as reading once", () => {
    const { session } = sessionWith(POLICY);
    for (const text of [
      POLICY.replace("app: db", "app: nobody"),
      `\n${POLICY}`,
      POLICY.replace("  ingress:", "  ingres:"),
      POLICY,
    ]) {
      session.setText("db.yaml", text);
      const files = [
        { path: "db.yaml", text },
        { path: "inventory.yaml", text: INVENTORY },
      ];
      const expected = readPolicyFiles(files, { nowUnixMs: 0 }).diagnostics.filter(
        ({ source }) => source.file === "db.yaml",
      );
      expect(session.check("db.yaml", 0).problems).toEqual(expected);
    }
  });

  it("has an outline of documents and rules while they are typed", () => {
    const { session } = sessionWith(
      `${POLICY}---\napiVersion: wardline.io/v1\nkind: PolicyTest\nmetadata: {name: x, namespace: shop}\nspec:\n  tests:\n    - expect: allow\n      fr`,
    );
    expect(
      session.outline("db.yaml").map(({ kind, name, children }) => [kind, name, children.map((each) => each.name)]),
    ).toEqual([
      ["Policy", "db", ["ingress[0]"]],
      ["PolicyTest", "shop/x", ["tests[0]"]],
    ]);
  });
});

function runToEnd<Answer>(steps: Generator<unknown, Answer>): Answer {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value as Answer;
  }
}
