import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { deadOwner, removeLeftovers } from "./leftovers.mjs";

const gone = spawnSync(process.execPath, ["-e", "0"]).pid;

it("knows by their names whose labs are gone", () => {
  for (const name of [`wl${gone}-1-host`, `wlnf${gone}-2-peer`, `wl-run-${gone}-1`, `wardline-lab-${gone}-Ab3dEf`])
    expect(deadOwner(name), name).toBe(gone);
  for (const name of [`wl${process.pid}-1-host`, "wlf0-host-1", "wardline-lab-Ab3dEf", `eth${gone}-1`, `xwl${gone}-1`])
    expect(deadOwner(name), name).toBe(null);
});

it.skipIf(process.platform !== "linux" || process.geteuid() !== 0)(
  "ends the agents of a dead lab, removes what it made, and leaves the labs of the living alone (needs root)",
  async () => {
    const dead = join(tmpdir(), `wardline-lab-${gone}-leftover`);
    mkdirSync(join(dead, "run"), { recursive: true });
    const living = mkdtempSync(join(tmpdir(), `wardline-lab-${process.pid}-`));
    writeFileSync(join(living, "state"), "");
    const socket = ["--socket", join(dead, "run", "agent.sock")];
    const agent = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", "--", ...socket], { stdio: "ignore" });
    const ended = new Promise((resolve) => agent.once("exit", (_code, signal) => resolve(signal)));
    try {
      expect(removeLeftovers()).toContain(dead);
      expect(await ended).toBe("SIGKILL");
      expect(existsSync(dead)).toBe(false);
      expect(existsSync(join(living, "state"))).toBe(true);
    } finally {
      agent.kill("SIGKILL");
      rmSync(living, { recursive: true, force: true });
      rmSync(dead, { recursive: true, force: true });
    }
  },
);
