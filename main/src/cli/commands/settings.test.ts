import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CliSandbox } from "../testing/run-cli.ts";

const sandbox = new CliSandbox();
const path = join(sandbox.dir, "config/wardline/settings.yaml");
const before = process.env.XDG_CONFIG_HOME;
beforeAll(() => {
  process.env.XDG_CONFIG_HOME = join(sandbox.dir, "config");
});
afterAll(async () => {
  if (before === undefined) delete process.env.XDG_CONFIG_HOME;
  else process.env.XDG_CONFIG_HOME = before;
  await sandbox.dispose();
});
const run = (...args: string[]) => sandbox.run(["settings", ...args]);

it("sets, reads and resets settings in a file that keeps its comments", async () => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "# mine\ndisplay:\n  theme: dark # late\n");
  expect(await run("set", "display.zoom", "120")).toMatchObject({ exitCode: 0, stdout: "display.zoom is 120\n" });
  expect(readFileSync(path, "utf8")).toBe("# mine\ndisplay:\n  theme: dark # late\n  zoom: 120\n");
  expect(await run("get", "display.zoom")).toMatchObject({ exitCode: 0, stdout: "120\n" });
  const { value } = await sandbox.json(["settings", "list", "--changed"]);
  expect(value).toMatchObject({ path, settings: [{ key: "display.theme", value: "dark", line: 3 }, { value: 120 }] });
  expect(await run("reset", "display.theme")).toMatchObject({ exitCode: 0, stdout: "display.theme is system\n" });
  expect(await run("check")).toMatchObject({ exitCode: 0, stdout: `${path} is good.\n` });
});

it("refuses what is no setting, what does not fit, and a file with a mistake", async () => {
  expect(await run("set", "display.them", "dark")).toMatchObject({ exitCode: 2 });
  const unfit = await run("set", "display.theme", "pink");
  expect(unfit).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("system, dark, light or contrast") });
  writeFileSync(path, "display:\n  theme: [dark\n");
  const checked = await run("check");
  expect(checked.exitCode).toBe(1);
  expect(checked.stdout).toMatch(/settings\.yaml:\d+:\d+: error\[WL1\d\d\]/);
  const refused = await run("set", "display.theme", "light");
  expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("line 3, column 1") });
  expect(readFileSync(path, "utf8")).toBe("display:\n  theme: [dark\n");
});
