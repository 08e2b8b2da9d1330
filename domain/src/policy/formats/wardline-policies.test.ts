import { describe, expect, it } from "vitest";
import { formatCidr } from "../address.ts";
import { readPolicyFiles } from "../read.ts";
import { codes, rulesOf } from "./testing.ts";

const INVENTORY = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: web-1, labels: {app: web}}
spec: {addresses: [192.0.2.10], ports: [{name: https, port: 443}]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: db-1, labels: {app: db}}
spec: {addresses: [192.0.2.20], ports: [{name: postgres, port: 5432}]}
---
apiVersion: wardline.io/v1
kind: Service
metadata: {name: resolver}
spec: {addresses: [192.0.2.53, "2001:db8::/64"], ports: [{protocol: UDP, port: 53}, {port: 853, endPort: 854}]}
---
apiVersion: wardline.io/v1
kind: Service
metadata: {name: database}
spec: {selector: {matchLabels: {app: db}}, ports: [{port: postgres}]}
---
apiVersion: wardline.io/v1
kind: Service
metadata: {name: anything}
spec: {domainNames: [Example.ORG., "*.example.org", _DB._tcp.example.org]}
`;

function document(kind: string, spec: string): string {
  return `{apiVersion: wardline.io/v1, kind: ${kind}, metadata: {name: p}, spec: ${spec}}`;
}

function read(text: string) {
  return readPolicyFiles([
    { path: "inventory.yaml", text: INVENTORY },
    { path: "a.yaml", text },
  ]);
}

function policy(spec: string) {
  const { world, diagnostics } = read(document("Policy", spec));
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return world.policies[0]!;
}

function problems(text: string): readonly string[] {
  return read(text).diagnostics.map(({ code, message }) => `${code} ${message}`);
}

const WEB = "subject: {selector: {matchLabels: {app: web}}}";

describe("wardline.io/v1 Policy", () => {
  it("has the defaults that the reference names", () => {
    expect(policy("{subject: {}, ingress: []}")).toMatchObject({
      key: "Policy/default/p",
      namespace: "default",
      tier: "application",
      priority: 0,
      mode: "enforce",
      description: null,
      expiresAtUnixMs: null,
      subject: { namespaces: { kind: "name", name: "default" }, endpoints: { requirements: [] } },
      isolates: { ingress: true, egress: false },
      rules: [],
    });
    expect(policy(`{${WEB}, tier: admin}`)).toMatchObject({
      tier: "admin",
      priority: 500,
      isolates: { ingress: false, egress: false },
    });
    expect(policy(`{${WEB}, tier: application, isolate: [egress]}`).isolates).toEqual({ ingress: false, egress: true });
  });

  it("reads a moment with its offset", () => {
    const expires = (text: string) => policy(`{${WEB}, egress: [], expires: ${text}}`).expiresAtUnixMs;
    expect(expires("2027-01-31T18:00:00Z")).toBe(Date.UTC(2027, 0, 31, 18));
    expect(expires('"2027-01-31T18:00:00.25+01:30"')).toBe(Date.UTC(2027, 0, 31, 16, 30, 0, 250));
    expect(expires("2028-02-29T23:59:59-12:00")).toBe(Date.UTC(2028, 2, 1, 11, 59, 59));
    for (const bad of ["2027-01-31", "2027-02-29T00:00:00Z", "2027-01-31T24:00:00Z", "2027-01-31T18:00:00", "soon"]) {
      expect(codes(document("Policy", `{${WEB}, egress: [], expires: ${bad}}`))).toContainEqual(
        expect.stringContaining("WL231"),
      );
    }
  });

  it("reads every kind of peer and port", () => {
    const { rules } = {
      rules: rulesOf(
        policy(`{${WEB}, tier: admin, priority: 7, ingress: [
      {name: ping, action: pass, from: [{hosts: {matchLabels: {app: db}}}, {entity: mesh}], ports: [{protocol: ICMP, type: 8, code: 0}, {protocol: ICMPv6, type: 128}, {protocol: ICMP}]},
      {action: deny, from: [{selector: {}, namespaceSelector: {matchLabels: {team: a}}}, {namespaceSelector: {}}]}],
      egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {domainNames: [Example.ORG]}], ports: [{port: 443}, {protocol: UDP, port: 1, endPort: 9}, {protocol: 47}, {port: https}]}, {}]}`),
      ),
    };
    expect(rules).toEqual([
      "ingress[0] [host *: app=db; entity mesh] [1/2048-2048 58/32768-33023 1/0-65535]",
      "ingress[1] [team=a: everything; everything: everything] any",
      "egress[0] [10.0.0.0/8 !10.1.0.0/16; domains example.org] [6/443-443 17/1-9 47/0-65535 6/https]",
      "egress[1] any any",
    ]);
  });

  it.each([
    ["a denial in the app tier", `{${WEB}, ingress: [{action: deny}]}`, ["WL230"]],
    ["a priority in the app tier", `{${WEB}, priority: 3, ingress: []}`, ["WL230"]],
    ["isolation in another tier", `{${WEB}, tier: baseline, isolate: [ingress]}`, ["WL230"]],
    ["an empty list of peers", `{${WEB}, ingress: [{from: []}]}`, ["WL218"]],
    ["an empty list of ports", `{${WEB}, ingress: [{ports: []}]}`, ["WL218"]],
    ["an empty peer", `{${WEB}, ingress: [{from: [{}]}]}`, ["WL219"]],
    ["two kinds of peer", `{${WEB}, ingress: [{from: [{entity: world, hosts: {}}]}]}`, ["WL212"]],
    ["hosts beside a selector", "{subject: {hosts: {}, selector: {}}, ingress: []}", ["WL212"]],
    ["no subject", "{ingress: []}", ["WL202"]],
    ["a service over what nobody knows", `{${WEB}, egress: [{to: [{domainNames: [_db._x.a.example]}]}]}`, ["WL227"]],
    ["a service without a domain", `{${WEB}, egress: [{to: [{domainNames: [_db._tcp]}]}]}`, ["WL227"]],
    ["domain names as a source", `{${WEB}, ingress: [{from: [{domainNames: [a.example]}]}]}`, ["WL228"]],
    [
      "a denied domain name",
      `{${WEB}, tier: admin, egress: [{action: deny, to: [{domainNames: [a.example]}]}]}`,
      ["WL228"],
    ],
    ["a port of another protocol", `{${WEB}, ingress: [{ports: [{protocol: 47, port: 1}]}]}`, ["WL232"]],
    ["a type of TCP", `{${WEB}, ingress: [{ports: [{protocol: TCP, type: 1}]}]}`, ["WL232"]],
    ["a code without a type", `{${WEB}, ingress: [{ports: [{protocol: ICMP, code: 1}]}]}`, ["WL232"]],
    ["a protocol beyond a byte", `{${WEB}, ingress: [{ports: [{protocol: 256}]}]}`, ["WL225"]],
    ["an entity that is none", `{${WEB}, ingress: [{from: [{entity: word}]}]}`, ["WL206"]],
    ["the field of Kubernetes", "{podSelector: {}, subject: {}, ingress: []}", ["WL223"]],
  ])("refuses %s", (_, spec, expected) => {
    const found = problems(document("Policy", spec)).filter((text) => /^WL2/.test(text));
    expect(found.map((text) => text.slice(0, 5))).toEqual(expected);
    expect(read(document("Policy", spec)).world.policies).toEqual([]);
  });

  it("says that rules of a direction without isolation have no effect", () => {
    expect(problems(document("Policy", `{${WEB}, isolate: [], ingress: [{}]}`))).toEqual([
      expect.stringMatching(/^WL317 isolate does not list ingress/),
    ]);
  });
});

describe("services", () => {
  it("bring their ports into an egress rule that lists none", () => {
    const spec = `{${WEB}, egress: [{to: [{service: {name: resolver}}, {entity: cluster}, {service: {name: database}}, {service: {name: anything}}]}]}`;
    expect(rulesOf(policy(spec))).toEqual([
      "egress[0] [entity cluster; domains example.org *.example.org _db._tcp.example.org] any",
      "egress[0] [192.0.2.53/32; 2001:db8::/64] [17/53-53 6/853-854]",
      "egress[0] [default: app=db] [6/postgres]",
    ]);
  });

  it("leave the ports of the rule and of ingress rules alone", () => {
    const spec = `{${WEB}, ingress: [{from: [{service: {name: resolver}}]}], egress: [{to: [{service: {name: resolver}}], ports: [{port: 80}]}]}`;
    expect(rulesOf(policy(spec))).toEqual([
      "ingress[0] [192.0.2.53/32; 2001:db8::/64] any",
      "egress[0] [192.0.2.53/32; 2001:db8::/64] [6/80-80]",
    ]);
  });

  it("are named with a fix when they do not exist, and the policy is left out", () => {
    const text = document("Policy", `{${WEB}, egress: [{to: [{service: {name: "databse"}}]}]}`);
    const { world, diagnostics, ok } = read(text);
    expect(ok).toBe(false);
    expect(world.policies).toEqual([]);
    expect(diagnostics).toMatchObject([
      { code: "WL326", message: expect.stringContaining("databse"), fix: { edits: [{ newText: '"database"' }] } },
    ]);
  });

  it("are looked for in other namespaces for the hint only", () => {
    const text = document("Policy", `{${WEB}, egress: [{to: [{service: {name: database, namespace: other}}]}]}`);
    expect(problems(text)).toEqual([expect.stringMatching(/^WL326 .*There is one in namespace default/)]);
  });

  it("cannot make a long list of a short text", () => {
    const addresses = Array.from({ length: 1_000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`).join(", ");
    const many = `{apiVersion: wardline.io/v1, kind: Service, metadata: {name: many}, spec: {addresses: [${addresses}]}}`;
    const rules = "{to: [{service: {name: many}}]}, ".repeat(500);
    const text = `${many}\n---\n${document("Policy", `{${WEB}, egress: [${rules}]}`)}`;
    const { world, diagnostics } = read(text);
    expect(diagnostics.map(({ code }) => code)).toContain("WL330");
    expect(world.policies).toEqual([]);
  });

  it("need somebody to stand for", () => {
    expect(problems(document("Service", "{ports: [{port: 1}]}"))).toEqual([expect.stringMatching(/^WL202 /)]);
  });
});

