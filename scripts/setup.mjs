// Makes a fresh clone ready: `node scripts/setup.mjs start|demo|test|bench`. Runs before `npm start`, `npm run demo`,
// `npm test` and `npm run bench`.
//
// Plain JavaScript for Node 20 without a single package: this is what installs them. A step whose inputs have not changed
// is skipped. Whatever cannot be done is named, with the command that does it and with what works without it.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildAgent, buildBpf, buildPrograms, buildRenderer } from "./setup/builds.mjs";
import { Stamps } from "./setup/fingerprint.mjs";
import { findNode, WANTED_MAJOR } from "./setup/node.mjs";
import { installNpmPackages } from "./setup/npm-packages.mjs";
import { Report } from "./setup/report.mjs";
import { installSystemPackages } from "./setup/system-packages.mjs";

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
const LOCK_WAIT_MS = 15 * 60_000;

const mode = process.argv[2];
if (!["start", "demo", "test", "bench"].includes(mode)) {
  console.error("usage: node scripts/setup.mjs start|demo|test|bench");
  process.exit(2);
}
if (Number(process.versions.node.split(".")[0]) < 20) {
  console.error(`Node 20 or newer is needed to set up; this is ${process.version}.`);
  process.exit(1);
}

const releaseLock = await takeLock();
try {
  const report = new Report(`Setting up for npm ${mode === "bench" || mode === "demo" ? `run ${mode}` : mode}`);
  const stamps = new Stamps(root);
  await installSystemPackages(root, mode, report);
  await installNpmPackages(root, report);
  await buildBpf(root, report, stamps);
  if (!report.fatal) {
    const node = findNode(root);
    if (node.path === null) {
      report.problem({
        what: `Node ${WANTED_MAJOR} (${node.reason})`,
        consequence: "nothing can be started.",
        command: `install Node ${WANTED_MAJOR} and set WARDLINE_NODE to its path`,
        fatal: true,
      });
    } else {
      await buildRenderer(root, node.path, report, stamps);
      await buildPrograms(root, node.path, report, stamps);
      if (mode !== "start" && mode !== "demo") await buildAgent(root, report, stamps);
    }
  }
  report.finish();
  process.exitCode = report.fatal ? 1 : 0;
} finally {
  releaseLock();
}

/** One set-up at a time: two `npm ci` in one folder destroy each other's work. */
async function takeLock() {
  const dir = join(root, ".cache", "setup.lock");
  mkdirSync(join(root, ".cache"), { recursive: true });
  const startedAt = Date.now();
  let told = false;
  for (;;) {
    try {
      mkdirSync(dir);
      writeFileSync(join(dir, "pid"), String(process.pid));
      return () => rmSync(dir, { recursive: true, force: true });
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const holder = lockHolder(dir);
    if (holder === null) {
      rmSync(dir, { recursive: true, force: true });
      continue;
    }
    if (!told) console.log(`Another set-up (process ${holder}) is running here; waiting for it.`);
    told = true;
    if (Date.now() - startedAt > LOCK_WAIT_MS) {
      console.error(`Set-up of process ${holder} did not end. When it is not a set-up, remove ${dir}.`);
      process.exit(1);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Process id of a living holder; null when the one that made the lock is gone. */
function lockHolder(dir) {
  let pid = Number.NaN;
  for (let attempt = 0; attempt < 3 && Number.isNaN(pid); attempt++) {
    try {
      pid = Number.parseInt(readFileSync(join(dir, "pid"), "utf8"), 10);
    } catch {
      // Between mkdir and write, or just released.
    }
    if (Number.isNaN(pid)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  }
  if (Number.isNaN(pid)) return null;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    return error.code === "EPERM" ? pid : null;
  }
}
