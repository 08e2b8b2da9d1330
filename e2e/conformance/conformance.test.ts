/** Every vector, asked of every engine. The kernel is asked as a person would: by the command line. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  compiledEngine,
  judgeVectors,
  readVectorFile,
  referenceEngine,
  type VectorResult,
} from "@wardline/domain/policy/vectors";
import { kernelLabProblem, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { otherUserProblem } from "@wardline/helper/testing/otherUser";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** As the origins count them. */
const FILES = [
  { name: "cnp-conformance.json", cases: 47, allow: 82, deny: 65 },
  { name: "cnp-conformance-nodes.json", cases: 2, allow: 1, deny: 2 },
  { name: "netpol-e2e.json", cases: 34, allow: 2_350, deny: 314 },
  { name: "calico-policy-program.json", cases: 47, allow: 119, deny: 166 },
] as const;

const CASES = FILES.reduce((sum, { cases }) => sum + cases, 0);
const PROBES = FILES.reduce((sum, { allow, deny }) => sum + allow + deny, 0);
const ALL_AS_STATED = `{"cases":${CASES},"probes":${PROBES},"mismatches":[]}\n`;
const PROGRAM = fileURLToPath(new URL("../../bin/wardline", import.meta.url));
const pathOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const textOf = (name: string): string => readFileSync(pathOf(name), "utf8");
const kernelProblem = kernelLabProblem();
const userProblem = otherUserProblem();

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-vectors-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function evaluate(engine: string, paths: readonly string[], ...more: string[]) {
  const line = ["policy", "eval", "--engine", engine, ...more, "--vectors", ...paths];
  const { status, stdout, stderr } = spawnSync(PROGRAM, line, { encoding: "utf8", maxBuffer: 1 << 28 });
  return { status, stdout, stderr };
}

/** The same vectors with every expectation turned around: each of them must be found. */
function turnedAround(name: string): string {
  const turned = (verdict: unknown): string => (verdict === "allow" ? "deny" : "allow");
  return JSON.stringify(
    JSON.parse(textOf(name), (key, value: unknown) => (key === "expect" ? turned(value) : value)) as unknown,
  );
}

