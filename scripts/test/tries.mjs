// What became of a run of tests, and of the second one of the files that failed in it.
//
// Machines, browsers and kernels of a test share this one with those of all others. A file that failed is run once more when
// all others have ended: in a process of its own, beside nothing, on nothing that its first try left. What holds then is told
// by name as passed at its second try, with what the first failed of. A counterexample of a random property is tried with its
// own seed: a second draw would prove nothing.

/** More than these are no busy machine: something is broken, and trying again would only take time. */
export const MAX_SECOND_TRIES = 20;
const MAX_FAILURES = 100;

/** @typedef {{ name: string, text: string }} Failure of something that is no test, by its whole name */
/** @typedef {{ name: string, state: "passed" | "failed" | "skipped", text?: string, reason?: string, firstTry?: string }} TestReport */
/** @typedef {{ path: string, project: string, tests: TestReport[], errors: Failure[] }} FileReport */
/** @typedef {{ files: FileReport[], errors: Failure[] }} Report */
/** @typedef {{ passed: number, failed: number, skipped: number, failures: string[], skips: { name: string, reason: string }[], secondTries: string[] }} Summary */

/**
 * What to run once more, run by run; none when trying again is of no use.
 * @param {Report} report @returns {{ paths: string[], seed: number | null }[]}
 */
export function planSecondTries(report) {
  const failed = report.files.filter((file) => failuresOf(file).length > 0);
  if (report.errors.length > 0 || failed.length > MAX_SECOND_TRIES) return [];
  const seeded = failed.map((file) => ({ paths: [file.path], seed: seedOf(file) }));
  const plain = seeded.filter(({ seed }) => seed === null).flatMap(({ paths }) => paths);
  const runs = seeded.filter(({ seed }) => seed !== null);
  return plain.length > 0 ? [{ paths: plain, seed: null }, ...runs] : runs;
}

/** Reports of runs that have no file in common. @param {Report[]} reports @returns {Report} */
export function joinReports(reports) {
  return { files: reports.flatMap(({ files }) => files), errors: reports.flatMap(({ errors }) => errors) };
}

/** @param {Report} first @param {Report | null} second of some of the same files @returns {Summary} */
export function sumUp(first, second = null) {
  const summary = { passed: 0, failed: 0, skipped: 0, failures: [], skips: [], secondTries: [] };
  const fail = (name, text) => {
    summary.failed++;
    if (summary.failures.length < MAX_FAILURES) summary.failures.push(`${name}: ${text}`);
  };
  for (const file of first.files) {
    const again = second?.files.find(({ path }) => path === file.path);
    for (const test of mergeTests(file, again)) {
      const name = `${file.path} > ${test.name}`;
      if (test.state === "failed") fail(name, test.text);
      else summary[test.state]++;
      if (test.state === "skipped") summary.skips.push({ name, reason: test.reason });
      if (test.firstTry !== undefined) summary.secondTries.push(`${name}: ${test.firstTry}`);
    }
    for (const { name, text } of (again ?? file).errors) fail(name, text);
    if (again?.errors.length === 0)
      for (const { name, text } of file.errors) summary.secondTries.push(`${name}: ${text}`);
  }
  for (const { name, text } of [...first.errors, ...(second?.errors ?? [])]) fail(name, text);
  return summary;
}

/** A test holds when one of its two tries passed: those of the second run are not asked for more than those of the first. */
function mergeTests(file, again) {
  if (!again) return file.tests;
  const before = byPlace(file.tests);
  const after = byPlace(again.tests);
  const merged = [...after].map(([place, test]) => {
    const other = before.get(place);
    if (other?.state === "failed" && test.state === "passed") return { ...test, firstTry: other.text };
    if (other?.state === "passed" && test.state === "failed") return { ...other, firstTry: test.text };
    return test;
  });
  // A file that does not load the second time has no tests in it.
  return [...merged, ...[...before].filter(([place]) => !after.has(place)).map(([, test]) => test)];
}

/** Tests of one name are told apart by their order. @param {TestReport[]} tests @returns {Map<string, TestReport>} */
function byPlace(tests) {
  const counts = new Map();
  return new Map(
    tests.map((test) => {
      const count = (counts.get(test.name) ?? 0) + 1;
      counts.set(test.name, count);
      return [`${count} ${test.name}`, test];
    }),
  );
}

/** @returns {string[]} */
function failuresOf({ tests, errors }) {
  return [...tests.filter(({ state }) => state === "failed"), ...errors].map(({ text }) => text);
}

/** Of the first random property that failed, as the reporter's `firstLine` writes it. @returns {number | null} */
function seedOf(file) {
  const seeds = failuresOf(file).map(
    (text) => /^Property failed after .*\(seed (-?\d+), path [\d:]+\)$/.exec(text)?.[1],
  );
  const seed = seeds.find((each) => each !== undefined);
  return seed === undefined ? null : Number(seed);
}
