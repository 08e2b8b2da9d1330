import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { libbpfProblem } from "./bpf/libbpf.ts";

const MODULE = fileURLToPath(new URL("./bpf/allocator.ts", import.meta.url));
// Backing stores are freed by another thread, some time after the collection.
const SCRIPT = `
  import { setTimeout as sleep } from "node:timers/promises";
  import { boundAllocator, trimAllocator } from ${JSON.stringify(MODULE)};
  boundAllocator();
  const resident = () => process.memoryUsage.rss();
  let buffers = [64, 256].flatMap((kib) => Array.from({ length: 40_960 / kib }, () => Buffer.allocUnsafeSlow(kib * 1024).fill(1)));
  // The last piece that is in use keeps the end of the heap where it is.
  const kept = Buffer.allocUnsafeSlow(64 * 1024).fill(2);
  const held = resident();
  buffers = [];
  let left = held;
  for (let tries = 0; tries < 600 && left > held - 60 * 1048576; tries++) {
    gc();
    await sleep(50);
    trimAllocator();
    left = resident();
  }
  console.log(JSON.stringify({ held, left, isWhole: kept.every((byte) => byte === 2) }));
`;
const problem = process.platform === "linux" ? libbpfProblem() : "needs Linux";

describe.skipIf(problem !== null)(`what the C library keeps${problem === null ? "" : ` (${problem})`}`, () => {
  it("goes back to the system once it is free", { timeout: 60_000 }, () => {
    const args = ["--disable-warning=ExperimentalWarning", "--expose-gc", "--input-type=module", "--eval", SCRIPT];
    const { held, left, isWhole } = JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" }));
    expect(isWhole).toBe(true);
    expect(left).toBeLessThan(held - 60 * 1024 * 1024);
  });
});
