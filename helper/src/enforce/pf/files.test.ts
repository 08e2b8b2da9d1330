import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pfConfFile } from "./pfConfFile.ts";
import { EMPTY_RECORD, type PfRecord } from "./record.ts";
import { pfRecordFile } from "./recordFile.ts";
import { systemPfctl } from "./systemPfctl.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-pf-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe("/etc/pf.conf as a file", () => {
  it("keeps its mode, and leaves nothing else behind", () => {
    const path = join(directory, "pf.conf");
    writeFileSync(path, "old\n");
    chmodSync(path, 0o644);
    writeFileSync(`${path}.wardline-new`, "left by a crash");
    const file = pfConfFile(path);
    file.replace("new\n");
    expect(file.read()).toBe("new\n");
    expect(statSync(path).mode & 0o777).toBe(0o644);
    expect(readdirSync(directory)).toEqual(["pf.conf"]);
  });

  it("is told apart from one that is not there, and is never made", () => {
    const file = pfConfFile(join(directory, "missing.conf"));
    expect(file.read()).toBeNull();
    expect(() => file.replace("x")).toThrow("ENOENT");
    expect(() => pfConfFile(directory).read()).toThrow("EISDIR");
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe("the record as a file", () => {
  const record: PfRecord = {
    ...EMPTY_RECORD,
    token: "13971906727590307623",
    active: { generation: 3, digest: "ab".repeat(32), mode: "enforce", script: "pass all\n# é\u2028\n" },
    deadlineBootMs: 12.5,
  };

  it("comes back as it was written, private to the agent", () => {
    const path = join(directory, "pf.json");
    const file = pfRecordFile(path);
    expect(file.read()).toBeNull();
    file.write(record);
    expect(file.read()).toEqual(record);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    file.clear();
    file.clear();
    expect(existsSync(path)).toBe(false);
  });

  it.each([
    ["a changed byte", (text: string) => text.replace('"generation":3', '"generation":4')],
    ["a cut end", (text: string) => text.slice(0, -10)],
    ["nothing", () => ""],
  ])("is refused with %s", (_what, spoil) => {
    const path = join(directory, "pf.json");
    pfRecordFile(path).write(record);
    writeFileSync(path, spoil(readFileSync(path, "utf8")));
    expect(() => pfRecordFile(path).read()).toThrow("damaged");
  });
});

describe("the program that is started", () => {
  const script = (body: string): string => {
    const path = join(directory, "pfctl");
    writeFileSync(path, `#!${process.execPath}\n${body}\n`, { mode: 0o755 });
    return path;
  };

  it("gets its arguments as they are, its input, and nothing of the environment", () => {
    const path = script(`
      const input = require("node:fs").readFileSync(0, "utf8");
      process.stdout.write(JSON.stringify({ args: process.argv.slice(2), input, env: Object.keys(process.env) }));
      process.stderr.write("words");
      process.exitCode = 3;`);
    const odd = ["-a", "$(reboot)", "; rm -rf /", "a b", "'\"", "*"];
    const result = systemPfctl(path).run(odd, "line 1\nline 2\n");
    expect(result).toMatchObject({ exitCode: 3, stderr: "words", problem: null });
    const seen = JSON.parse(result.stdout) as { args: string[]; input: string; env: string[] };
    expect([seen.args, seen.input]).toEqual([odd, "line 1\nline 2\n"]);
    expect(seen.env).not.toContain("PATH");
  });

  it("may end without reading its input, and say more than fits a pipe", () => {
    const path = script(`process.stdout.write("x".repeat(3_000_000));`);
    const result = systemPfctl(path).run([], "y".repeat(3_000_000));
    expect([result.exitCode, result.stdout.length, result.problem]).toEqual([0, 3_000_000, null]);
  });

  it("is said to be missing, not to be run, or too slow", () => {
    const missing = join(directory, "none");
    expect(systemPfctl(missing).run([])).toMatchObject({ exitCode: null, problem: `${missing} does not exist` });
    const path = script("");
    chmodSync(path, 0o600);
    expect(systemPfctl(path).run([]).problem).toBe(`${path} may not be run`);
    expect(systemPfctl(script("setInterval(() => {}, 1000);"), 100).run([])).toMatchObject({ exitCode: null });
  });
});
