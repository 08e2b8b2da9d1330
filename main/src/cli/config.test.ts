import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { InProcessCli } from "./testing/run-in-process.ts";

const POLICY = `apiVersion: wardline.io/v1\nkind: Policy\nmetadata: {name: web}\nspec:\n  subject: {selector: {matchLabels: {app: web}}}\n  ingress:\n    - {from: [{selector: {}}], ports: [{port: 80}]}\n`;

const cli = new InProcessCli();
const other = new InProcessCli();
beforeAll(() => {
  mkdirSync(cli.path("policies"));
  writeFileSync(cli.path("policies/web.yaml"), POLICY);
});
afterAll(() => {
  for (const one of [cli, other]) one.dispose();
});

it("takes over a watched folder, says who brought each line, and moves all of it to another console", async () => {
  const none = await cli.run("config", "source");
  expect(none).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining("No folder and no git remote is watched"),
  });
  expect((await cli.json("config", "source")).value).toBeNull();
  const watched = await cli.run("config", "source", "folder", cli.path("policies"));
  expect(watched.stdout).toContain("1 to add");
  expect((await cli.run("config", "source", "take", "--reason", "first", "--ticket", "NET-1")).exitCode).toBe(0);
  const { value } = await cli.json("policy", "blame", "web.yaml:3");
  expect(value.lines).toMatchObject([
    { line: 3, version: 1, reason: "first", ticket: "NET-1", text: "metadata: {name: web}" },
  ]);
  const table = await cli.run("policy", "blame", "web.yaml");
  expect(table.stdout.split("\n")[1]).toMatch(/^1 +1 +20\d\d-.* NET-1 +nowhere +first +apiVersion/);
  expect((await cli.run("policy", "blame", "web.yaml:99")).exitCode).toBe(2);

  const file = other.path("all.tar");
  expect((await cli.run("config", "export", "-o", file)).exitCode).toBe(0);
  expect((await cli.run("config", "export", "-o", file)).exitCode).toBe(2);
  expect((await cli.run("config", "verify", file)).stdout).toContain("Signed by this console, SHA256:");
  const unknown = await other.run("config", "verify", file);
  expect(unknown.exitCode).toBe(1);
  expect(unknown.stdout).toMatch(/add +policies and inventory +web.yaml/);
  expect((await other.run("config", "import", file, "-y")).stderr).toContain("Nobody here knows the key");
  const keys = await cli.json("config", "show-key");
  expect((await other.run("config", "trust-key", keys.value.own.publicKey, "--name", "office")).stdout).toContain(
    keys.value.own.fingerprint,
  );
  expect((await other.run("config", "import", file, "-y", "--reason", "move")).stdout).toContain("Imported:");
  expect((await other.run("policy", "show", "web.yaml")).stdout).toBe(POLICY);
  const again = other.path("again.tar");
  await other.run("config", "import", file, "-y", "--replace-all");
  expect((await other.run("config", "import", file, "-y", "--replace-all")).stderr).toContain("nothing to import");
  const broken = readFileSync(file);
  broken.write("port: 22", broken.indexOf("port: 80"));
  writeFileSync(again, broken);
  const refused = await other.run("config", "verify", again);
  expect(refused.stderr).toContain("is not the file that was signed");
}, 240_000);
