// What is built on this machine: the BPF objects and the console's bundle. Each is skipped while its inputs are the same.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fingerprint } from "./fingerprint.mjs";
import { runLogged } from "./run.mjs";
import { findProgram } from "./system-packages.mjs";

const BPF_OBJECT = "bpf/build/wardline.bpf.o";

export async function buildBpf(root, report, stamps) {
  if (process.platform !== "linux" || !existsSync(join(root, "bpf", "Makefile"))) return;
  const digest = fingerprint(root, ["bpf"]);
  if (stamps.read("bpf") === digest && existsSync(join(root, BPF_OBJECT))) return;
  const make = findProgram(["make"]);
  // Named as missing by the system packages step.
  if (make === null || findProgram(["clang"]) === null) return;
  const startedAt = performance.now();
  stamps.remove("bpf");
  const logPath = join(root, ".cache", "setup", "bpf.log");
  const result = await runLogged({
    command: make,
    args: ["-C", "bpf"],
    cwd: root,
    logPath,
    label: "building BPF programs",
  });
  if (result.ok) {
    stamps.write("bpf", digest);
    report.step("done", "BPF programs built", startedAt);
    return;
  }
  report.step("failed", `BPF programs: ${result.reason}; log: ${logPath}`, startedAt);
  report.detail(result.tail);
  report.problem({
    what: "the BPF programs",
    consequence: "the agent only observes; tests of the kernel part fail.",
    command: `make -C ${join(root, "bpf")}`,
  });
}

/** @param node Path of the project's Node 26. */
export async function buildRenderer(root, node, report, stamps) {
  if (!existsSync(join(root, "renderer", "vite.config.ts"))) return;
  const inputs = ["renderer", "domain/src", "domain/package.json", "api/gen", "api/package.json", "package-lock.json"];
  const digest = fingerprint(root, inputs);
  if (stamps.read("renderer") === digest && existsSync(join(root, "renderer", "dist", "index.html"))) return;
  const startedAt = performance.now();
  stamps.remove("renderer");
  const logPath = join(root, ".cache", "setup", "renderer.log");
  const result = await runLogged({
    command: node,
    args: [join(root, "node_modules", "vite", "bin", "vite.js"), "build", "renderer"],
    cwd: root,
    logPath,
    label: "building the console",
  });
  if (result.ok) {
    stamps.write("renderer", digest);
    report.step("done", "console bundle built", startedAt);
    return;
  }
  report.step("failed", `console bundle: ${result.reason}; log: ${logPath}`, startedAt);
  report.detail(result.tail);
  report.problem({
    what: "the console's bundle in renderer/dist",
    consequence: "the console has no pages to show; the command line works.",
    command: `cd ${root} && node_modules/.bin/vite build renderer`,
  });
}
