/**
 * The system's git as a child process, with fixed arguments. No hooks, no submodules, no helpers, no configuration of the
 * person or the machine, no prompts: it can reach https and ssh and nothing else, and keeps no credentials. SSH asks the
 * person's own agent and files.
 */
import { spawn } from "node:child_process";
import { ErrorCode, Failure } from "@wardline/domain/errors";

const MAX_ERROR_CHARACTERS = 2_000;

export interface GitCall {
  /** Of a bare repository. */
  readonly gitDir: string;
  readonly arguments: readonly string[];
  readonly input?: string | Uint8Array;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** Tests only: a repository on this machine. */
  readonly allowsFiles?: boolean;
  /** Asked twice a second; true ends it (TOO_LARGE). */
  readonly isTooLarge?: () => boolean;
  readonly signal?: AbortSignal;
}

const SETTINGS = [
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "core.attributesFile=/dev/null",
  "core.askPass=",
  "credential.helper=",
  "protocol.allow=never",
  "protocol.https.allow=always",
  "protocol.ssh.allow=always",
  "http.followRedirects=false",
  "submodule.recurse=false",
  "fetch.recurseSubmodules=false",
  "transfer.fsckObjects=true",
  "gc.auto=0",
  "maintenance.auto=false",
  "commit.gpgSign=false",
  "push.gpgSign=false",
].flatMap((setting) => ["-c", setting]);

/** Standard output. @throws Failure HOST_UNREACHABLE, DEADLINE_EXCEEDED, TOO_LARGE, NOT_FOUND (no git on this machine) */
export function runGit(call: GitCall): Promise<Buffer> {
  const { gitDir, timeoutMs, maxOutputBytes, isTooLarge } = call;
  const settings = call.allowsFiles ? [...SETTINGS, "-c", "protocol.file.allow=always"] : SETTINGS;
  return new Promise((resolve, reject) => {
    const child = spawn("git", [...settings, `--git-dir=${gitDir}`, ...call.arguments], {
      cwd: "/",
      env: { ...environment(), ...call.environment },
      stdio: ["pipe", "pipe", "pipe"],
      // Its own group, so that ssh and git-remote-https end with it.
      detached: true,
    });
    const output: Buffer[] = [];
    let [sizeBytes, words] = [0, ""];
    let ended: Failure | null = null;
    const end = (failure: Failure) => {
      ended ??= failure;
      try {
        if (child.pid) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended already.
      }
    };
    const timer = setTimeout(() => end(tooSlow(timeoutMs)), timeoutMs);
    const watch = setInterval(() => isTooLarge?.() && end(tooLarge()), 500);
    const abort = () => end(canceled());
    call.signal?.addEventListener("abort", abort);
    child.stdout.on("data", (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes > maxOutputBytes) end(tooLarge());
      else output.push(chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      if (words.length < MAX_ERROR_CHARACTERS) words += chunk.toString("utf8");
    });
    child.stdin.on("error", () => {});
    child.stdin.end(call.input ?? "");
    const settle = (act: () => void) => {
      clearTimeout(timer);
      clearInterval(watch);
      call.signal?.removeEventListener("abort", abort);
      act();
    };
    child.on("error", (error: NodeJS.ErrnoException) =>
      settle(() => reject(error.code === "ENOENT" ? missing() : failed(error.message))),
    );
    child.on("close", (code) =>
      settle(() => {
        if (ended) reject(ended);
        else if (code === 0) resolve(Buffer.concat(output));
        else reject(failed(words));
      }),
    );
  });
}

function environment(): NodeJS.ProcessEnv {
  const { HOME, PATH, SSH_AUTH_SOCK, LANG, XDG_RUNTIME_DIR, https_proxy, HTTPS_PROXY, no_proxy, NO_PROXY } =
    process.env;
  const kept = { HOME, PATH, SSH_AUTH_SOCK, LANG, XDG_RUNTIME_DIR, https_proxy, HTTPS_PROXY, no_proxy, NO_PROXY };
  return {
    ...Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined)),
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_ATTR_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_NO_LAZY_FETCH: "1",
    GIT_SSH_COMMAND: "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes -oClearAllForwardings=yes",
    GIT_ASKPASS: "",
    SSH_ASKPASS_REQUIRE: "never",
  };
}

function missing(): Failure {
  return new Failure({
    code: ErrorCode.NOT_FOUND,
    message: "There is no git on this machine, so no remote can be read.",
    hint: "Install git (apt install git), or watch a folder instead.",
  });
}

/** What git says goes on as one line; it is shown like all text from outside. */
function failed(words: string): Failure {
  const line = words.trim().split("\n").slice(-3).join(" ").slice(0, 600) || "it ended without a word";
  return new Failure({
    code: ErrorCode.HOST_UNREACHABLE,
    message: `git could not do it: ${line}`,
    hint: "Try the same address with git yourself; keys of ssh have to be in your agent, and the host in known_hosts.",
    retryable: true,
  });
}

function tooSlow(timeoutMs: number): Failure {
  const message = `git took longer than ${Math.round(timeoutMs / 1000)} s and was ended.`;
  return new Failure({ code: ErrorCode.DEADLINE_EXCEEDED, message, retryable: true });
}

function tooLarge(): Failure {
  return new Failure({
    code: ErrorCode.TOO_LARGE,
    message: "The repository is larger than a source of policies may be (64 MiB for its newest state).",
    hint: "Keep policies in a repository of their own.",
  });
}

function canceled(): Failure {
  return new Failure({ code: ErrorCode.CANCELED, message: "The console is closing." });
}