describe("wardline.io/v1 PolicyTest", () => {
  const ALLOW = document(
    "Policy",
    `{${WEB}, egress: [{name: to the database, to: [{selector: {matchLabels: {app: db}}}]}]}`,
  );
  const test = (spec: string) =>
    `${ALLOW}\n---\n{apiVersion: wardline.io/v1, kind: PolicyTest, metadata: {name: t, namespace: prod}, spec: ${spec}}`;

  it("reads ends, ports and what is expected", () => {
    const { tests, diagnostics, ok } = read(
      test(`{description: d, tests: [
        {from: any, to: {hosts: {}}, expect: deny, because: b, via: {selector: {matchLabels: {app: proxy}}, namespaceSelector: {}}},
        {from: {selector: {}}, to: {ipBlock: {cidr: 10.0.0.0/8}}, ports: [{port: 443}], expect: allow, via: {policy: default/p, rule: "egress[0]"}}]}`),
    );
    expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
    expect(ok).toBe(true);
    expect(tests).toMatchObject([
      {
        key: "PolicyTest/prod/t",
        description: "d",
        cases: [
          {
            index: 0,
            from: { kind: "any" },
            to: { kind: "endpoints", selector: { kind: "host", namespaces: { kind: "any" } } },
            ports: null,
            expect: "deny",
            because: "b",
            via: { kind: "through", selector: { endpoints: { requirements: [{ key: "app" }] } } },
          },
          {
            index: 1,
            from: { kind: "endpoints", selector: { namespaces: { kind: "name", name: "prod" } } },
            to: { kind: "addresses" },
            ports: [{ low: 443, high: 443 }],
            expect: "allow",
            via: { kind: "decision", policyKey: "Policy/default/p", rule: "to the database" },
          },
        ],
      },
    ]);
  });

  it("asks once for each thing that a service stands for", () => {
    const { tests } = read(
      test("{tests: [{from: any, to: {service: {name: resolver, namespace: default}}, expect: deny}]}"),
    );
    expect(tests[0]!.cases.map(({ index, to }) => [index, to.kind])).toEqual([
      [0, "addresses"],
      [0, "addresses"],
    ]);
  });

  it.each([
    ["a policy that does not exist", "{from: any, to: any, expect: deny, via: {policy: default/q1}}", "WL329"],
    [
      "a rule that does not exist",
      '{from: any, to: any, expect: deny, via: {policy: default/p, rule: "egress[1]"}}',
      "WL329",
    ],
    ["a rule without its policy", '{from: any, to: any, expect: deny, via: {rule: "egress[1]"}}', "WL202"],
    ["domain names", "{from: any, to: {service: {name: anything, namespace: default}}, expect: deny}", "WL328"],
    ["a verdict that is none", "{from: any, to: any, expect: denied}", "WL206"],
    ["an end that is none", "{from: all, to: any, expect: deny}", "WL206"],
    ["no expectation", "{from: any, to: any}", "WL202"],
  ])("refuses %s", (_, testCase, code) => {
    const { tests, diagnostics } = read(test(`{tests: [${testCase}]}`));
    expect(diagnostics.filter(({ severity }) => severity === "error").map((each) => each.code)).toEqual([code]);
    expect(tests).toEqual([]);
  });
});

