import { create } from "@bufbuild/protobuf";
import { DiagnosticSchema, Severity } from "@wardline/api/wardline/v1/error";
import { readPolicyFiles } from "@wardline/domain/policy";
import { editFormTogether, readFormFile } from "@wardline/domain/policy/edit";
import { DECLARED_KINDS, type Field } from "@wardline/domain/policy/formats/schema";
import { describe, expect, it } from "vitest";
import { headOf } from "./kinds.ts";
import { placeProblems } from "./problems.ts";
import { peerSummary, ruleSummary, selectorSummary } from "./summary.ts";
import { namedTemplate, TEMPLATES } from "./templates.ts";
import { labelOf, parseTyped, starterValue } from "./words.ts";

const EDITED_LISTS = ["ingress", "egress"];

function ruleField(apiVersion: string, kind: string, list: string): Field {
  const declared = DECLARED_KINDS.find((each) => each.apiVersion === apiVersion && each.kind === kind);
  const fields: Readonly<Record<string, Field>> = declared?.schema.spec?.shape.fields ?? {};
  const field = fields[list];
  if (!field) throw new Error(`no ${list} in ${kind}`);
  return field;
}

describe("what a form begins with", () => {
  it.each(TEMPLATES.map((template) => [template.id, template.text]))(
    "the template %s reads without a word",
    (id, text) => {
      const { diagnostics } = readPolicyFiles([{ path: `${id}.yaml`, text }]);
      expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
      expect(headOf(readFormFile(text).parts[0]!).schema).not.toBeNull();
    },
  );

  it("numbers a name that is taken", () => {
    expect(namedTemplate(TEMPLATES[0]!, (name) => name === "app-to-database")).toContain("  name: app-to-database-2\n");
  });

  it.each([
    ["wardline.io/v1", "Policy"],
    ["networking.k8s.io/v1", "NetworkPolicy"],
    ["ztap/v1", "NetworkPolicy"],
    ["policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy"],
    ["policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy"],
    ["policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy"],
  ])("a new rule of %s %s allows nobody anything before it is filled in", (apiVersion, kind) => {
    const subjects: Readonly<Record<string, string>> = {
      Policy: "subject: {selector: {matchLabels: {app: a}}}",
      NetworkPolicy: "podSelector: {matchLabels: {app: a}}",
      AdminNetworkPolicy: "priority: 5\n  subject: {namespaces: {}}",
      BaselineAdminNetworkPolicy: "subject: {namespaces: {}}",
      ClusterNetworkPolicy: "tier: Admin\n  priority: 5\n  subject: {namespaces: {}}",
    };
    const name = kind === "BaselineAdminNetworkPolicy" ? "default" : "new";
    const text = `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata:\n  name: ${name}\nspec:\n  ${subjects[kind]}\n`;
    const before = readPolicyFiles([{ path: "a.yaml", text }]);
    expect(before.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
    expect(headOf(readFormFile(text).parts[0]!).schema).not.toBeNull();
    for (const list of EDITED_LISTS) {
      const { shape } = ruleField(apiVersion, kind, list);
      if (shape.type !== "list") throw new Error("rules are a list");
      const value = starterValue(shape.items);
      const result = editFormTogether(text, [{ kind: "insert", part: 0, path: ["spec", list], index: 0, value }]);
      if (!result.ok) throw new Error(result.reason);
      const { diagnostics, world } = readPolicyFiles([{ path: "a.yaml", text: result.text }]);
      const isRefused = diagnostics.some(({ severity }) => severity === "error");
      expect({ list, isRefused, policies: world.policies.length }).toEqual({ list, isRefused: true, policies: 0 });
    }
  });
});

describe("words of the form", () => {
  it("takes digits for numbers only where numbers stand, and nothing that would read back otherwise", () => {
    const port = {
      type: "either",
      options: [{ type: "integer", minimum: 1, maximum: 65_535 }, { type: "text" }],
    } as const;
    expect(["80", "080", "http", "1e3", ""].map((text) => parseTyped(port, text))).toEqual([
      80,
      "080",
      "http",
      "1e3",
      "",
    ]);
    expect(parseTyped({ type: "text" }, "80")).toBe("80");
  });

  it("says in a line what a rule does", () => {
    const from = [
      { selector: { matchLabels: { app: "web" } } },
      { ipBlock: { cidr: "10.0.0.0/8" } },
      { entity: "world" },
    ];
    expect(ruleSummary({ from, ports: [{ port: 80 }, { protocol: "UDP", port: 1, endPort: 9 }] })).toBe(
      "from app=web, 10.0.0.0/8 and 1 more · TCP 80, UDP 1–9",
    );
    expect(ruleSummary({ from: "any", to: { hosts: {} }, expect: "deny" })).toBe(
      "anybody → hosts all: every port must be deny",
    );
    const admin = {
      action: "Deny",
      from: [{ pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: "web" } } } }],
    };
    const ports = [{ portNumber: { protocol: "UDP", port: 53 } }, { portRange: { start: 1, end: 9 } }];
    expect(ruleSummary({ ...admin, ports })).toBe("from app=web · UDP 53, TCP 1–9");
    const protocols = [
      { tcp: { destinationPort: { range: { start: 80, end: 90 } } } },
      { destinationNamedPort: "dns" },
    ];
    expect(ruleSummary({ to: [{ networks: ["10.0.0.0/8"] }], protocols })).toBe("to 10.0.0.0/8 · TCP 80–90, port dns");
    expect(ruleSummary({})).toBe("from anybody · every port");
    expect(peerSummary({ podSelector: {}, namespaceSelector: { matchLabels: { a: "b" } } })).toBe(
      "all in namespaces a=b",
    );
    expect(selectorSummary({ matchExpressions: [{ key: "a", operator: "In", values: ["x", "y"] }] })).toBe("a In x|y");
    expect(labelOf("someField")).toBe("Some field");
  });
});

describe("problems at their fields", () => {
  it("finds the field by line and column, in any document, and leaves out what is not there any more", () => {
    const text = "a:\n  b: 1\n---\nc:\n  - d: x\n";
    const at = (line: number, column: number, file = "f.yaml") =>
      create(DiagnosticSchema, {
        code: "WL201",
        severity: Severity.ERROR,
        source: { file, line, column, endLine: line, endColumn: column + 1 },
      });
    const places = placeProblems(readFormFile(text), "f.yaml", [at(2, 6), at(5, 8), at(99, 1), at(1, 1, "other.yaml")]);
    expect(places.map(({ part, path }) => [part, path])).toEqual([
      [0, ["a", "b"]],
      [1, ["c", 0, "d"]],
    ]);
  });
});
