// What is built on this machine: the BPF objects and the console's bundle. Each is skipped while its inputs are the same.
import { existsSync, utimesSync } from "node:fs";
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
  await buildOnce(root, report, stamps, {
    name: "renderer",
    inputs: ["renderer", "domain/src", "domain/package.json", "api/gen", "api/package.json", "package-lock.json"],
    output: "renderer/dist/index.html",
    command: node,
    args: [join(root, "node_modules", "vite", "bin", "vite.js"), "build", "renderer"],
    what: "console bundle",
    consequence: "the console has no pages to show; the command line works.",
    byHand: "node_modules/.bin/vite build renderer",
  });
}

/** The agent as a single executable: only tests and benchmarks use it here, hosts get it. */
export async function buildAgent(root, report, stamps) {
  if (!existsSync(join(root, BPF_OBJECT))) return;
  await buildOnce(root, report, stamps, {
    name: "agent",
    inputs: ["helper", "bpf", "domain/src", "api/gen", "package-lock.json", "scripts/build-agent.mjs"],
    output: "dist/wardline-agent",
    command: process.execPath,
    args: [join(root, "scripts", "build-agent.mjs")],
    what: "agent executable",
    consequence: "its tests are skipped; the agent runs from source.",
    byHand: "npm run build:agent",
  });
}

/** The command line and the agent as bundles: they start in a third of the time (`bin/wardline` says when they count). */
export async function buildPrograms(root, node, report, stamps) {
  const script = join(root, "scripts", "build-programs.mjs");
  const built = ".cache/programs/built";
  const startedAt = new Date();
  const isBuilt = await buildOnce(root, report, stamps, {
    name: "programs",
    inputs: ["main", "helper", "domain", "api/gen", "package-lock.json", "scripts/build-programs.mjs"],
    output: built,
    command: node,
    args: [script],
    what: "command line",
    consequence: "it runs from source and starts slower.",
    byHand: "node scripts/build-programs.mjs",
  });
  // Files of the same content that were written anew (a checkout, a touch) are not newer than the bundles.
  if (isBuilt) utimesSync(join(root, built), startedAt, startedAt);
}

/** @returns whether the output is that of these inputs */
async function buildOnce(root, report, stamps, build) {
  const digest = fingerprint(root, build.inputs);
  if (stamps.read(build.name) === digest && existsSync(join(root, build.output))) return true;
  const startedAt = performance.now();
  stamps.remove(build.name);
  const logPath = join(root, ".cache", "setup", `${build.name}.log`);
  const { command, args } = build;
  const result = await runLogged({ command, args, cwd: root, logPath, label: `building the ${build.what}` });
  if (result.ok) {
    stamps.write(build.name, digest);
    report.step("done", `${build.what} built`, startedAt);
    return true;
  }
  report.step("failed", `${build.what}: ${result.reason}; log: ${logPath}`, startedAt);
  report.detail(result.tail);
  report.problem({
    what: `the ${build.what} (${build.output})`,
    consequence: build.consequence,
    command: `cd ${root} && ${build.byHand}`,
  });
  return false;
}
