/**
 * Reading and checking policy files: 10,000 policies and 1,000 hosts from nothing, against the plain `yaml` library's
 * parsing of the same text; and the diagnostics after one keystroke, in a file of 2,000 lines and in the whole set.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createPolicyReader, readPolicyFiles, type SourceFile } from "@wardline/domain/policy";
import { makePolicyFiles } from "./lib/policyDocuments.ts";
import { publish } from "./lib/publish.ts";
import type { OnceResult } from "./lib/readOnce.ts";
import { quantile, rounded, summarize, summarizeRatios } from "./lib/statistics.ts";

const ROUNDS = Number(process.env.WARDLINE_BENCH_ROUNDS ?? 7);
const KEYSTROKES = Number(process.env.WARDLINE_BENCH_KEYSTROKES ?? 200);
const FULL = { policies: 10_000, hosts: 1_000 };
const ONCE = fileURLToPath(new URL("lib/readOnce.ts", import.meta.url));

type Reader = "wardline" | "library";

function readOnce(reader: Reader): OnceResult {
  const args = [ONCE, reader, String(FULL.policies), String(FULL.hosts)];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as OnceResult;
}

function measureFull() {
  const runs: Record<Reader, OnceResult[]> = { wardline: [], library: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    const order: Reader[] = Math.random() < 0.5 ? ["wardline", "library"] : ["library", "wardline"];
    for (const reader of order) runs[reader].push(readOnce(reader));
  }
  const figures = (reader: Reader) => ({
    wallMs: rounded(summarize(runs[reader].map(({ wallMs }) => wallMs)), 0),
    processorMs: rounded(summarize(runs[reader].map(({ processorMs }) => processorMs)), 0),
    peakMiB: rounded(summarize(runs[reader].map(({ peakMiB }) => peakMiB)), 0),
  });
  const ratio = (of: (run: OnceResult) => number) =>
    rounded(summarizeRatios(runs.wardline.map(of), runs.library.map(of)));
  return {
    documents: runs.wardline[0]?.documents,
    characters: runs.wardline[0]?.characters,
    wardlineReadsAndChecks: figures("wardline"),
    libraryParses: figures("library"),
    wardlineOverLibrary: {
      wallMs: ratio(({ wallMs }) => wallMs),
      processorMs: ratio(({ processorMs }) => processorMs),
    },
  };
}

/** Types into one file of a set, a character at a time, and reads the set after each. */
function measureKeystrokes(files: readonly SourceFile[], type: (text: string, count: number) => string) {
  const reader = createPolicyReader();
  let present = files;
  reader.read(present);
  const samplesMs: number[] = [];
  for (let count = 0; count < KEYSTROKES; count += 1) {
    present = present.map((file, index) => (index === 0 ? { ...file, text: type(file.text, count) } : file));
    const start = performance.now();
    reader.read(present);
    samplesMs.push(performance.now() - start);
  }
  // The first few run code that is not compiled yet; a person's first keystrokes do too, but only once.
  const warm = samplesMs.slice(10);
  return {
    lines: files[0]?.text.split("\n").length,
    medianMs: Number(quantile(warm, 0.5).toFixed(2)),
    p95Ms: Number(quantile(warm, 0.95).toFixed(2)),
    firstMs: Number((samplesMs[0] ?? 0).toFixed(2)),
    problems: readPolicyFiles(present).diagnostics.length,
  };
}

const inName = (text: string, count: number) =>
  text.replace(/name: policy-3\d*x*/, `name: policy-3${"x".repeat(count % 20)}`);
const newLineAtStart = (text: string) => `\n${text}`;
const unfinished = (text: string, count: number) =>
  text.replace(/kind: Network\w*["]?/, count % 2 ? "kind: NetworkP" : 'kind: NetworkP"');

/** Of 32 lines each with the line between them. */
const POLICIES_IN_2000_LINES = 63;

const full = measureFull();
const all = makePolicyFiles(FULL);
const small = makePolicyFiles({ policies: POLICIES_IN_2000_LINES, hosts: 300 });
publish("read", {
  rounds: ROUNDS,
  keystrokes: KEYSTROKES,
  full,
  keystrokeIn2000Lines: {
    inAName: measureKeystrokes(small, inName),
    aLineBeforeEverything: measureKeystrokes(small, newLineAtStart),
    ofAMistake: measureKeystrokes(small, unfinished),
  },
  keystrokeIn10000Documents: { inAName: measureKeystrokes(all, inName) },
});
