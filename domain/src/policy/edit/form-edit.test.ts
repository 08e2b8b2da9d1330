import { describe, expect, it } from "vitest";
import { editForm, editFormTogether } from "./form-edit.ts";
import type { FormEdit } from "./form-edits.ts";
import { applySpanEdits } from "./lines.ts";

const POLICY = `# Who may reach the shop.
apiVersion: wardline.io/v1
kind: Policy
metadata: {name: 'shop', labels: {team: web}}   # quoted on purpose
spec:
  tier: app   # as always
  subject:
    selector: {} # everybody

  ingress:
    # first the office
    - name: office
      from:
        - ipBlock:
            cidr: 10.0.0.0/8   # all of it
      ports:
        - port: 443
        # and the old one
        - port: 8443

    # then the probes
    - name: probes   # monitoring
      from: [{entity: world}, {entity: mesh}]
---
# another document
kind: Other
`;

function made(edit: FormEdit, text = POLICY): string {
  const result = editForm(text, edit);
  if (!result.ok) throw new Error(result.reason);
  expect(applySpanEdits(text, result.spans)).toBe(result.text);
  return result.text;
}

/** Lines that are not in the other text, in order: those taken out, and those put in. */
function changeOf(before: string, after: string): { readonly out: string[]; readonly in: string[] } {
  const one = before.split("\n");
  const other = after.split("\n");
  let start = 0;
  while (start < Math.min(one.length, other.length) && one[start] === other[start]) start += 1;
  let end = 0;
  while (end < Math.min(one.length, other.length) - start && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  return { out: one.slice(start, one.length - end), in: other.slice(start, other.length - end) };
}

const RULES = ["spec", "ingress"];
const OFFICE = [
  "    # first the office",
  "    - name: office",
  "      from:",
  "        - ipBlock:",
  "            cidr: 10.0.0.0/8   # all of it",
  "      ports:",
  "        - port: 443",
  "        # and the old one",
  "        - port: 8443",
];

describe("a change of a form is the change of a few lines", () => {
  it.each<[string, FormEdit, string[], string[]]>([
    [
      "sets a value and leaves the comment behind it",
      { kind: "set", part: 0, path: ["spec", "tier"], value: "admin" },
      ["  tier: app   # as always"],
      ["  tier: admin   # as always"],
    ],
    [
      "puts a new field where its kind has it, not in front of the comments of another",
      { kind: "set", part: 0, path: ["spec", "mode"], value: "observe", order: ["tier", "mode", "subject", "ingress"] },
      [],
      ["  mode: observe"],
    ],
    [
      "puts a first field behind the dash",
      { kind: "set", part: 0, path: [...RULES, 0, "action"], value: "deny", order: ["action", "name", "from"] },
      ["    - name: office"],
      ["    - action: deny", "      name: office"],
    ],
    [
      "makes lines of an empty mapping and keeps the comment behind it",
      { kind: "set", part: 0, path: ["spec", "subject", "selector", "matchLabels", "app"], value: "web" },
      ["    selector: {} # everybody"],
      ["    selector: # everybody", "      matchLabels:", "        app: web"],
    ],
    [
      "changes a label in brackets",
      { kind: "rename", part: 0, path: ["metadata", "labels"], key: "team", newKey: "squad" },
      ["metadata: {name: 'shop', labels: {team: web}}   # quoted on purpose"],
      ["metadata: {name: 'shop', labels: {squad: web}}   # quoted on purpose"],
    ],
    [
      "adds a rule in front of the comment of the next one",
      { kind: "insert", part: 0, path: RULES, index: 1, value: { name: "new" } },
      [],
      ["    - name: new"],
    ],
    ["removes a rule with its comment", { kind: "remove", part: 0, path: RULES, index: 0 }, OFFICE, []],
    [
      "copies a rule as it is written",
      { kind: "duplicate", part: 0, path: RULES, index: 1 },
      [],
      ["    # then the probes", "    - name: probes   # monitoring", "      from: [{entity: world}, {entity: mesh}]"],
    ],
    [
      "makes a list that is not there",
      {
        kind: "insert",
        part: 0,
        path: ["spec", "egress"],
        index: 0,
        value: { name: "out" },
        order: ["ingress", "egress"],
      },
      [],
      ["  egress:", "    - name: out"],
    ],
    [
      "changes the order in brackets",
      { kind: "move", part: 0, path: [...RULES, 1, "from"], index: 0, to: 1 },
      ["      from: [{entity: world}, {entity: mesh}]"],
      ["      from: [{entity: mesh}, {entity: world}]"],
    ],
    [
      "switches a rule off, and its lines stay",
      { kind: "disable", part: 0, path: RULES, index: 0 },
      OFFICE,
      OFFICE.map((line) => `    #off ${line.slice(4)}`),
    ],
  ])("%s", (_name, edit, out, added) => {
    expect(changeOf(POLICY, made(edit))).toEqual({ out, in: added });
  });

  it("moves a rule with its comments, and back", () => {
    const moved = made({ kind: "move", part: 0, path: RULES, index: 1, to: 0 });
    expect(moved).toContain("  ingress:\n    # then the probes\n    - name: probes   # monitoring\n");
    expect(moved).toContain("- port: 8443\n---\n# another document\n");
    expect(made({ kind: "move", part: 0, path: RULES, index: 1, to: 0 }, moved)).toBe(POLICY);
  });

  it("switches the last rule off and on again: the list is empty in between", () => {
    const text = "spec:\n  ingress:   # who\n  - from: a\n    why: |\n      # text\n\n      more\n  # tail\n";
    const off = made({ kind: "disable", part: 0, path: RULES, index: 0 }, text);
    expect(off).toBe(
      "spec:\n  ingress: []   # who\n  #off - from: a\n  #off   why: |\n  #off     # text\n\n  #off     more\n  # tail\n",
    );
    expect(made({ kind: "enable", part: 0, path: RULES, index: 0 }, off)).toBe(text);
    const added = made({ kind: "insert", part: 0, path: RULES, index: 0, value: { from: "b" } }, off);
    expect(added).toContain("#off     more\n  - from: b\n  # tail");
  });

  it("makes several changes as one", () => {
    const port = [...RULES, 0, "ports", 0];
    const result = editFormTogether(POLICY, [
      { kind: "set", part: 0, path: [...port, "protocol"], value: "ICMP", order: ["protocol", "port"] },
      { kind: "unset", part: 0, path: [...port, "port"] },
    ]);
    expect(result.ok && changeOf(POLICY, result.text)).toEqual({
      out: ["        - port: 443"],
      in: ["        - protocol: ICMP"],
    });
  });

  it("works on documents: adds, copies, removes, switches off and on", () => {
    const added = made({ kind: "add-document", after: 0, text: "a: 1\n" });
    expect(changeOf(POLICY, added)).toEqual({ out: [], in: ["a: 1", "---"] });
    expect(made({ kind: "remove-document", part: 1 }, added)).toBe(POLICY);
    expect(made({ kind: "duplicate-document", part: 0, name: "shop-2" })).toContain("---\n# Who may reach the shop.\n");
    const off = made({ kind: "disable-document", part: 0 });
    expect(off).toContain("#off     # first the office\n#off     - name: office\n");
    expect(off.endsWith("---\n# another document\nkind: Other\n")).toBe(true);
    expect(made({ kind: "enable-document", part: 0 }, off)).toBe(POLICY);
    expect(made({ kind: "add-document", after: 0, text: "a: 1\n" }, "")).toBe("a: 1\n");
    const two = made({ kind: "add-document", after: 0, text: "# two\na: 1\n---\nb: 1\n" });
    expect(changeOf(POLICY, two).in).toHaveLength(5);
    expect(made({ kind: "add-document", after: -1, text: "a: 1" })).toBe(`a: 1\n---\n${POLICY}`);
  });

  it.each<[string, FormEdit, string]>([
    ["an alias", { kind: "set", part: 0, path: ["b", 0], value: 2 }, "a: &x [1]\nb: *x\n"],
    ["what an alias shares", { kind: "set", part: 0, path: ["a", 0], value: 2 }, "a: &x [1]\nb: *x\n"],
    ["what has comments in brackets", { kind: "move", part: 0, path: ["a"], index: 0, to: 1 }, "a: [1, # one\n  2]\n"],
    ["to lose a comment", { kind: "set", part: 0, path: ["a"], value: { c: 1 } }, "a:\n  b: 1 # why\n  d: 2\n"],
    ["directives", { kind: "set", part: 0, path: ["a"], value: 2 }, "%YAML 1.2\n---\na: 1\n"],
    ["half-typed text", { kind: "set", part: 0, path: ["a"], value: 2 }, "a: [1\n"],
    ["a label that is there", { kind: "rename", part: 0, path: [], key: "a", newKey: "b" }, "a: 1\nb: 2\n"],
    ["to switch off what is in brackets", { kind: "disable", part: 0, path: ["a"], index: 0 }, "a: [1, 2]\n"],
    ["a path that leads nowhere", { kind: "remove", part: 0, path: ["x"], index: 0 }, "a: 1\n"],
  ])("refuses %s, and says so", (_name, edit, text) => {
    expect(editForm(text, edit)).toEqual({ ok: false, reason: expect.stringMatching(/\.$/) });
  });
});
