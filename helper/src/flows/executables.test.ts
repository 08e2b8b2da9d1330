import { spawn } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Executables } from "./executables.ts";

const INITIAL = "pid:[4026531836]";
const SECOND_NS = 1_000_000_000n;

/** A /proc of our own: processes appear and go as a test says. */
class FakeProc {
  readonly directory = mkdtempSync(join(tmpdir(), "wardline-proc-"));

  constructor(namespace = INITIAL) {
    mkdirSync(join(this.directory, "self/ns"), { recursive: true });
    symlinkSync(namespace, join(this.directory, "self/ns/pid"));
  }

  /** `startedTicks` in hundredths of a second since boot. */
  start(pid: number, startedTicks: number, executable: string | null, name = "curl"): void {
    this.end(pid);
    const directory = join(this.directory, String(pid));
    mkdirSync(directory);
    const rest = `S 1 ${"0 ".repeat(17)}${startedTicks} 0 0`;
    writeFileSync(join(directory, "stat"), `${pid} (${name}) ${rest}`);
    if (executable !== null) symlinkSync(executable, join(directory, "exe"));
  }

  end(pid: number): void {
    rmSync(join(this.directory, String(pid)), { recursive: true, force: true });
  }

  close(): void {
    rmSync(this.directory, { recursive: true });
  }
}

describe("Executables", () => {
  let proc: FakeProc;
  let nowMs = 0;
  let programs: Executables;
  const curl = { pid: 7, userId: 0, command: "curl" };

  beforeEach(() => {
    proc = new FakeProc();
    nowMs = 0;
    programs = new Executables({ nowMs: () => nowMs, procDir: proc.directory });
  });
  afterEach(() => proc.close());

  it("names the program, also when the process's own name tries to break the line", () => {
    proc.start(7, 100, "/usr/bin/curl", "x) R 1 (");
    expect(programs.pathOf(curl, 2n * SECOND_NS)).toBe("/usr/bin/curl");
  });

  it("says nothing about a process that is younger than the event, gone, or a thread of the kernel", () => {
    proc.start(7, 300, "/usr/bin/other");
    expect(programs.pathOf(curl, 2n * SECOND_NS)).toBe("");
    // Its first packet, stamped by a clock that had not moved yet.
    expect(programs.pathOf(curl, 3n * SECOND_NS - 10_000_000n)).toBe("/usr/bin/other");
    proc.start(8, 1, null);
    expect(programs.pathOf({ ...curl, pid: 8 }, SECOND_NS)).toBe("");
    expect(programs.pathOf({ ...curl, pid: 9 }, SECOND_NS)).toBe("");
  });

  it("remembers a process for a while after it has gone, and never for its number's next owner", () => {
    proc.start(7, 100, "/usr/bin/curl");
    expect(programs.pathOf(curl, 2n * SECOND_NS)).toBe("/usr/bin/curl");
    proc.end(7);
    nowMs = 59_000;
    expect(programs.pathOf(curl, 3n * SECOND_NS)).toBe("/usr/bin/curl");
    expect(programs.pathOf({ ...curl, command: "wget" }, 3n * SECOND_NS)).toBe("");
    nowMs = 61_000;
    expect(programs.pathOf(curl, 4n * SECOND_NS)).toBe("");
    proc.start(7, 6_200, "/usr/bin/wget");
    expect(programs.pathOf(curl, 63n * SECOND_NS)).toBe("/usr/bin/wget");
  });

  it("looks again when a process has become another program", () => {
    proc.start(7, 100, "/bin/sh", "sh");
    expect(programs.pathOf({ ...curl, command: "sh" }, 2n * SECOND_NS)).toBe("/bin/sh");
    proc.start(7, 100, "/usr/bin/curl");
    expect(programs.pathOf(curl, 2n * SECOND_NS)).toBe("/usr/bin/curl");
  });

  it("bounds what one batch may ask and what a path may be", () => {
    for (let pid = 1_000; pid < 1_300; pid += 1) proc.start(pid, 100, "/usr/bin/curl");
    const ask = () => {
      programs.beginBatch();
      const pids = Array.from({ length: 300 }, (_, index) => 1_000 + index);
      return pids.filter((pid) => programs.pathOf({ ...curl, pid }, 2n * SECOND_NS) !== "").length;
    };
    expect([ask(), ask()]).toEqual([200, 300]);
    proc.start(7, 100, `/tmp/\u001b[31m${"a".repeat(2_000)}`);
    const path = programs.pathOf(curl, 2n * SECOND_NS);
    expect([path.slice(0, 10), path.length]).toEqual(["/tmp/?[31m", 1_025]);
  });

  it("asks nothing where /proc numbers processes differently than the kernel", () => {
    const inner = new FakeProc("pid:[4026532211]");
    inner.start(7, 100, "/usr/bin/curl");
    const blind = new Executables({ nowMs: () => 0, procDir: inner.directory });
    expect(blind.pathOf(curl, 2n * SECOND_NS)).toBe("");
    inner.close();
  });
});

describe.skipIf(process.platform !== "linux")("Executables on the real /proc (needs Linux)", () => {
  const bootNs = () => BigInt(Math.round(Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1e9));

  it("names a program, and says when its file was deleted", async () => {
    const directory = mkdtempSync(join(tmpdir(), "wardline-exe-"));
    const path = join(directory, "napper");
    copyFileSync(realpathSync("/bin/sleep"), path);
    const child = spawn(path, ["60"]);
    await new Promise((resolve) => child.once("spawn", resolve));
    const process_ = { pid: child.pid ?? 0, userId: 0, command: "napper" };
    const programs = new Executables({ nowMs: () => 0 });
    const later = bootNs() + SECOND_NS;
    expect(programs.pathOf(process_, later)).toBe(path);
    expect(programs.pathOf(process_, later - 60n * SECOND_NS)).toBe("");
    rmSync(path);
    expect(new Executables({ nowMs: () => 0 }).pathOf(process_, later)).toBe(`${path} (deleted)`);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill();
    await ended;
    rmSync(directory, { recursive: true });
  });
});
