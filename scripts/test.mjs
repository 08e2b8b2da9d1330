// Every gate of the project: `npm test`, or `npm test -- FILTER` for some test files only.
// Ends with exactly one line `N passed, N failed, N skipped`; each gate counts as one test. Exit 1 when one failed.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findNode } from "./setup/node.mjs";
import { findProgram } from "./setup/system-packages.mjs";
import { removeLeftovers } from "./test/leftovers.mjs";
import { readProgress } from "./test/reporter.mjs";
import { joinReports, planSecondTries, sumUp } from "./test/tries.mjs";

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
const GATE_LIMIT_MS = 5 * 60_000;
const VITEST_LIMIT_MS = 40 * 60_000;
const SECOND_TRY_LIMIT_MS = 15 * 60_000;
const KILL_AFTER_MS = 10_000;

const filters = process.argv.slice(2);
const node = findNode(root);
if (node.path === null) {
  console.error(`Node 26 does not run here: ${node.reason}\nRun: node scripts/setup.mjs test`);
  console.log("0 passed, 1 failed, 0 skipped");
  process.exit(1);
}

const biome = join(root, "node_modules", ".bin", "biome");
const gates = [
  { name: "formatting", command: biome, args: ["format", "."], repair: "npm run format" },
  { name: "lint", command: biome, args: ["lint", "--error-on-warnings", "."], repair: "npx biome check --write ." },
  { name: "import rules", command: node.path, args: ["scripts/check-imports.mjs"] },
  { name: "types", command: node.path, args: ["scripts/typecheck.mjs"] },
  {
    name: "generated code up to date",
    command: node.path,
    args: ["scripts/generate.mjs", "--check"],
    repair: "npm run generate",
  },
  bpfGate(),
];

const totals = { passed: 0, failed: 0, skipped: 0 };
/** @type {string[]} */
const failures = [];
/** @type {{ name: string, reason: string }[]} */
const skips = [];
/** Tests that passed at one of two tries. @type {string[]} */
const secondTries = [];

for (const name of removeLeftovers()) console.log(`      removed ${name}: left by a run of tests that was killed`);
if (filters.length === 0) await Promise.all(gates.map(runGate));
await runVitest();
summarize();

function bpfGate() {
  const gate = { name: "BPF objects build without a warning" };
  if (process.platform !== "linux") return { ...gate, skip: "BPF programs are for Linux" };
  for (const program of ["make", "clang"]) {
    if (findProgram([program]) === null) return { ...gate, skip: `needs ${program}` };
  }
  return { ...gate, command: "make", args: ["-C", "bpf", "-B"] };
}

async function runGate({ name, command, args, repair, skip }) {
  if (skip) {
    console.log(`skip  ${name}: ${skip}`);
    totals.skipped++;
    skips.push({ name, reason: skip });
    return;
  }
  const startedAt = performance.now();
  const { code, output } = await run(command, args, { limitMs: GATE_LIMIT_MS, stream: false });
  const time = `(${((performance.now() - startedAt) / 1000).toFixed(1)} s)`;
  if (code === 0) {
    console.log(`ok    ${name} ${time}`);
    totals.passed++;
    return;
  }
  console.log(`FAIL  ${name} ${time}`);
  console.log(output.trimEnd().replace(/^/gm, "      "));
  if (repair) console.log(`      To repair: ${repair}`);
  totals.failed++;
  failures.push(name);
}

async function runVitest() {
  const scratchDir = mkdtempSync(join(tmpdir(), "wardline-test-"));
  try {
    const reportPath = join(scratchDir, "report.json");
    const { code, report } = await runFiles(filters, { reportPath, limitMs: VITEST_LIMIT_MS });
    if (report === null) {
      totals.failed++;
      failures.push(`vitest ended with ${code} and left no report`);
      tellProgress(reportPath);
      return;
    }
    const summary = sumUp(report, await runSecondTries(report, scratchDir));
    for (const key of ["passed", "failed", "skipped"]) totals[key] += summary[key];
    failures.push(...summary.failures);
    skips.push(...summary.skips);
    secondTries.push(...summary.secondTries);
    if (summary.passed + summary.failed + summary.skipped === 0) {
      totals.failed++;
      failures.push(`no test ${filters.length > 0 ? `matches ${filters.join(" ")}` : "was found"}`);
    } else if (code !== 0 && sumUp(report).failed === 0) {
      totals.failed++;
      failures.push(`vitest ended with ${code} although no test failed: see the errors above`);
    }
  } finally {
    rmSync(scratchDir, { recursive: true, force: true });
  }
}

