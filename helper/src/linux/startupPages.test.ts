import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { libbpfProblem } from "./bpf/libbpf.ts";

const MODULE = fileURLToPath(new URL("./bpf/startupPages.ts", import.meta.url));
const SCRIPT = `
  import { readFileSync } from "node:fs";
  import { releaseStartupPages } from ${JSON.stringify(MODULE)};
  const fileKb = () => Number(/RssFile:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
  const before = fileKb();
  const released = releaseStartupPages();
  const after = fileKb();
  // Everything that was given back can still be run and read.
  const works = JSON.parse(JSON.stringify({ text: "größe".normalize("NFD").toUpperCase(), date: new Intl.DateTimeFormat("de").format(0) }));
  console.log(JSON.stringify({ before, released, after, works }));
`;
const problem = process.platform === "linux" ? libbpfProblem() : "needs Linux";

describe.skipIf(problem !== null)(`the pages of the start${problem === null ? "" : ` (${problem})`}`, () => {
  it("are given back, and the program goes on", () => {
    const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", SCRIPT];
    const report = JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" }));
    expect(report.released).toBeGreaterThan(10_000_000);
    expect(report.after).toBeLessThan(report.before * 0.6);
    expect(report.works).toEqual({ text: "GRÖSSE".normalize("NFD"), date: "1.1.1970" });
  });
});