describe("mesh nodes", () => {
  const KEY = "6ab7523d02831823e4fe94b1dadedf5ff6345f963ba193fa9a7da9547ed0e73a";
  const ADDRESS = "201:5522:b70b:f5f3:9f70:6c05:ad38:9484";
  const withKey = (key: string) => document("Policy", `{${WEB}, ingress: [{from: [{meshNode: {key: ${key}}}]}]}`);
  const host = (name: string, spec: string) =>
    `apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: ${name}}\nspec: ${spec}\n`;

  it("are the address or the prefix of their key, in rules and in tests", () => {
    const peers = (part: string) =>
      policy(`{${WEB}, egress: [{to: [{meshNode: {key: ${KEY.toUpperCase()}${part}}}]}]}`).rules[0]!.peers!.map(
        (peer) => (peer.kind === "addresses" ? formatCidr(peer.cidr) : peer.kind),
      );
    expect(peers("")).toEqual([`${ADDRESS}/128`]);
    expect(peers(", part: address")).toEqual([`${ADDRESS}/128`]);
    expect(peers(", part: subnet")).toEqual(["301:5522:b70b:f5f3::/64"]);
    const { tests, diagnostics } = read(
      document("PolicyTest", `{tests: [{from: {meshNode: {key: ${KEY}}}, to: any, expect: allow}]}`),
    );
    expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
    expect(tests[0]!.cases[0]!.from).toMatchObject({ kind: "addresses", cidr: { prefixLength: 128 } });
  });

  it("are refused with a fix where the key is only written differently", () => {
    for (const [written, digits] of [
      [KEY.match(/../g)!.join(":"), KEY],
      [`0x${KEY}`, KEY],
      [`${"ab".repeat(32)}${KEY}`, KEY],
    ] as const) {
      const [problem] = read(withKey(`"${written}"`)).diagnostics;
      expect(problem).toMatchObject({ code: "WL233", source: { file: "a.yaml" } });
      expect(problem!.fix?.edits.map(({ newText }) => newText)).toEqual([`"${digits}"`]);
    }
  });

  it("never repeats what may be a private key", () => {
    const secret = "ab".repeat(32);
    const [message] = problems(withKey(`${secret}${KEY}`));
    expect(message).toContain("private key");
    expect(message).not.toContain(secret.slice(0, 8));
  });

  it.each([
    ["abcd", "it has 4 hexadecimal digits, and a key has 64"],
    ["example.org", "it is not hexadecimal, and a key has 64"],
    [`"${ADDRESS}"`, "it is an address"],
    ["[]", "takes text"],
  ])("are refused when the key is %s", (key, expected) => {
    const [message] = problems(withKey(key));
    expect(message).toContain(expected);
  });

  it("take a key of decimal digits as text", () => {
    const decimal = "1".repeat(64);
    expect(problems(withKey(decimal))).toEqual([]);
  });

  it("give a host its mesh address, and its labels reach it", () => {
    const { world } = read(host("node-1", `{addresses: [192.0.2.40], meshKey: ${KEY.toUpperCase()}}`));
    const [endpoint] = world.inventory.endpoints.filter(({ name }) => name === "node-1");
    expect(endpoint).toMatchObject({ addresses: ["192.0.2.40", ADDRESS], meshKey: KEY });
  });

  it("belong to one host, which has no other address of the overlay", () => {
    expect(problems(`${host("b-1", `{meshKey: ${KEY}}`)}---\n${host("a-1", `{meshKey: ${KEY}}`)}`)).toEqual([
      "WL235 The key of this host's node is also that of Host/a-1; a node belongs to one host.",
    ]);
    expect(
      problems(host("c-1", `{addresses: ["200::1", "${ADDRESS}", "301:5522:b70b:f5f3::1"], meshKey: ${KEY}}`)),
    ).toEqual([
      "WL234 spec.addresses[0] 200::1 is an address of the overlay and does not belong to this host's meshKey.",
    ]);
  });
});
