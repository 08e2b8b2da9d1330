/** Writes a result with the machine it was measured on, so that a figure never stands alone. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const RESULTS_DIR = process.env.WARDLINE_BENCH_RESULTS ?? fileURLToPath(new URL("../../results", import.meta.url));

function operatingSystem(): string {
  try {
    const line = readFileSync("/etc/os-release", "utf8")
      .split("\n")
      .find((text) => text.startsWith("PRETTY_NAME="));
    return line?.slice("PRETTY_NAME=".length).replaceAll('"', "") ?? process.platform;
  } catch {
    return process.platform;
  }
}

export function describeMachine(): Record<string, string | number> {
  const processors = cpus();
  return {
    operatingSystem: operatingSystem(),
    kernel: release(),
    processor: processors[0]?.model.trim() ?? "unknown",
    processorCount: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
}

/** What was published under this name before, without a look at its shape; `null` = nothing was. */
export function published(name: string): object | null {
  const path = join(RESULTS_DIR, `${name}.json`);
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as object) : null;
}

/** `result` is written to bench/results/NAME.json and printed. */
export function publish(name: string, result: object): void {
  mkdirSync(RESULTS_DIR, { recursive: true });
  const document = { name, measuredAt: new Date().toISOString(), machine: describeMachine(), ...result };
  const path = join(RESULTS_DIR, `${name}.json`);
  writeFileSync(path, `${JSON.stringify(document, null, 2)}\n`);
  console.log(`${path}\n${JSON.stringify(result, null, 2)}`);
}
