/** Removes everything that a fleet made on this machine, whatever is left of it. Running it twice does no harm. */
import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { consoleInterface, fleetCgroup, namespacePrefix } from "./names.ts";
import { mustRun, runToEnd } from "./run-program.ts";

const END_LIMIT_MS = 15_000;
const NAMESPACES = "/run/netns";

export async function tearDown(slot: number): Promise<void> {
  await removeCgroup(fleetCgroup(slot));
  await runToEnd("ip", ["link", "del", consoleInterface(slot)]);
  const names = existsSync(NAMESPACES) ? readdirSync(NAMESPACES) : [];
  for (const name of names.filter((each) => each.startsWith(namespacePrefix(slot)))) {
    await mustRun("ip", ["netns", "del", name]);
  }
}

/** Ends every process in the subtree, which holds what the fleet started and nothing else, and removes it. */
export async function removeCgroup(directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  writeFileSync(join(directory, "cgroup.kill"), "1");
  const startedAtMs = performance.now();
  while (isPopulated(directory)) {
    if (performance.now() - startedAtMs > END_LIMIT_MS) throw new Error(`processes in ${directory} do not end`);
    await setTimeout(5);
  }
  await removeTree(directory);
}

function isPopulated(directory: string): boolean {
  return readFileSync(join(directory, "cgroup.events"), "utf8").includes("populated 1");
}

async function removeTree(directory: string): Promise<void> {
  for (const entry of readdirSync(directory, { withFileTypes: true }))
    if (entry.isDirectory()) await removeTree(join(directory, entry.name));
  for (let waitedMs = 0; ; waitedMs += 5) {
    try {
      rmdirSync(directory);
      return;
    } catch (error) {
      // A process that has ended may be in the group for a moment longer.
      if (!(error instanceof Error && "code" in error && error.code === "EBUSY") || waitedMs > END_LIMIT_MS)
        throw error;
      await setTimeout(5);
    }
  }
}
