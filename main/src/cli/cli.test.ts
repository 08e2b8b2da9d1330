import { mkdirSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliSandbox } from "./testing/run-cli.ts";
import { BAD_POLICY, GOOD_POLICY, INVENTORY } from "./testing/samples.ts";

let sandbox: CliSandbox;
beforeAll(() => {
  sandbox = new CliSandbox();
  writeFileSync(sandbox.path("good.yaml"), GOOD_POLICY);
  writeFileSync(sandbox.path("bad.yaml"), BAD_POLICY);
  mkdirSync(sandbox.path("policies"));
  writeFileSync(sandbox.path("policies/web.yaml"), GOOD_POLICY);
  writeFileSync(sandbox.path("hosts.yaml"), INVENTORY);
});
afterAll(() => sandbox.dispose());

describe("policy check", () => {
  it("prints exactly the promised JSON", async () => {
    const { exitCode, value } = await sandbox.json(["policy", "check", "bad.yaml"]);
    expect(exitCode).toBe(1);
    expect(Object.keys(value as object)).toEqual(["documents", "diagnostics"]);
    const { documents, diagnostics } = value as { documents: number; diagnostics: Record<string, unknown>[] };
    expect(documents).toBe(1);
    const misspelt = diagnostics.find((diagnostic) => diagnostic.line === 7);
    expect(Object.keys(misspelt ?? {})).toEqual([
      "code",
      "severity",
      "file",
      "line",
      "column",
      "endLine",
      "endColumn",
      "message",
      "fix",
    ]);
    expect(misspelt).toMatchObject({ severity: "error", file: "bad.yaml", column: 3, endLine: 7, endColumn: 9 });
    expect(misspelt?.code).toMatch(/^WL2\d\d$/);
    expect(misspelt?.fix).toMatchObject({ title: expect.any(String), edits: [{ newText: "ingress" }] });
  });

  it("shows the line with a mark under the place", async () => {
    const { exitCode, stdout } = await sandbox.run(["policy", "check", "bad.yaml"]);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^bad\.yaml:7:3: error\[WL2\d\d\]: /m);
    expect(stdout).toContain(" 7 |   ingres:\n   |   ^^^^^^\n");
    expect(stdout).not.toContain("\u001b");
  });

  it("reads folders and standard input, and a clean set exits with 0", async () => {
    const [folder, stdin] = await Promise.all([
      sandbox.json(["policy", "check", "policies", "hosts.yaml"]),
      sandbox.run(["policy", "check", "-", "--format", "json"], GOOD_POLICY),
    ]);
    expect(folder).toMatchObject({ exitCode: 0, value: { documents: 2 } });
    expect(JSON.parse(stdin.stdout)).toMatchObject({ documents: 1 });
  });

  it("does not fail for warnings alone", async () => {
    writeFileSync(sandbox.path("other-host.yaml"), INVENTORY.replace("role: web", "role: db"));
    const { exitCode, value } = await sandbox.json(["policy", "check", "good.yaml", "other-host.yaml"]);
    expect(value).toMatchObject({ diagnostics: [{ code: "WL301", severity: "warning" }] });
    expect(exitCode).toBe(0);
  });

  it("lets no file steer the terminal", async () => {
    writeFileSync(sandbox.path("hostile.yaml"), 'kind: "\u001b]0;owned\u0007\u009b2J"\nfoo\u202e: 1\n');
    const { exitCode, stdout, stderr } = await sandbox.run(["policy", "check", "hostile.yaml"]);
    expect(exitCode).toBe(1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(stdout + stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  it("says in the asked format what cannot be read", async () => {
    const [text, json] = await Promise.all([
      sandbox.run(["policy", "check", "absent.yaml"]),
      sandbox.run(["policy", "check", "absent.yaml", "--format", "json"]),
    ]);
    expect(text).toMatchObject({ exitCode: 2, stdout: "" });
    expect(text.stderr).toContain("error: There is no file or folder absent.yaml.");
    expect(json).toMatchObject({ exitCode: 2, stdout: "" });
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: "WRONG_USAGE" } });
    const unknown = await sandbox.run(["policy", "chek", "--format", "json"]);
    expect(JSON.parse(unknown.stderr)).toMatchObject({
      error: { code: "WRONG_USAGE", message: "unknown command 'chek'", hint: "(Did you mean check?)" },
    });
  });
});

