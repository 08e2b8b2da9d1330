import { lstatSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliSandbox } from "./testing/run-cli.ts";

const WRONG = "# kept\r\napiVersion: v1\r\nkind: Namespce   # too\r\nmetadata: {nmae: 'shop'}\r\n";
const RIGHT = WRONG.replace("Namespce", "Namespace").replace("nmae", "name");

let sandbox: CliSandbox;
beforeAll(() => {
  sandbox = new CliSandbox();
});
afterAll(() => sandbox.dispose());

describe("policy check --fix", () => {
  it("writes the fixed file, says each fix, and leaves nothing else behind", async () => {
    writeFileSync(sandbox.path("a.yaml"), `\uFEFF${WRONG}`, { mode: 0o640 });
    symlinkSync("a.yaml", sandbox.path("link.yaml"));
    const before = readdirSync(sandbox.dir);
    const { exitCode, stdout } = await sandbox.run(["policy", "check", "--fix", "link.yaml"]);
    expect(stdout).toContain("link.yaml:3:7: fix[WL213]: Change to Namespace\n");
    expect(stdout).toContain("link.yaml:4:12: fix[WL201]: Change to name\n");
    expect(stdout).toContain("2 fixed in 1 of 1 files; left: no problems\n");
    expect(exitCode).toBe(0);
    expect(readFileSync(sandbox.path("a.yaml"), "utf8")).toBe(`\uFEFF${RIGHT}`);
    expect(statSync(sandbox.path("a.yaml")).mode & 0o777).toBe(0o640);
    expect(lstatSync(sandbox.path("link.yaml")).isSymbolicLink()).toBe(true);
    expect(readdirSync(sandbox.dir)).toEqual(before);
  });

  it("shows in a dry run what it would do, and writes nothing", async () => {
    writeFileSync(sandbox.path("b.yaml"), `${WRONG}colour: red\r\n`);
    const { exitCode, value } = await sandbox.json(["policy", "check", "--fix", "--dry-run", "b.yaml"]);
    expect(exitCode).toBe(1);
    expect(value).toMatchObject({
      documents: 1,
      diagnostics: [{ code: "WL201", line: 5 }],
      fixes: [
        { code: "WL213", file: "b.yaml", title: "Change to Namespace", edits: [{ line: 3, newText: "Namespace" }] },
        { code: "WL201", file: "b.yaml", title: "Change to name", edits: [{ line: 4, newText: "name" }] },
      ],
      written: [],
    });
    expect(readFileSync(sandbox.path("b.yaml"), "utf8")).toBe(`${WRONG}colour: red\r\n`);
  });

  it("does not fix unless it is asked, nor standard input", async () => {
    writeFileSync(sandbox.path("c.yaml"), WRONG);
    await sandbox.run(["policy", "check", "c.yaml"]);
    expect(readFileSync(sandbox.path("c.yaml"), "utf8")).toBe(WRONG);
    expect(await sandbox.run(["policy", "check", "--fix", "-"], WRONG)).toMatchObject({ exitCode: 2 });
    expect(await sandbox.run(["policy", "check", "--dry-run", "c.yaml"])).toMatchObject({ exitCode: 2 });
  });
});
