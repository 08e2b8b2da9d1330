/**
 * What stands in for the internet in a fleet: an address of a network that is reserved for examples (RFC 5737), reached by all
 * hosts and described by no inventory, with somebody who answers every request and keeps nothing of it.
 */
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { ENTER_CGROUP } from "./machine-root.ts";
import { fleetCgroup, networkNamespace } from "./names.ts";
import { joinOutside } from "./network.ts";

export const OUTSIDE_ADDRESS = "203.0.113.9";
/** It answers on these, in plain HTTP. */
export const OUTSIDE_PORTS = [80, 443] as const;
const MAIN = fileURLToPath(new URL("./machine/outside-main.ts", import.meta.url));
const NODE = [process.execPath, "--disable-warning=ExperimentalWarning"] as const;

/** Resolves when it answers. It ends with the fleet's control group, and with this process. */
export async function startOutside(slot: number, hostCount: number): Promise<void> {
  await joinOutside(slot, hostCount, OUTSIDE_ADDRESS);
  const cgroup = join(fleetCgroup(slot), "outside");
  mkdirSync(cgroup);
  const line = ["nsenter", `--net=/run/netns/${networkNamespace(slot)}`, ...NODE, MAIN, OUTSIDE_ADDRESS];
  const ports = OUTSIDE_PORTS.map(String);
  const child = spawn("sh", ["-c", ENTER_CGROUP, "enter", cgroup, ...line, ...ports], {
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
  });
  await new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`what stands in for the outside ended with ${code}`)));
    createInterface({ input: child.stdout }).once("line", () => resolve());
  });
  child.unref();
}
