import { describe, expect, it } from "vitest";
import { evaluate, readPolicyFiles, resolveFlowEnds, withoutExpired } from "../index.ts";
import { proveTests } from "../proof/index.ts";
import { proposeRule, withTest } from "./index.ts";

const HOSTS = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: web-1, labels: {app: web}}
spec: {addresses: [10.0.0.1]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: db-1, labels: {app: db}}
spec: {addresses: [10.0.0.2]}
`;
const DATABASE = `# The database.
apiVersion: wardline.io/v1
kind: Policy
metadata: {name: db}
spec:
  subject: {hosts: {matchLabels: {app: db}}}
  ingress:
    # Backups.
    - from: [{ipBlock: {cidr: 10.9.0.0/16}}]
      ports: [{port: 5432}]
`;

function setting(...texts: string[]) {
  const files = texts.map((text, index) => ({ path: `${index}.yaml`, text }));
  const { ok, world, diagnostics } = readPolicyFiles(files);
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  expect(ok).toBe(true);
  const flow = (from: string, to: string, port: number) => ({ ...resolveFlowEnds(world, from, to), protocol: 6, port });
  return { files, world, flow };
}

describe("a rule from a flow", () => {
  it("allows by one rule more in the policy that denied, and keeps every other byte", () => {
    const { files, world, flow } = setting(HOSTS, DATABASE);
    const asked = flow("web-1", "db-1", 5432);
    expect(evaluate(world, asked).verdict).toBe("deny");
    const { path, before, after, world: next, remark } = proposeRule(files, world, asked, "allow", "");
    expect({ path, remark }).toEqual({ path: "1.yaml", remark: "" });
    expect(before).toBe(DATABASE);
    expect(after.startsWith(DATABASE.trimEnd())).toBe(true);
    expect(after).toContain("10.0.0.1/32");
    expect(evaluate(next, asked).verdict).toBe("allow");
    expect(evaluate(next, flow("web-1", "db-1", 22)).verdict).toBe("deny");
    expect(evaluate(next, flow("10.8.0.1", "db-1", 5432)).verdict).toBe("deny");
  });

  it("denies by a policy that comes first, of that connection alone", () => {
    const { files, world, flow } = setting(HOSTS);
    const asked = flow("web-1", "db-1", 5432);
    const { path, after, world: next } = proposeRule(files, world, asked, "deny", "new.yaml");
    expect(path).toBe("new.yaml");
    expect(after).toContain("tier: admin");
    expect(evaluate(next, asked).verdict).toBe("deny");
    expect(evaluate(next, flow("web-1", "db-1", 5433)).verdict).toBe("allow");
  });

  it("changes nothing when it is so already, and when what decides comes before every rule that could be added", () => {
    const { files, world, flow } = setting(HOSTS, DATABASE);
    const allowed = proposeRule(files, world, flow("db-1", "web-1", 80), "allow", "");
    expect(allowed.after).toBe(allowed.before);
    expect(allowed.remark).toContain("already");
    const strict = setting(
      HOSTS,
      "apiVersion: wardline.io/v1\nkind: Policy\nmetadata: {name: never}\nspec:\n  tier: admin\n  subject: {hosts: {}}\n  ingress: [{action: deny}]\n",
    );
    const blocked = proposeRule(strict.files, strict.world, strict.flow("web-1", "db-1", 80), "allow", "more.yaml");
    expect(blocked.after).toBe(blocked.before);
    expect(blocked.remark).toContain("decides first");
  });

  it("allows by a policy of its own in another file, and leaves the other direction as it is", () => {
    const { files, world, flow } = setting(HOSTS, DATABASE);
    const { world: next } = proposeRule(files, world, flow("web-1", "db-1", 5432), "allow", "own.yaml");
    expect(evaluate(next, flow("web-1", "db-1", 5432)).verdict).toBe("allow");
    expect(evaluate(next, flow("db-1", "web-1", 443)).verdict).toBe("allow");
  });
});

it("finds the policy of the subject among many of one file, and counts those that have expired as absent", () => {
  const host = (index: number) =>
    HOSTS.split("---\n")[1]!
      .replace("db-1", `db-${index}`)
      .replace("app: db", `app: db${index}`)
      .replace("0.0.2", `0.1.${index}`);
  const own = (index: number) => DATABASE.replace("name: db", `name: db${index}`).replace("app: db", `app: db${index}`);
  const numbers = Array.from({ length: 80 }, (_, index) => index);
  const { files, flow } = setting(numbers.map(host).join("---\n"), numbers.map(own).join("---\n"));
  const over = DATABASE.replace("spec:", 'spec:\n  tier: admin\n  expires: "2026-01-02T03:04:05Z"').replace(
    "name: db",
    "name: over",
  );
  const all = [
    ...files,
    {
      path: "over.yaml",
      text: over
        .replace("from:", "action: deny\n      from:")
        .replace("10.9.0.0/16", "0.0.0.0/0")
        .replace("app: db", "app: db70"),
    },
  ];
  const nowUnixMs = Date.UTC(2026, 5, 1);
  const reading = readPolicyFiles(all);
  expect(reading.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  const world = withoutExpired(reading.world, nowUnixMs);
  expect(world.policies).toHaveLength(reading.world.policies.length - 1);
  const asked = flow("10.8.0.1", "db-70", 5432);
  const proposal = proposeRule(all, world, asked, "allow", "", nowUnixMs);
  expect(proposal.remark).toBe("");
  const [before, after] = [proposal.before, proposal.after].map((text) => text.split("---\n"));
  expect(after!.flatMap((text, index) => (text === before![index] ? [] : [index]))).toEqual([70]);
  expect(proposal.world.policies).toHaveLength(world.policies.length);
});

it("a test from a flow holds where the workspace does what was seen, and not where it does not", () => {
  const { files, world, flow } = setting(HOSTS, DATABASE);
  const flows = [flow("web-1", "db-1", 5432)];
  const proved = (expected: "allow" | "deny") => {
    const text = withTest("# Mine\n", { flows, expected, because: "seen", taken: new Set() });
    expect(text.startsWith("# Mine\n---\n")).toBe(true);
    const { ok, tests } = readPolicyFiles([...files, { path: "t.yaml", text }]);
    expect(ok).toBe(true);
    return proveTests(world, tests).cases.map(({ status }) => status);
  };
  expect(proved("deny")).toEqual(["holds"]);
  expect(proved("allow")).not.toEqual(["holds"]);
});