/** @returns the joined report, null when there was nothing to try again */
async function runSecondTries(first, scratchDir) {
  const reports = [];
  for (const { paths, seed } of planSecondTries(first)) {
    console.log(`\nOnce more, one after the other${seed === null ? "" : ` with seed ${seed}`}: ${paths.join(", ")}\n`);
    for (const name of removeLeftovers()) console.log(`      removed ${name}: left by a process that is gone`);
    const { code, report } = await runFiles(paths, {
      reportPath: join(scratchDir, `again-${reports.length}.json`),
      limitMs: SECOND_TRY_LIMIT_MS,
      more: ["--maxWorkers=1"],
      env: seed === null ? {} : { WARDLINE_TEST_SEED: String(seed) },
    });
    if (report !== null) reports.push(report);
    else console.log(`vitest ended with ${code} and left no report: what failed stays failed.`);
  }
  return reports.length > 0 ? joinReports(reports) : null;
}

async function runFiles(paths, { reportPath, limitMs, more = [], env = {} }) {
  const reporters = ["--reporter=default", "--reporter=./scripts/test/reporter.mjs"];
  const { code } = await run(node.path, ["node_modules/vitest/vitest.mjs", "run", ...reporters, ...more, ...paths], {
    limitMs,
    stream: true,
    env: { WARDLINE_TEST_REPORT: reportPath, ...env },
  });
  return { code, report: readReport(reportPath) };
}

/** What is known of a run that was ended: files that ran for too long, and those that never had their turn. */
function tellProgress(reportPath) {
  let progress;
  try {
    progress = readProgress(reportPath);
  } catch {
    return;
  }
  for (const key of ["passed", "failed", "skipped"]) totals[key] += progress[key];
  failures.push(...progress.failures);
  failures.push(...progress.running.map((file) => `${file}: had not finished`));
  if (progress.waiting.length > 0) {
    console.log(`\nNot begun (${progress.waiting.length} files):`);
    for (const file of progress.waiting) console.log(`  - ${file}`);
  }
}

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
}

function summarize() {
  if (skips.length > 0) {
    console.log("\nSkipped:");
    for (const [reason, names] of groupSkips()) {
      console.log(`  ${reason}`);
      for (const name of names) console.log(`    - ${name}`);
    }
  }
  if (secondTries.length > 0) {
    console.log("\nPassed at the second try:");
    for (const name of secondTries) console.log(`  - ${name}`);
  }
  if (failures.length > 0) {
    console.log("\nFailed:");
    for (const failure of failures) console.log(`  - ${failure}`);
  }
  console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
  process.exitCode = totals.failed > 0 ? 1 : 0;
}

function groupSkips() {
  const groups = new Map();
  for (const { name, reason } of skips) groups.set(reason, [...(groups.get(reason) ?? []), name]);
  return groups;
}

/** Runs a command in the repository; ends it when it takes longer than `limitMs`. */
function run(command, args, { limitMs, stream, env = {} }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...testEnvironment(), ...env },
      stdio: stream ? ["ignore", "inherit", "inherit"] : ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const keep = (chunk) => {
      output += chunk;
    };
    child.stdout?.setEncoding("utf8").on("data", keep);
    child.stderr?.setEncoding("utf8").on("data", keep);
    const limit = setTimeout(() => {
      console.log(`${command} ${args[0]} took longer than ${limitMs / 60_000} minutes and is ended.`);
      child.kill("SIGTERM");
      setTimeout(() => child.kill("SIGKILL"), KILL_AFTER_MS).unref();
    }, limitMs);
    const stop = () => child.kill("SIGTERM");
    process.once("SIGTERM", stop);
    const end = (code, text) => {
      clearTimeout(limit);
      process.off("SIGTERM", stop);
      resolve({ code, output: output + text });
    };
    child.on("error", (error) => end(-1, `${command} could not be started: ${error.message}`));
    child.on("close", (code, signal) => end(code ?? -1, signal ? `ended by ${signal}` : ""));
  });
}

/**
 * Tests get the project's Node first, sbin (nft, ip, bpftool) and no word of the npm that started us. The helper programs
 * that they start by the hundred keep their compiled sources.
 */
function testEnvironment() {
  const kept = Object.entries(process.env).filter(([name]) => !/^npm_(lifecycle|package|command)/.test(name));
  const path = [join(root, "node_modules", ".bin"), process.env.PATH ?? "", "/usr/local/sbin", "/usr/sbin", "/sbin"];
  const compileCache = { NODE_COMPILE_CACHE: join(root, ".cache", "compile") };
  return { ...compileCache, ...Object.fromEntries(kept), PATH: path.join(":") };
}
