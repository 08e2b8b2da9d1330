import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { lastOf, loadUnit, readAssignments, splitCommand, timeSpanMs, wordsOf } from "./unit-file.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-units-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(join(directory, path, ".."), { recursive: true });
  writeFileSync(join(directory, path), text);
}

it("reads sections, comments, continued lines and lists that are emptied", () => {
  const settings = new Map<string, string[]>();
  readAssignments("[Unit]\nA=1\n# B=2\n[Service]\nExecStart=one \\\n  two\nA=x\nA=\nA=y\nA=z\n", settings);
  expect(Object.fromEntries(settings)).toEqual({
    "Unit.A": ["1"],
    "Service.ExecStart": ["one    two"],
    "Service.A": ["y", "z"],
  });
});

it("takes the first directory's unit and drop-ins of all of them, by name", () => {
  write("etc/a.service", "[Service]\nExecStart=/etc\n");
  write("usr/a.service", "[Service]\nExecStart=/usr\n");
  write("usr/a.service.d/10.conf", "[Service]\nExecStart=\nExecStart=/ten\nRestart=no\n");
  write("etc/a.service.d/20.conf", "[Service]\nRestart=always\n");
  write("etc/a.service.d/10.conf", "[Service]\nExecStart=\nExecStart=/etc-ten\n");
  const unit = loadUnit("a.service", [join(directory, "etc"), join(directory, "usr")]);
  expect(unit?.settings.get("Service.ExecStart")).toEqual(["/etc-ten"]);
  expect(unit && lastOf(unit, "Service.Restart")).toBe("always");
  expect(unit?.dropIns.map((path) => path.slice(directory.length))).toEqual([
    "/etc/a.service.d/10.conf",
    "/etc/a.service.d/20.conf",
  ]);
  expect(loadUnit("b.service", [directory])).toBeNull();
});

it("splits command lines with quotes and reads time spans", () => {
  expect(splitCommand(`/bin/x "a b" 'c d' e`)).toEqual(["/bin/x", "a b", "c d", "e"]);
  write("a.service", '[Service]\nEnvironment="A=1 2" B=3\nEnvironment=C=4\n');
  const unit = loadUnit("a.service", [directory]);
  expect(unit && wordsOf(unit, "Service.Environment")).toEqual(["A=1 2", "B=3", "C=4"]);
  expect([timeSpanMs("1", 0), timeSpanMs("250ms", 0), timeSpanMs("1min 30s", 0), timeSpanMs(null, 7)]).toEqual([
    1000, 250, 90_000, 7,
  ]);
});
