/** Our shell scripts as shells see them, and what travels to them. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { SshSummarySchema } from "@wardline/api/wardline/console/v1/hosts";
import { Failure } from "@wardline/domain/errors";
import { describe, expect, it } from "vitest";
import type { RunResult, SshSession } from "../ssh/ssh-session.ts";
import * as darwin from "./darwin-scripts.ts";
import * as linux from "./linux-scripts.ts";
import { encodeInput, type FixedScript, fixedScript, type Privilege, runScript } from "./script.ts";
import { requireSuccess } from "./script-failures.ts";
import * as shared from "./shared-scripts.ts";

const { PRELUDE: _, ...plain } = shared;
const SCRIPTS = Object.entries({ ...plain, ...linux, ...darwin });
const shells = ["dash", "bash", "zsh", "ksh", "fish", "tcsh"].filter((shell) =>
  ["/bin", "/usr/bin"].some((directory) => existsSync(`${directory}/${shell}`)),
);
const ECHO = fixedScript(
  `IFS= read -r first
IFS= read -r second
printf '@@ first %s\\n@@ second %s\\n' "$first" "$second"
printf 'noise\\n@@ Not-a-key x\\n'
echo last words >&2
exit 3
`,
);

/** A session whose commands run on this machine, as the login shell of the account would run them. */
function sessionWith(shell: string): SshSession {
  return {
    summary: create(SshSummarySchema),
    ended: new AbortController().signal,
    run: async (command, { input = new Uint8Array() } = {}): Promise<RunResult> => {
      // bash reads ~/.bashrc where its input is a socket, as it is here: whoever runs the tests has anything in there.
      const env = { PATH: process.env.PATH, HOME: "/nonexistent" };
      const { status, stdout, stderr } = spawnSync(shell, ["-c", command], { input, encoding: "utf8", env });
      return { exitCode: status, stdout, stderr };
    },
    openSocket: () => Promise.reject(new Error("not here")),
    upload: () => Promise.reject(new Error("not here")),
    owner: () => Promise.resolve(null),
    close() {},
  };
}

describe("scripts", () => {
  it.each(SCRIPTS)("%s is understood by sh and asks for each word that it uses", (_name, script) => {
    for (const shell of ["sh", ...shells.filter((each) => each === "dash" || each === "bash")]) {
      const { status, stderr } = spawnSync(shell, ["-n"], { input: script, encoding: "utf8" });
      expect({ shell, status, stderr }).toEqual({ shell, status: 0, stderr: "" });
    }
    expect(script).toMatch(/^set -u\n/);
  });

  it.each(shells)(
    "are started alike by %s as a login shell, with parameters that stay what they are",
    async (shell) => {
      const parameters = [`$(touch /tmp/wardline-never) "'; exit 9; \`id\``, "  two  words \\n"];
      const answer = await runScript(sessionWith(shell), { script: ECHO, privilege: { kind: "none" }, parameters });
      expect([answer.value("first"), answer.value("second")]).toEqual(parameters);
      expect([answer.exitCode, answer.lastWords, answer.failed]).toEqual([3, "last words", null]);
      expect(existsSync("/tmp/wardline-never")).toBe(false);
    },
  );

  it("take lines and nothing else", () => {
    const none: Privilege = { kind: "none" };
    for (const wrong of ["two\nlines", "a\0b", "tab\t", "\u001b[2J", "x".repeat(401)]) {
      expect(() => encodeInput(ECHO, [wrong], none)).toThrow(Failure);
    }
    expect(() => encodeInput("echo ü" as FixedScript, [], none)).toThrow(Failure);
    expect(() => encodeInput(ECHO, Array(301).fill("x"), none)).toThrow(Failure);
  });

  it("are not disturbed by a password that nobody read", async () => {
    const input = encodeInput(ECHO, ["a", "b"], { kind: "sudo-password", password: "secret 7" });
    expect(Buffer.from(input).toString()).toMatch(/^secret 7\nwardline-script \d+\n/);
    const direct: SshSession = sessionWith("sh");
    const answer = await runScript(
      { ...direct, run: (command) => direct.run(command, { input }) },
      { script: ECHO, privilege: { kind: "none" } },
    );
    expect([answer.value("first"), answer.value("second")]).toEqual(["a", "b"]);
  });

  it("answer with text that cannot act on a terminal, and no more of it than fits", async () => {
    const stdout = `@@ failed busy ${"\u001b[31m"}${"x".repeat(9_000)}\n${"@@ many x\n".repeat(9_000)}`;
    const hostile: SshSession = { ...sessionWith("sh"), run: async () => ({ exitCode: 1, stdout, stderr: "\u0007" }) };
    const answer = await runScript(hostile, { script: ECHO, privilege: { kind: "none" } });
    expect(answer.failed?.detail).toMatch(/^\\u\{1b\}\[31mx+$/);
    expect([answer.failed!.detail.length < 420, answer.all("many").length, answer.lastWords]).toEqual([
      true,
      199,
      "\\u{7}",
    ]);
    expect(() => requireSuccess(answer, "This")).toThrow("installed, upgraded or removed by somebody else");
  });

  it("say what an end without an answer was", async () => {
    const session: SshSession = {
      ...sessionWith("sh"),
      run: async () => ({ exitCode: null, stdout: "", stderr: "oops\n" }),
    };
    const answer = await runScript(session, { script: ECHO, privilege: { kind: "none" } });
    expect(() => requireSuccess(answer, "Unpacking")).toThrow("Unpacking ended with a signal: oops.");
  });

  it("of macOS are these", async () => {
    const byName = Object.entries(darwin).toSorted(([left], [right]) => (left < right ? -1 : 1));
    const texts = byName.map(([name, script]) => `# ${name}\n${script}`);
    await expect(texts.join("\n")).toMatchFileSnapshot("golden/darwin-scripts.sh");
  });
});
