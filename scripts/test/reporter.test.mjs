import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { readProgress } from "./reporter.mjs";
import { sumUp } from "./tries.mjs";

const repositoryDir = fileURLToPath(new URL("../..", import.meta.url));
let dir;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wardline-reporter-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function summaryOf(files) {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  const reportPath = join(dir, "report.json");
  const vitest = join(repositoryDir, "node_modules/vitest/vitest.mjs");
  const reporter = join(repositoryDir, "scripts/test/reporter.mjs");
  const result = spawnSync(process.execPath, [vitest, "run", "--root", dir, `--reporter=${reporter}`], {
    env: { ...process.env, WARDLINE_TEST_REPORT: reportPath },
    encoding: "utf8",
  });
  return { status: result.status, ...sumUp(JSON.parse(readFileSync(reportPath, "utf8"))) };
}

it("counts every kind of outcome and names failures and reasons", () => {
  const imports = `import { describe, expect, it } from ${JSON.stringify(join(repositoryDir, "node_modules/vitest/dist/index.js"))};\n`;
  const summary = summaryOf({
    "a.test.mjs": `${imports}
      it("passes", () => {});
      it("fails", () => expect(1).toBe(2));
      it("falls", () => { throw new Error("Property failed after 3 tests\\n{ seed: -17, path: \\"2:0\\" }"); });
      it("notes", (context) => context.skip("the kernel is too old"));
      describe.skip("packets in the kernel (needs root)", () => it("x", () => {}));
      describe.skip("shell (skipped: no Electron binary)", () => it("y", () => {}));
      it.todo("later");`,
    "b.test.mjs": 'import "./absent.mjs";',
  });
  expect(summary).toMatchObject({ status: 1, passed: 1, failed: 3, skipped: 4 });
  expect(summary.failures).toEqual([
    expect.stringMatching(/^a\.test\.mjs > fails: .*expected 1 to be 2/),
    "a.test.mjs > falls: Property failed after 3 tests (seed -17, path 2:0)",
    expect.stringMatching(/^b\.test\.mjs: .*absent/),
  ]);
  expect(summary.skips).toEqual([
    { name: "a.test.mjs > notes", reason: "the kernel is too old" },
    { name: "a.test.mjs > packets in the kernel (needs root) > x", reason: "needs root" },
    { name: "a.test.mjs > shell (skipped: no Electron binary) > y", reason: "no Electron binary" },
    { name: "a.test.mjs > later", reason: "no reason given" },
  ]);
});

it("counts an error outside of any test and a hook that throws as failures", () => {
  const imports = `import { afterAll, describe, it } from ${JSON.stringify(join(repositoryDir, "node_modules/vitest/dist/index.js"))};\n`;
  const summary = summaryOf({
    "a.test.mjs": `${imports}
      it("passes", () => { setTimeout(() => { throw new Error("too late"); }, 1); return new Promise((r) => setTimeout(r, 50)); });
      describe("suite", () => { afterAll(() => { throw new Error("cleanup broke"); }); it("also passes", () => {}); });`,
  });
  expect(summary).toMatchObject({ status: 1, passed: 2, failed: 2, skipped: 0 });
  expect(summary.failures).toContainEqual("outside of any test: too late");
  expect(summary.failures).toContainEqual("a.test.mjs > suite: cleanup broke");
});

it("leaves behind how far a run came that was ended", async () => {
  const imports = `import { it } from ${JSON.stringify(join(repositoryDir, "node_modules/vitest/dist/index.js"))};\n`;
  writeFileSync(
    join(dir, "a.test.mjs"),
    `${imports} it("passes", () => {}); it("fails", () => { throw new Error("no"); });`,
  );
  writeFileSync(join(dir, "b.test.mjs"), `${imports} it("hangs", { timeout: 600_000 }, () => new Promise(() => {}));`);
  writeFileSync(join(dir, "c.test.mjs"), `${imports} it("waits", () => {});`);
  writeFileSync(
    join(dir, "vitest.config.mjs"),
    `export default { test: { maxWorkers: 1, sequence: { sequencer: class {
      shard(files) { return files; }
      sort(files) { return files.toSorted((left, right) => (left.moduleId < right.moduleId ? -1 : 1)); }
    } } } };`,
  );
  const reportPath = join(dir, "report.json");
  const vitest = join(repositoryDir, "node_modules/vitest/vitest.mjs");
  const reporter = join(repositoryDir, "scripts/test/reporter.mjs");
  const child = spawn(process.execPath, [vitest, "run", "--root", dir, `--reporter=${reporter}`], {
    env: { ...process.env, WARDLINE_TEST_REPORT: reportPath },
    stdio: "ignore",
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  await expect
    .poll(() => existsSync(`${reportPath}.progress`) && readProgress(reportPath).running, { timeout: 25_000 })
    .toEqual(["b.test.mjs"]);
  child.kill("SIGKILL");
  await ended;
  expect(readProgress(reportPath)).toEqual({
    passed: 1,
    failed: 1,
    skipped: 0,
    failures: ["a.test.mjs > fails: no"],
    running: ["b.test.mjs"],
    waiting: ["c.test.mjs"],
  });
});
