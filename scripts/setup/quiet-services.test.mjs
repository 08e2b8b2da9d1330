import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { withoutStartingServices } from "./quiet-services.mjs";

let directory;
let policyPath;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-quiet-"));
  policyPath = join(directory, "policy-rc.d");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** As invoke-rc.d asks it: 101 is no. */
const mayStart = (service) => spawnSync(policyPath, [service, "start"]).status !== 101;

it("refuses the start of services while packages are installed, and only then", async () => {
  const answer = await withoutStartingServices(async () => [mayStart("etcd"), mayStart("prometheus")], policyPath);
  expect(answer).toEqual([false, false]);
  expect(existsSync(policyPath)).toBe(false);
});

it("allows it again when the installation fails", async () => {
  const failed = withoutStartingServices(() => Promise.reject(new Error("no network")), policyPath);
  await expect(failed).rejects.toThrow("no network");
  expect(existsSync(policyPath)).toBe(false);
});

it("takes away what a killed set-up left, and nothing of anybody else", async () => {
  let ours = "";
  await withoutStartingServices(async () => {
    ours = readFileSync(policyPath, "utf8");
  }, policyPath);
  writeFileSync(policyPath, ours);
  await withoutStartingServices(async () => {}, policyPath);
  expect(existsSync(policyPath)).toBe(false);
  writeFileSync(policyPath, "#!/bin/sh\nexit 0\n");
  await withoutStartingServices(async () => {}, policyPath);
  expect(readFileSync(policyPath, "utf8")).toBe("#!/bin/sh\nexit 0\n");
});
