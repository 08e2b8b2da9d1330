/** pf as a Mac has it: whether it can be used here, and the enforcer over the real pfctl and files. */
import { join } from "node:path";
import type { ProbedCapability } from "../enforcer.ts";
import { reasonOf } from "./attachment.ts";
import type { PfCommands } from "./commands.ts";
import { pfConfFile } from "./pfConfFile.ts";
import { Pfctl } from "./pfctl.ts";
import { createPfEnforcer, type PfEnforcer } from "./pfEnforcer.ts";
import { pfRecordFile } from "./recordFile.ts";
import { systemPfctl } from "./systemPfctl.ts";

export interface PfSurroundings {
  readonly platform: NodeJS.Platform;
  readonly isRoot: boolean;
  readonly commands: PfCommands;
}

export interface PfProbe {
  readonly isUsable: boolean;
  /** A sentence. */
  readonly reason: string;
  readonly capabilities: readonly ProbedCapability[];
}

export const pfSurroundings = (): PfSurroundings => ({
  platform: process.platform,
  isRoot: process.geteuid?.() === 0,
  commands: systemPfctl(),
});

/** Changes nothing. Stops at the first thing that is missing, since what follows would fail for the same reason. */
export function probePf({ platform, isRoot, commands }: PfSurroundings): PfProbe {
  const checks: readonly (readonly [name: string, check: () => string])[] = [
    ["macos", () => (platform === "darwin" ? "macOS" : fail(`pf needs macOS; this is ${platform}`))],
    ["root", () => (isRoot ? "runs as root" : fail("the agent does not run as root"))],
    ["pf", () => (new Pfctl(commands).isEnabled() ? "answers, and is turned on" : "answers, and is turned off")],
  ];
  const capabilities: ProbedCapability[] = [];
  for (const [name, check] of checks) {
    try {
      capabilities.push({ name, available: true, detail: check() });
    } catch (error) {
      const detail = reasonOf(error).replace(/\.$/, "");
      capabilities.push({ name, available: false, detail });
      return { isUsable: false, reason: `pf cannot be used (${name}): ${detail}.`, capabilities };
    }
  }
  return { isUsable: true, reason: 'pf takes the anchor "wardline".', capabilities };
}

function fail(why: string): never {
  throw new Error(why);
}

export interface SystemPfOptions {
  /** The agent's state directory; the record is `pf.json` in it. */
  readonly stateDir: string;
  readonly bootMs: () => number;
}

export function createSystemPfEnforcer({ stateDir, bootMs }: SystemPfOptions): PfEnforcer {
  return createPfEnforcer({
    commands: systemPfctl(),
    confFile: pfConfFile(),
    store: pfRecordFile(join(stateDir, "pf.json")),
    bootMs,
  });
}