describe("policy explain", () => {
  const ask = (from: string, port: string, ...more: string[]) =>
    sandbox.json(["policy", "explain", "--from", from, "--to", "here", "--port", port, ...more]);
  const files = ["--policies", "policies", "--inventory", "hosts.yaml"];

  it("answers with verdict and walkthrough; a denial is an answer and no failure", async () => {
    const [allowed, denied, ping6] = await Promise.all([
      ask("10.1.2.3", "443/tcp", ...files),
      ask("192.0.2.1", "443/tcp", ...files),
      ask("fd00::9", "icmp", ...files),
    ]);
    expect(allowed).toMatchObject({
      exitCode: 0,
      value: {
        verdict: "allow",
        from: { endpointKey: null, address: "10.1.2.3" },
        to: { endpointKey: "Host/here", address: "10.9.0.1" },
        protocol: 6,
        port: 443,
        directions: [
          { direction: "egress", verdict: "allow" },
          {
            direction: "ingress",
            verdict: "allow",
            decision: { reason: "rule", policyKeys: ["NetworkPolicy/default/web"], rule: "ingress[0]" },
            steps: [{ outcome: "decided", source: { file: "policies/web.yaml", line: 8 } }],
          },
        ],
      },
    });
    expect(denied).toMatchObject({ exitCode: 0, value: { verdict: "deny" } });
    expect(ping6).toMatchObject({ exitCode: 0, value: { verdict: "deny", protocol: 58, to: { address: "fd00::1" } } });
  });

  it("explains in words", async () => {
    const args = ["policy", "explain", "--from", "10.1.2.3", "--to", "Host/here", "--port", "80/tcp", ...files];
    const { exitCode, stdout } = await sandbox.run(args);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^DENY {2}10\.1\.2\.3 → Host\/here \(10\.9\.0\.1\) 80\/tcp$/m);
    expect(stdout).toContain("default/web isolates ingress and no rule allows it (policies/web.yaml:");
  });

  it("tells problems from wrong usage", async () => {
    const [errors, stranger, port, missing] = await Promise.all([
      ask("10.1.2.3", "443/tcp", "--policies", "bad.yaml", "--inventory", "hosts.yaml"),
      ask("nobody", "443/tcp", ...files),
      ask("10.1.2.3", "http", ...files),
      sandbox.run(["policy", "explain", "--from", "a"]),
    ]);
    expect(errors).toMatchObject({ exitCode: 1, value: { verdict: null } });
    expect(stranger.exitCode).toBe(2);
    expect(JSON.parse(stranger.stderr)).toMatchObject({ error: { code: "NOT_FOUND" } });
    expect(port.exitCode).toBe(2);
    expect(missing.exitCode).toBe(2);
  });

  it("asks the workspace when no policies are named", async () => {
    const { exitCode, value } = await ask("10.1.2.3", "80/tcp", "--inventory", "hosts.yaml");
    expect(exitCode).toBe(0);
    expect(value).toMatchObject({ verdict: "allow", to: { endpointKey: "Host/here" } });
  });
});

describe("the command line", () => {
  it("prints its version and its help", async () => {
    const [version, help] = await Promise.all([sandbox.run(["--version"]), sandbox.run(["policy", "apply", "--help"])]);
    expect(version).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+ \(.+\)\n$/) });
    expect(help).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("--confirm-within") });
  });

  it.each([
    [[]],
    [["polcy"]],
    [["policy", "chek"]],
    [["policy", "check"]],
    [["policy", "check", "good.yaml", "--format", "xml"]],
    [["policy", "check", "good.yaml", "--frobnicate"]],
    [["policy", "apply", "good.yaml", "--policies", "policies"]],
    [["policy", "apply", "--confirm-within", "soon"]],
    [["policy", "apply", "--confirm-within", "1s", "--yes"]],
    [["policy", "confirm", "--generation", "x"]],
    [["flows", "--limit", "many"]],
    [["flows", "--port", "70000"]],
  ])("wrong usage exits with 2: %j", async (args) => {
    const { exitCode, stdout, stderr } = await sandbox.run(args);
    expect(exitCode).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).not.toBe("");
  });

  it.each([
    [["agent", "status"]],
    [["host", "list"]],
    [["flows"]],
    [["policy", "plan", "good.yaml"]],
    [["policy", "apply", "good.yaml", "--yes"]],
    [["policy", "confirm"]],
    [["policy", "rollback"]],
  ])("without an agent exits with 3: %j", async (args) => {
    const { exitCode, stdout, stderr } = await sandbox.run(args);
    expect(exitCode).toBe(3);
    expect(stdout + stderr).toContain("No agent runs on this machine");
  });

  it("keeps the workspace when an apply could not even be planned", async () => {
    const { value } = await sandbox.json(["policy", "list"]);
    expect(value).toEqual({ files: [] });
  });

  it("does not complain when its reader has seen enough", async () => {
    const { child } = sandbox.start(["--help"]);
    child.stdout?.destroy();
    const exitCode = await new Promise((resolve) => child.once("exit", resolve));
    expect(exitCode).toBe(0);
  });
});
