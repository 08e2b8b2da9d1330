import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { joinReports, MAX_SECOND_TRIES, planSecondTries, sumUp } from "./tries.mjs";

const passed = (name) => ({ name, state: "passed" });
const failed = (name, text = "no") => ({ name, state: "failed", text });
const file = (path, tests, errors = []) => ({ path, project: "own process", tests, errors });
const report = (files, errors = []) => ({ files, errors });

const COUNTEREXAMPLE = "Property failed after 3 tests (seed -17, path 2:0)";

it("plans files that failed together, and each counterexample with its seed", () => {
  const files = [
    file("a", [passed("1"), failed("2")]),
    file("b", [passed("1")]),
    file("c", [failed("1", COUNTEREXAMPLE), failed("2")]),
    file("d", [], [{ name: "d", text: "cannot be loaded" }]),
  ];
  expect(planSecondTries(report(files))).toEqual([
    { paths: ["a", "d"], seed: null },
    { paths: ["c"], seed: -17 },
  ]);
});

it("plans nothing for what a second try cannot mend", () => {
  expect(planSecondTries(report([file("a", [passed("1")])]))).toEqual([]);
  const broken = Array.from({ length: MAX_SECOND_TRIES + 1 }, (_, index) => file(`${index}`, [failed("1")]));
  expect(planSecondTries(report(broken))).toEqual([]);
  expect(planSecondTries(report([file("a", [failed("1")])], [{ name: "outside", text: "thrown" }]))).toEqual([]);
});

it("holds a test that passed at one of its tries, and says of what it failed", () => {
  const first = report([
    file("a", [
      passed("1"),
      failed("2", "late"),
      failed("3"),
      passed("4"),
      { name: "5", state: "skipped", reason: "root" },
    ]),
    file("b", [passed("1")]),
  ]);
  const second = report([
    file("a", [
      passed("1"),
      passed("2"),
      failed("3", "again"),
      failed("4", "cut"),
      { name: "5", state: "skipped", reason: "root" },
    ]),
  ]);
  expect(sumUp(first, second)).toEqual({
    passed: 4,
    failed: 1,
    skipped: 1,
    failures: ["a > 3: again"],
    skips: [{ name: "a > 5", reason: "root" }],
    secondTries: ["a > 2: late", "a > 4: cut"],
  });
});

it("tells tests of one name apart by their order", () => {
  const twice = (...tests) => report([file("a", tests)]);
  const summary = sumUp(twice(failed("1", "late"), passed("1")), twice(failed("1", "again"), passed("1")));
  expect(summary).toMatchObject({ passed: 1, failed: 1, failures: ["a > 1: again"], secondTries: [] });
});

it("counts files that do not load and errors outside of tests", () => {
  const broken = file("a", [], [{ name: "a", text: "hook" }]);
  expect(sumUp(report([broken]))).toMatchObject({ passed: 0, failed: 1, failures: ["a: hook"] });
  const mended = sumUp(report([broken]), report([file("a", [passed("1")])]));
  expect(mended).toMatchObject({ passed: 1, failed: 0, secondTries: ["a: hook"] });
  // What failed at first and cannot be loaded at the second try has not passed.
  const lost = sumUp(report([file("a", [failed("1"), passed("2")])]), report([broken]));
  expect(lost).toMatchObject({ passed: 1, failed: 2 });
  const outside = [{ name: "outside of any test", text: "thrown" }];
  expect(sumUp(report([]), joinReports([report([]), report([], outside)]))).toMatchObject({ failed: 1 });
});

const repositoryDir = join(import.meta.dirname, "../..");
let dir;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wardline-tries-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it("draws what failed once more from its seed", () => {
  const module = (name) => JSON.stringify(join(repositoryDir, "node_modules", name));
  const drawn = join(dir, "drawn");
  writeFileSync(
    join(dir, "a.test.mjs"),
    `import { it } from ${module("vitest/dist/index.js")};
     import fc from ${module("fast-check/lib/fast-check.js")};
     import { appendFileSync } from "node:fs";
     it("fails", () => fc.assert(fc.property(fc.nat(), (value) => {
       appendFileSync(${JSON.stringify(drawn)}, value + " ");
       return value < 1000;
     }), { endOnFailure: true }));`,
  );
  writeFileSync(
    join(dir, "vitest.config.mjs"),
    `export default { test: { setupFiles: process.env.WARDLINE_TEST_SEED ? [${JSON.stringify(join(import.meta.dirname, "seed.mjs"))}] : [] } };`,
  );
  const reportPath = join(dir, "report.json");
  const drawnOf = (env) => {
    rmSync(drawn, { force: true });
    const args = ["node_modules/vitest/vitest.mjs", "run", "--root", dir, "--reporter=./scripts/test/reporter.mjs"];
    spawnSync(process.execPath, args, {
      cwd: repositoryDir,
      env: { ...process.env, WARDLINE_TEST_REPORT: reportPath, ...env },
    });
    return existsSync(drawn) ? readFileSync(drawn, "utf8") : "";
  };
  const first = drawnOf({});
  const [plan] = planSecondTries(JSON.parse(readFileSync(reportPath, "utf8")));
  expect(plan.seed).toEqual(expect.any(Number));
  expect(drawnOf({ WARDLINE_TEST_SEED: String(plan.seed) })).toBe(first);
});
