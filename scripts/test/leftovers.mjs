// Removes what killed runs of the tests left on this machine: labs put the number of their process into the names of what
// they make (`wl<pid>-…`, see helper/src/testing), so that what belongs to nobody can be told from what is in use.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const NAMESPACES = "/run/netns";
const NAME = /^(?:wl|wlnf|wl-run-|wardline-lab-)(\d+)-/;
const END_TRIES = 200;

/** Removes namespaces, control groups, file systems and directories of processes that are gone. @returns their names */
export function removeLeftovers() {
  if (process.platform !== "linux" || process.geteuid() !== 0) return [];
  const groups = findCgroup2();
  return [
    ...removeEach(groups, removeCgroup),
    ...removeEach(NAMESPACES, (_path, name) => void spawnSync("ip", ["netns", "del", name])),
    ...removeEach(tmpdir(), removeDirectory),
  ];
}

/** Whose process is gone; null when it is alive, or when nobody's number is in the name. */
export function deadOwner(name) {
  const pid = NAME.exec(name)?.[1];
  return pid === undefined || existsSync(`/proc/${pid}`) ? null : Number(pid);
}

function removeEach(parent, remove) {
  if (parent === null || !existsSync(parent)) return [];
  const removed = [];
  for (const name of readdirSync(parent)) {
    if (deadOwner(name) === null) continue;
    const path = join(parent, name);
    try {
      remove(path, name);
    } catch (error) {
      console.error(`${path} could not be removed: ${error.message}`);
    }
    if (!existsSync(path)) removed.push(path);
  }
  return removed;
}

/** Ends the processes of the subtree, all of which a lab started, and removes it. */
function removeCgroup(path) {
  writeFileSync(join(path, "cgroup.kill"), "1");
  const isPopulated = () => readFileSync(join(path, "cgroup.events"), "utf8").includes("populated 1");
  for (let tries = 0; isPopulated() && tries < END_TRIES; tries++) pause(10);
  const removeTree = (directory) => {
    for (const entry of readdirSync(directory, { withFileTypes: true }))
      if (entry.isDirectory()) removeTree(join(directory, entry.name));
    rmdirSync(directory);
  };
  removeTree(path);
}

function removeDirectory(path) {
  for (const pid of processesNaming(`${path}/`)) endProcess(pid);
  for (const point of mountPoints().filter((each) => each.startsWith(`${path}/`))) spawnSync("umount", [point]);
  // What is still mounted there is not ours to delete.
  if (mountPoints().some((each) => each.startsWith(`${path}/`))) throw new Error("something is mounted in it");
  rmSync(path, { recursive: true, force: true });
}

/** Agents and consoles of a lab have its directory in their arguments. */
function processesNaming(prefix) {
  return readdirSync("/proc").filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        readFileSync(`/proc/${pid}/cmdline`, "utf8")
          .split("\0")
          .some((each) => each.startsWith(prefix))
      );
    } catch {
      return false;
    }
  });
}

function endProcess(pid) {
  try {
    process.kill(Number(pid), "SIGKILL");
  } catch {
    // It has ended by itself.
  }
  for (let tries = 0; existsSync(`/proc/${pid}`) && tries < END_TRIES; tries++) pause(10);
}

function mountPoints() {
  const lines = readFileSync("/proc/self/mounts", "utf8").trimEnd().split("\n");
  return lines.map((line) => line.split(" ")[1]).toSorted((left, right) => right.length - left.length);
}

function findCgroup2() {
  const lines = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "));
  return lines.find(([, , type]) => type === "cgroup2")?.[1] ?? null;
}

function pause(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
