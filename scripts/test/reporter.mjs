// A vitest reporter that writes what `scripts/test.mjs` sums up: counts, failures, and why each test was skipped (which
// vitest's own JSON report leaves out). Path of the result: WARDLINE_TEST_REPORT.
import { writeFileSync } from "node:fs";

const UNNAMED = "no reason given";
const MAX_FAILURES = 100;

/** @typedef {{ passed: number, failed: number, skipped: number, failures: string[], skips: { name: string, reason: string }[] }} Summary */

export default class SummaryReporter {
  onTestRunEnd(modules, unhandledErrors) {
    writeFileSync(process.env.WARDLINE_TEST_REPORT, JSON.stringify(summarize(modules, unhandledErrors)));
  }
}

/** @returns {Summary} */
function summarize(modules, unhandledErrors) {
  const summary = { passed: 0, failed: 0, skipped: 0, failures: [], skips: [] };
  const fail = (name, errors) => {
    summary.failed++;
    if (summary.failures.length < MAX_FAILURES) summary.failures.push(`${name}: ${firstLine(errors[0]?.message)}`);
  };
  for (const module of modules) {
    const path = module.relativeModuleId;
    for (const test of module.children.allTests()) {
      const name = `${path} > ${titlesOf(test).join(" > ")}`;
      const { state, errors, note } = test.result();
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

function firstLine(text) {
  return (text ?? "").split("\n")[0].trim();
}
