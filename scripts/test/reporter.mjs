// A vitest reporter that writes what `scripts/test.mjs` sums up: what became of each test, and why it was skipped (which
// vitest's own JSON report leaves out). Path of the result: WARDLINE_TEST_REPORT; its shape: `Report` in tries.mjs.
//
// While it runs, WARDLINE_TEST_REPORT with `.progress` holds one line for each file that begins or ends: what is left of a
// run that had to be ended.
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { sumUp } from "./tries.mjs";

const UNNAMED = "no reason given";

/** @typedef {{ passed: number, failed: number, skipped: number, failures: string[], running: string[], waiting: string[] }} Progress */

export default class SummaryReporter {
  onTestRunStart(specifications) {
    note({ files: specifications.map(({ project, moduleId }) => moduleId.replace(`${project.config.root}/`, "")) });
  }

  onTestModuleStart(module) {
    note({ begun: module.relativeModuleId });
  }

  onTestModuleEnd(module) {
    const { passed, failed, skipped, failures } = sumUp({ files: [describeFile(module)], errors: [] });
    note({ ended: module.relativeModuleId, passed, failed, skipped, failures });
  }

  onTestRunEnd(modules, unhandledErrors) {
    const report = { files: modules.map(describeFile), errors: [] };
    for (const error of unhandledErrors) {
      const told = { name: "outside of any test", text: firstLine(error.message) };
      // Vitest knows in whose process it was thrown, if not by which test.
      const file = modules.find(({ moduleId }) => moduleId === error.VITEST_TEST_PATH);
      const within = report.files.find((each) => each.path === file?.relativeModuleId);
      (within?.errors ?? report.errors).push(told);
    }
    writeFileSync(process.env.WARDLINE_TEST_REPORT, JSON.stringify(report));
  }
}

function note(line) {
  appendFileSync(`${process.env.WARDLINE_TEST_REPORT}.progress`, `${JSON.stringify(line)}\n`);
}

/** How far a run came that left no report. @returns {Progress} */
export function readProgress(reportPath) {
  const progress = { passed: 0, failed: 0, skipped: 0, failures: [] };
  const [waiting, running] = [new Set(), new Set()];
  for (const text of readFileSync(`${reportPath}.progress`, "utf8").trimEnd().split("\n")) {
    const line = JSON.parse(text);
    for (const file of line.files ?? []) waiting.add(file);
    waiting.delete(line.begun);
    if (line.begun) running.add(line.begun);
    if (!line.ended) continue;
    waiting.delete(line.ended);
    running.delete(line.ended);
    for (const key of ["passed", "failed", "skipped"]) progress[key] += line[key];
    progress.failures.push(...line.failures);
  }
  return { ...progress, running: [...running], waiting: [...waiting] };
}

/** @returns {import("./tries.mjs").FileReport} */
function describeFile(module) {
  const path = module.relativeModuleId;
  const tests = [];
  for (const test of module.children.allTests()) {
    const { state, errors, note } = test.result();
    const described = { name: titlesOf(test).join(" > "), state };
    if (state === "skipped") described.reason = note || reasonIn(titlesOf(test));
    else if (state !== "passed")
      Object.assign(described, { state: "failed", text: firstLine(errors?.[0]?.message ?? "did not finish") });
    // Vitest keeps what the first try failed of: without it nobody could mend a test that failed once in a day.
    else if (test.diagnostic()?.retryCount > 0) described.firstTry = firstLine(errors?.[0]?.message);
    tests.push(described);
  }
  // Files that cannot be loaded and hooks that throw fail without a test of their own.
  const errors = module.errors().length > 0 ? [{ name: path, text: firstLine(module.errors()[0].message) }] : [];
  for (const suite of module.children.allSuites())
    if (suite.errors().length > 0)
      errors.push({ name: `${path} > ${suite.name}`, text: firstLine(suite.errors()[0].message) });
  return { path, project: module.project.name, tests, errors };
}

function titlesOf(test) {
  const titles = [test.name];
  for (let parent = test.parent; parent.type === "suite"; parent = parent.parent) titles.unshift(parent.name);
  return titles;
}

/** Suites name what they lack: `packets in the kernel (needs root)`, `shell (skipped: no Electron binary)`. */
function reasonIn(titles) {
  for (const title of titles) {
    const match = /\b(?:skipped\b[:,]?\s*([^)\]]+)|((?:needs|requires|without|no)\b[^)\]]*))/i.exec(title);
    if (match) return (match[1] ?? match[2]).trim();
  }
  return UNNAMED;
}

/** With the seed of a random property, by which the same cases come again. */
function firstLine(text) {
  const seed = /\{ seed: (-?\d+), path: "([\d:]+)"/.exec(text ?? "");
  return `${(text ?? "").split("\n")[0].trim()}${seed ? ` (seed ${seed[1]}, path ${seed[2]})` : ""}`;
}
