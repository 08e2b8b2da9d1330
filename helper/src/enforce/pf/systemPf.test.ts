import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { chooseBackend } from "../../agent/backend.ts";
import { systemClock } from "../../agent/clock.ts";
import { readCommandLine, systemSurroundings } from "../../agent/options.ts";
import { FakePfctl } from "../../testing/fakePfctl.ts";
import { createSystemPfEnforcer, type PfSurroundings, probePf } from "./systemPf.ts";

const mac = (more: Partial<PfSurroundings> = {}): PfSurroundings => ({
  platform: "darwin",
  isRoot: true,
  commands: new FakePfctl(),
  ...more,
});

describe("whether pf can be used", () => {
  it("is asked of pf and changes nothing", () => {
    const commands = new FakePfctl();
    expect(probePf(mac({ commands }))).toEqual({
      isUsable: true,
      reason: 'pf takes the anchor "wardline".',
      capabilities: [
        { name: "macos", available: true, detail: "macOS" },
        { name: "root", available: true, detail: "runs as root" },
        { name: "pf", available: true, detail: "answers, and is turned off" },
      ],
    });
    expect(commands.calls).toEqual([["-s", "info"]]);
  });

  it.each([
    [mac({ platform: "linux" }), "pf cannot be used (macos): pf needs macOS; this is linux."],
    [mac({ isRoot: false }), "pf cannot be used (root): the agent does not run as root."],
    [
      mac({ commands: Object.assign(new FakePfctl(), { isInstalled: false }) }),
      "pf cannot be used (pf): pf did not tell its status: /sbin/pfctl does not exist.",
    ],
    [
      mac({ commands: Object.assign(new FakePfctl(), { isRoot: false }) }),
      "pf cannot be used (pf): pf did not tell its status: /dev/pf: Permission denied.",
    ],
  ])("says what is missing (%#)", (surroundings, reason) => {
    const probe = probePf(surroundings);
    expect([probe.isUsable, probe.reason]).toEqual([false, reason]);
    expect(probe.capabilities.at(-1)?.available).toBe(false);
  });

  it.skipIf(process.platform === "darwin")("is a reason not to start where it was asked for by name", async () => {
    const line = readCommandLine(["run", "--backend", "pf"], systemSurroundings());
    if (line.kind !== "run") throw new Error(line.kind);
    await expect(chooseBackend(line.options, systemClock)).rejects.toThrow("pf needs macOS");
  });

  it.skipIf(process.platform === "darwin")("is answered by the real program, which is not here", async () => {
    await expect(createSystemPfEnforcer({ stateDir: tmpdir(), bootMs: () => 0 }).open()).rejects.toThrow(
      "/sbin/pfctl does not exist",
    );
  });
});
