/**
 * From `npm start` (set-up done before) to a page that can be used: the console in Chromium shows this machine as heard
 * from. The agent is started by it, as on a person's machine, on a cgroup subtree of its own.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { KernelLab, kernelLabProblem } from "@wardline/helper/testing/kernelLab";
import { chromium } from "playwright";
import { publish } from "./lib/publish.ts";
import { rounded, summarize } from "./lib/statistics.ts";

const RUNS = Number(process.env.WARDLINE_BENCH_RUNS ?? 5);
const CHROMIUM = "/usr/bin/chromium";
const root = fileURLToPath(new URL("../..", import.meta.url));

const problem = kernelLabProblem() ?? (existsSync(CHROMIUM) ? null : "needs Chromium");
if (problem !== null) {
  console.log(`start: left out, ${problem}`);
  process.exit(0);
}

/** The address, once it is printed. */
function addressOf(child: ChildProcess): Promise<string> {
  const { stdout } = child;
  if (!stdout) throw new Error("no output to read");
  return new Promise((resolve, reject) => {
    createInterface({ input: stdout }).on("line", (line) => {
      const found = /http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]+/.exec(line);
      if (found) resolve(found[0]);
    });
    child.once("exit", (code) => reject(new Error(`npm start ended with ${code}`)));
  });
}

async function measureOnce(): Promise<{ printedMs: number; usableMs: number }> {
  const lab = new KernelLab();
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  });
  const start = performance.now();
  const child = spawn(
    "npm",
    [
      ...["start", "--silent", "--", "--no-open"],
      ...["--state-dir", join(lab.directory, "console"), "--agent-socket", join(lab.directory, "agent.sock")],
      "--",
      ...["--state-dir", join(lab.directory, "agent"), "--bpffs-dir", lab.bpffsDir, "--cgroup-root", lab.cgroupRoot],
    ],
    { cwd: root, stdio: ["ignore", "pipe", "inherit"], detached: true },
  );
  try {
    const url = await addressOf(child);
    const printedMs = performance.now() - start;
    const page = await browser.newPage();
    await page.goto(url);
    await page.getByText(/hosts 1\/1/).waitFor();
    return { printedMs, usableMs: performance.now() - start };
  } finally {
    await browser.close();
    // npm and what it started are one process group, made by `detached`.
    if (child.pid) process.kill(-child.pid, "SIGINT");
    await new Promise<void>((resolve) => (child.exitCode === null ? child.once("exit", () => resolve()) : resolve()));
    await lab.close();
  }
}

const printed: number[] = [];
const usable: number[] = [];
for (let run = 0; run < RUNS; run++) {
  const { printedMs, usableMs } = await measureOnce();
  printed.push(printedMs);
  usable.push(usableMs);
}

publish("start", {
  what: "npm start to the printed address, and to a page that shows this machine as connected; ms.",
  method: `${RUNS} runs after set-up; Chromium is running already; the agent is started by it and loads its programs.`,
  addressPrintedMs: rounded(summarize(printed), 0),
  pageUsableMs: rounded(summarize(usable), 0),
});