function save(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

describe.each([
  ["reference", referenceEngine],
  ["compiled", compiledEngine],
] as const)("the %s engine", (_, engine) => {
  it.each(FILES)("gives every verdict of $name", async ({ name, cases, allow, deny }) => {
    const result = await judgeVectors(readVectorFile(name, textOf(name)), engine);
    expect(result).toEqual({ cases, probes: allow + deny, mismatches: [] });
  });

  it.each(FILES)("is caught when it gives a wrong one ($name)", async ({ name, allow, deny }) => {
    const { mismatches } = await judgeVectors(readVectorFile(name, turnedAround(name)), engine);
    const expected = (verdict: string) => mismatches.filter((one) => one.expected === verdict).length;
    expect([expected("deny"), expected("allow")]).toEqual([allow, deny]);
  });
});

describe.skipIf(kernelProblem !== null)(
  `the kernel engine${kernelProblem === null ? "" : ` (${kernelProblem})`}`,
  { timeout: 120_000 },
  () => {
    beforeAll(() => void readBpfObject());

    it("gives every verdict", () => {
      const { status, stdout, stderr } = evaluate(
        "kernel",
        FILES.map(({ name }) => pathOf(name)),
        "--format",
        "json",
      );
      expect([status, stdout, stderr]).toEqual([0, ALL_AS_STATED, ""]);
    });

    it("is caught when it gives a wrong one", () => {
      const turned = FILES.map(({ name }) => save(name, turnedAround(name)));
      const { status, stdout } = evaluate("kernel", turned, "--format", "json");
      expect([status, (JSON.parse(stdout) as VectorResult).mismatches.length]).toEqual([1, PROBES]);
    });

    it.skipIf(userProblem !== null)(
      `is said not to be available to ordinary users${userProblem === null ? "" : ` (${userProblem})`}`,
      () => {
        const user = ["--reuid=65534", "--regid=65534", "--clear-groups", PROGRAM];
        const line = ["policy", "eval", "--engine", "kernel", "--vectors", pathOf("cnp-conformance-nodes.json")];
        const { status, stdout, stderr } = spawnSync("setpriv", [...user, ...line], { encoding: "utf8" });
        expect([status, stdout]).toEqual([3, ""]);
        expect(stderr).toContain("The kernel engine is not available here. Asking the kernel needs root.");
      },
    );
  },
);

describe("the packets of Calico", () => {
  it("are all read from both ends, but for six from or to ::1", () => {
    const name = "calico-policy-program.json";
    const probes = readVectorFile(name, textOf(name)).flatMap((one) => one.probes);
    const sides = probes.map(({ readings }) => new Set(readings.map(({ label }) => label.split(",")[0])).size);
    const fromOneEnd = probes.filter((_, index) => sides[index] === 1);
    expect(fromOneEnd.map(({ from, to }) => from === "::1" || to === "::1")).toEqual(Array(6).fill(true));
    expect(sides.filter((count) => count === 2)).toHaveLength(279);
  });
});

describe("policy eval", () => {
  it("takes several files at once, and the reference when no engine is named", () => {
    const line = ["policy", "eval", "--vectors", ...FILES.map(({ name }) => pathOf(name)), "--format", "json"];
    const { status, stdout } = spawnSync(PROGRAM, line, { encoding: "utf8" });
    expect([status, stdout]).toEqual([0, ALL_AS_STATED]);
  });

  it("tells people what differs and which rule decided, and programs the same", () => {
    const path = save("wrong.json", turnedAround("cnp-conformance-nodes.json"));
    const text = evaluate("compiled", [path]);
    expect(text.status).toBe(1);
    expect(text.stdout).toMatch(
      /probe 0\n {2}network-.*\/harry-potter-1 → .*\/centaur-1 34349\/UDP: expected allow, got deny/,
    );
    expect(text.stdout).toMatch(/ {4}egress of Workload\/.*\/harry-potter-1 \(10\.1\.0\.11\): denied by default, /);
    expect(text.stdout).toContain("2 cases, 3 probes, compiled engine: 3 mismatches\n");

    const { mismatches } = JSON.parse(evaluate("compiled", [path], "--format", "json").stdout) as VectorResult;
    expect(mismatches[0]).toMatchObject({
      ...{ file: path, case: "cnp-admin-tier-egress-node-peers-02", probe: 0, protocol: "UDP", port: 34_347 },
      ...{ expected: "deny", got: "allow", readings: [{ reading: "IPv4" }, { reading: "IPv6" }] },
    });
  });

  it.each([
    ["nothing.json", "", /the file is not JSON/],
    ["cut.json", textOf("netpol-e2e.json").slice(0, 9_999), /the file is not JSON.*line 1?\d* ?column/],
    ["number.json", "5", /the file must be a list, not 5/],
    [
      "field.json",
      '[{"name":"a","source":"","inventory":{},"policies":"","probes":[],"expct":1}]',
      /\[0\]\.expct is not known/,
    ],
  ])("refuses %s with the place and the reason", (name, text, reason) => {
    const { status, stdout, stderr } = evaluate("reference", [save(name, text)]);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(reason);
    expect(stderr).toContain(name);
  });
});

describe("the page about it", () => {
  const page = readFileSync(fileURLToPath(new URL("../../docs/conformance.md", import.meta.url)), "utf8");

  it.each(FILES)("has the numbers of $name", ({ name, cases, allow, deny }) => {
    const row = page.split("\n").find((line) => line.startsWith("|") && line.includes(`(\`${name}\`)`));
    const numbers = [cases, allow + deny].map((count) => count.toLocaleString("en-US"));
    expect(
      row
        ?.split("|")
        .slice(2, 7)
        .map((cell) => cell.trim()),
    ).toEqual([...numbers, "all", "all", "all"]);
  });

  it("shows what the command prints", () => {
    expect(page).toContain(`prints \`${ALL_AS_STATED.trim()}\``);
  });
});
