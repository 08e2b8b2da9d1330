// Brings node_modules to what package-lock.json says, with `npm ci --ignore-scripts`.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { runLogged } from "./run.mjs";

/** Packages without which nothing at all can be started. */
const ESSENTIAL = ["typescript", "vite", "vitest", "commander", "@connectrpc/connect-node", "better-sqlite3"];

export async function installNpmPackages(root, report) {
  const reason = whyOutdated(root);
  if (reason === null) return;
  const startedAt = performance.now();
  report.begin(`npm packages: ${reason}; npm ci takes about a minute`);
  const npm = npmCommand();
  const logPath = join(root, ".cache", "setup", "npm-ci.log");
  const args = [...npm.args, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const result = await runLogged({
    command: npm.command,
    args: [...args, "--fetch-retry-mintimeout=2000", "--fetch-retry-maxtimeout=10000"],
    cwd: root,
    env: npmEnvironment(),
    logPath,
    label: "installing npm packages",
  });
  const left = result.ok ? whyOutdated(root) : null;
  if (result.ok && left === null) {
    report.step("done", "npm packages installed from package-lock.json", startedAt);
    return;
  }
  report.step("failed", `npm packages: ${left ?? result.reason}; log: ${logPath}`, startedAt);
  report.detail(result.tail);
  const usable = ESSENTIAL.every((name) => existsSync(join(root, "node_modules", name)));
  report.problem({
    what: "the npm packages of package-lock.json",
    consequence: usable
      ? "the packages of an earlier installation are used, which may not fit this version."
      : "nothing can be started.",
    command: `cd ${root} && npm ci --ignore-scripts`,
    fatal: !usable,
  });
}

/**
 * Compares the lock file with the record that npm keeps of what it installed. Returns why they differ, or null.
 * This is exact without a stamp of our own, so an installation made by hand counts too.
 */
export function whyOutdated(root) {
  const wanted = readPackages(join(root, "package-lock.json"));
  if (wanted === null) return "package-lock.json cannot be read";
  const installed = readPackages(join(root, "node_modules", ".package-lock.json"));
  if (installed === null) return "not installed yet";
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "" || entry.link || !path.startsWith("node_modules/")) continue;
    const found = installed[path];
    if (found === undefined) {
      if (entry.optional || entry.devOptional || entry.peer) continue;
      return `${nameOf(path)} is missing`;
    }
    if (found.version !== entry.version) return `${nameOf(path)} is ${found.version}, ${entry.version} is wanted`;
  }
  const platform = platformNodePackage();
  if (wanted[`node_modules/${platform}`] && !existsSync(join(root, "node_modules", platform, "bin", "node"))) {
    return `${platform} is missing`;
  }
  return null;
}

export function platformNodePackage() {
  return `node-${process.platform}-${process.arch}`;
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages ?? null;
  } catch {
    return null;
  }
}

function nameOf(path) {
  return path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
}

/**
 * The npm that runs this script, on the Node that runs that npm: `node` in the PATH of an npm script may be the one in
 * node_modules, which `npm ci` is about to delete.
 */
function npmCommand() {
  const { npm_execpath: script, npm_node_execpath: node } = process.env;
  if (script && /\.c?js$/.test(script) && existsSync(script))
    return { command: node || process.execPath, args: [script] };
  const beside = join(dirname(process.execPath), "npm");
  return { command: existsSync(beside) ? beside : "npm", args: [] };
}

/** Without what the outer npm tells its scripts (its own command, flags, working folder); registry settings stay. */
function npmEnvironment() {
  const kept = /^npm_config_(registry|ca|cafile|cache|userconfig|globalconfig|proxy|https_proxy|noproxy|offline)$/i;
  const entries = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name) || kept.test(name));
  return Object.fromEntries(entries.filter(([name]) => name !== "INIT_CWD" && name !== "NODE_OPTIONS"));
}
