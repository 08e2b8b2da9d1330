import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import { freePort, standStill } from "./index.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

describe("a free port", () => {
  it("is given to one asker only, whatever is drawn, and is free to listen on", async () => {
    const first = await freePort();
    const drawn = (first - 12_000 + 0.5) / 20_000;
    vi.spyOn(Math, "random").mockReturnValueOnce(drawn).mockReturnValueOnce(drawn);
    const second = await freePort();
    expect(second).not.toBe(first);
    for (const port of [first, second]) {
      const server = createServer().listen(port, "127.0.0.1");
      await once(server, "listening");
      server.close();
    }
  });

  it("is none that somebody listens on", async () => {
    const taken = await freePort("::1");
    const server = createServer().listen(taken, "127.0.0.1");
    await once(server, "listening");
    vi.spyOn(Math, "random").mockReturnValueOnce((taken - 12_000 + 0.5) / 20_000);
    expect(await freePort()).not.toBe(taken);
    server.close();
  });
});

describe.skipIf(process.platform !== "linux")("a process that stands still (needs /proc)", () => {
  it("says nothing more, and goes on when it is told", async () => {
    const child = spawn("sh", ["-c", "while :; do echo; done"], { stdio: ["ignore", "pipe", "ignore"] });
    let lines = 0;
    child.stdout.on("data", () => lines++);
    try {
      await once(child.stdout, "data");
      await standStill(child.pid ?? 0);
      // What it had said before is read first.
      for (let before = -1; before !== lines; ) {
        before = lines;
        await setTimeout(200);
      }
      child.kill("SIGCONT");
      await once(child.stdout, "data");
    } finally {
      child.kill("SIGKILL");
    }
    await expect(standStill(0)).rejects.toThrow("does not run");
  });
});
