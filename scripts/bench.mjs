// Runs the benchmarks one after the other: `npm run bench`, or `npm run bench -- connection apply` for some, `datapath` for
// those of the datapath. Afterwards, or alone with `npm run bench -- report`, writes their page in bench/results.
// Each publishes its figures with the machine they were measured on to bench/results/NAME.json.
// Exit 1 when one failed, or ended without a result and without saying why it was left out.
import { spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findNode } from "./setup/node.mjs";

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
const SUFFIX = ".bench.ts";
const sourceDir = join(root, "bench", "src");
const resultsDir = process.env.WARDLINE_BENCH_RESULTS ?? join(root, "bench", "results");

const all = readdirSync(sourceDir)
  .filter((name) => name.endsWith(SUFFIX))
  .map((name) => name.slice(0, -SUFFIX.length))
  .sort();
/** Quick ones first: when one of them fails it is seen at once. */
const DATAPATH = [
  ...[
    "verifier",
    "audit",
    "continuity",
    "events",
    "queue",
    "connection",
    "established",
    "throughput",
    "flood",
    "memory",
  ],
  ...["apply", "scale", "packet", "load"],
];
const wanted = [...new Set(process.argv.slice(2).flatMap((name) => (name === "datapath" ? DATAPATH : [name])))];
const REPORT = "report";
const unknown = wanted.filter((name) => name !== REPORT && !all.includes(name));
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(", ")}. There are: datapath, ${REPORT}, ${all.join(", ")}`);
  process.exit(2);
}
const node = findNode(root);
if (node.path === null) {
  console.error(`Node 26 does not run here: ${node.reason}`);
  process.exit(1);
}

const outcomes = [];
const chosen = wanted.length > 0 ? wanted.filter((name) => name !== REPORT) : all;
for (const name of chosen) outcomes.push(await runBench(name));
const { code: reportCode } = await run(join(sourceDir, "report.ts"));
console.log("");
for (const { name, outcome, seconds } of outcomes) {
  console.log(`${outcome.padEnd(9)} ${name} (${seconds.toFixed(0)} s)`);
}
process.exitCode = reportCode !== 0 || outcomes.some(({ outcome }) => outcome === "failed") ? 1 : 0;

async function runBench(name) {
  console.log(`\n== ${name}`);
  const startedAtMs = Date.now();
  const { code, said } = await run(join(sourceDir, name + SUFFIX));
  const seconds = (Date.now() - startedAtMs) / 1000;
  if (code !== 0) return { name, outcome: "failed", seconds };
  if (wasWrittenSince(startedAtMs)) return { name, outcome: "measured", seconds };
  return { name, outcome: /left out/.test(said) ? "left out" : "failed", seconds };
}

function run(path) {
  return new Promise((resolve) => {
    const args = ["--disable-warning=ExperimentalWarning", "--expose-gc", path];
    const child = spawn(node.path, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      said = (said + text).slice(-10_000);
      process.stdout.write(text);
    });
    child.on("error", (error) => {
      console.error(error.message);
      resolve({ code: 1, said });
    });
    child.on("close", (code) => resolve({ code: code ?? 1, said }));
  });
}

/** Whether any result is newer than the start of the benchmark: it names its own files. */
function wasWrittenSince(startedAtMs) {
  try {
    return readdirSync(resultsDir).some((file) => statSync(join(resultsDir, file)).mtimeMs >= startedAtMs - 1);
  } catch {
    return false;
  }
}
