import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { findChromium, obstacleToWindow, openBrowser } from "./open-browser.ts";

const url = "http://127.0.0.1:1234/?token=secret-token";
let directory: string;
let environment: NodeJS.ProcessEnv;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-open-"));
  mkdirSync(join(directory, "bin"));
  environment = { PATH: join(directory, "bin"), DISPLAY: ":99" };
});
afterEach(() => rmSync(directory, { recursive: true }));

function installChromium(script: string): string {
  const path = join(directory, "bin", "chromium");
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

it("opens a window of its own without showing the token to other users of this machine", async () => {
  const argumentsPath = join(directory, "arguments");
  installChromium(
    `for argument in "$@"; do echo "$argument"; done > ${argumentsPath}.partial; /bin/mv ${argumentsPath}.partial ${argumentsPath}`,
  );
  const result = await openBrowser({ url, stateDir: directory, environment, userId: 1000 });
  expect(result).toEqual({ opened: true });
  await expect.poll(() => existsSync(argumentsPath)).toBe(true);
  const given = readFileSync(argumentsPath, "utf8").trim().split("\n");
  expect(given.join(" ")).not.toContain("secret-token");
  expect(given).toContain(`--user-data-dir=${join(directory, "browser")}`);
  expect(given.join(" ")).not.toContain("--no-sandbox");
  const link = given.find((argument) => argument.startsWith("--app="))?.slice("--app=".length) ?? "";
  expect(readFileSync(fileURLToPath(link), "utf8")).toContain(`url=${url}"`);
  expect(statSync(fileURLToPath(link)).mode & 0o777).toBe(0o600);
});

it("says why there is no window, and starts nothing", async () => {
  installChromium("exit 0");
  const open = (over: NodeJS.ProcessEnv, userId = 1000) =>
    openBrowser({ url, stateDir: directory, environment: { ...environment, ...over }, userId });
  expect(await open({}, 0)).toEqual({ opened: false, reason: "Chromium does not run as root" });
  expect(await open({ PATH: "/nonexistent" })).toEqual({ opened: false, reason: "no Chromium was found" });
  expect(readdirSync(directory)).toEqual(["bin"]);
  if (process.platform === "linux") {
    expect(obstacleToWindow({}, 1000)).toBe("there is no desktop session here");
    expect(obstacleToWindow({ WAYLAND_DISPLAY: "wayland-0" }, 1000)).toBeNull();
  }
});

it("looks only where PATH names absolute directories", () => {
  const path = installChromium("exit 0");
  expect(findChromium(environment)).toBe(path);
  expect(findChromium({ PATH: "bin:." })).toBeNull();
});
