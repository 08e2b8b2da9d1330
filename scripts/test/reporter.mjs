// A vitest reporter that writes what `scripts/test.mjs` sums up: counts, failures, and why each test was skipped (which
// vitest's own JSON report leaves out). Path of the result: WARDLINE_TEST_REPORT.
//
// While it runs, WARDLINE_TEST_REPORT with `.progress` holds one line for each file that begins or ends: what is left of a
// run that had to be ended.
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";

const UNNAMED = "no reason given";
const MAX_FAILURES = 100;

/** @typedef {{ passed: number, failed: number, skipped: number, failures: string[], skips: { name: string, reason: string }[], secondTries: string[] }} Summary */

/** @typedef {{ passed: number, failed: number, skipped: number, failures: string[], running: string[], waiting: string[] }} Progress */

export default class SummaryReporter {
  onTestRunStart(specifications) {
    note({ files: specifications.map(({ project, moduleId }) => moduleId.replace(`${project.config.root}/`, "")) });
  }

  onTestModuleStart(module) {
    note({ begun: module.relativeModuleId });
  }

  onTestModuleEnd(module) {
    note({ ended: module.relativeModuleId, ...summarize([module], []) });
  }

  onTestRunEnd(modules, unhandledErrors) {
    writeFileSync(process.env.WARDLINE_TEST_REPORT, JSON.stringify(summarize(modules, unhandledErrors)));
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

/** @returns {Summary} */
function summarize(modules, unhandledErrors) {
  const summary = { passed: 0, failed: 0, skipped: 0, failures: [], skips: [], secondTries: [] };
  const fail = (name, errors) => {
    summary.failed++;
    if (summary.failures.length < MAX_FAILURES) summary.failures.push(`${name}: ${firstLine(errors[0]?.message)}`);
  };
  for (const module of modules) {
    const path = module.relativeModuleId;
    for (const test of module.children.allTests()) {
      const name = `${path} > ${titlesOf(test).join(" > ")}`;
      const { state, errors, note } = test.result();
      // Vitest keeps what the first try failed of: without it nobody could mend a test that failed once in a day.
      if (state === "passed" && test.diagnostic()?.retryCount > 0)
        summary.secondTries.push(errors?.length ? `${name}: ${firstLine(errors[0]?.message)}` : name);
      if (state === "passed") summary.passed++;
      else if (state === "skipped") {
        summary.skipped++;
        summary.skips.push({ name, reason: note || reasonIn(titlesOf(test)) });
      } else fail(name, errors ?? [{ message: "did not finish" }]);
    }
    // Files that cannot be loaded and hooks that throw fail without a test of their own.
    if (module.errors().length > 0) fail(path, module.errors());
    for (const suite of module.children.allSuites()) {
      if (suite.errors().length > 0) fail(`${path} > ${suite.name}`, suite.errors());
    }
  }
  for (const error of unhandledErrors) fail("outside of any test", [error]);
  return summary;
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
