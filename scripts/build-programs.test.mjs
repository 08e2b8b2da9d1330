import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";

const PROGRAM = fileURLToPath(new URL("../bin/wardline", import.meta.url));
let root;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "wardline-programs-"));
  for (const entry of ["main/src/cli/main.ts", "helper/src/main.ts"])
    write(entry, `console.log("source ${entry}")`, 100);
  for (const folder of ["domain/src", "api/gen"]) mkdirSync(join(root, folder), { recursive: true });
  write("package-lock.json", "{}", 100);
  mkdirSync(join(root, "bin"));
  copyFileSync(PROGRAM, join(root, "bin/wardline"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path, text, atSeconds) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  utimesSync(join(root, path), atSeconds, atSeconds);
}

function writeBundles(atSeconds) {
  for (const name of ["wardline", "agent"]) write(`.cache/programs/${name}.js`, `console.log("bundle ${name}")`, 100);
  write(".cache/programs/built", "", atSeconds);
}

function run(...args) {
  const env = { ...process.env, WARDLINE_NODE: process.execPath };
  return spawnSync("sh", [join(root, "bin/wardline"), ...args], { encoding: "utf8", env }).stdout.trim();
}

it("runs from source where nothing was bundled", () => {
  expect(run("policy")).toBe("source main/src/cli/main.ts");
  expect(run("agent", "run")).toBe("source helper/src/main.ts");
});

it("takes the bundles while no source is newer", () => {
  writeBundles(200);
  write("main/src/cli/main.test.ts", "", 300);
  expect([run("policy"), run("agent", "run"), run("agent", "status")]).toEqual([
    ...["bundle wardline", "bundle agent", "bundle wardline"],
  ]);
});

it.each(["main/src/a.ts", "helper/src/deep/b.ts", "domain/src/c.ts", "api/gen/d.js", "package-lock.json"])(
  "runs from source after a change of %s",
  (path) => {
    writeBundles(200);
    write(path, "", 300);
    expect([run("policy"), run("agent", "boot")]).toEqual(["source main/src/cli/main.ts", "source helper/src/main.ts"]);
  },
);
