/**
 * Writes what was measured of the datapath into bench/results/README.md, between its two marks, from the files beside it:
 * `npm run bench -- report`. It also runs after every benchmark run.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { details } from "./lib/report/details.ts";
import { Results } from "./lib/report/results.ts";
import { leftOutList, summaryTable } from "./lib/report/summary.ts";

const BEGIN = "<!-- datapath: begin, written by `npm run bench -- report` -->\n";
const END = "<!-- datapath: end -->\n";
const FILES = [
  ...["packet", "established", "connection", "throughput", "scale", "apply", "events", "continuity", "queue", "memory"],
  ...["flood", "audit", "load", "verifier"],
];

const directory = process.env.WARDLINE_BENCH_RESULTS ?? fileURLToPath(new URL("../results", import.meta.url));
const page = join(directory, "README.md");
const results = new Results(directory);

/** The days and machines that the figures come from. */
function provenance(): string {
  const days = new Set(FILES.map((file) => results.text(file, "measuredAt")?.slice(0, 10)).filter((day) => day));
  const machines = new Set(
    FILES.filter((file) => results.has(file)).map((file) => {
      const of = (key: string): string => `${results.at(file, "machine", key) ?? "unknown"}`;
      return `${of("processorCount")} processors (${of("processor")}), ${of("operatingSystem")}, Linux ${of("kernel")}, Node ${of("node")}`;
    }),
  );
  return `Measured ${[...days].sort().join(", ")} on ${[...machines].join("; ")}.`;
}

const text = readFileSync(page, "utf8");
const [before, rest] = text.split(BEGIN);
const after = rest?.split(END)[1];
if (before === undefined || after === undefined) throw new Error(`${page} has lost its marks: ${BEGIN}${END}`);
const body = `## The datapath, B1 to B15

${provenance()}

Figures are medians with the quartiles in brackets.

${summaryTable(results)}
### Left out, and why

${leftOutList(results, FILES)}
${details(results)}`;
writeFileSync(page, `${before}${BEGIN}${body}${END}${after}`);
console.log(page);
