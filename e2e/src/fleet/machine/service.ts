/** One service of a test machine: its process in a control group of its own, restarted as its unit file says. */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { lastOf, splitCommand, timeSpanMs, type Unit, wordsOf } from "./unit-file.ts";

export type ActiveState = "inactive" | "active" | "activating" | "deactivating" | "failed";

const SLICE = "/sys/fs/cgroup/system.slice";
const LOG_DIRECTORY = "/var/log/services";
const USUAL_RESTART_MS = 100;
const USUAL_STOP_MS = 10_000;
const START_LIMIT = { count: 5, intervalMs: 10_000 } as const;
/** Joins the group, then becomes the program: nothing of the service ever runs outside. */
const ENTER = 'echo $$ > "$1/cgroup.procs"; umask "$2"; shift 2; exec "$@"';

export interface ServiceState {
  readonly active: ActiveState;
  readonly sub: string;
  readonly mainPid: number;
  readonly restarts: number;
  /** As systemd names it: `success`, `exit-code`, `signal`, `start-limit-hit`. */
  readonly result: string;
}

export class Service {
  unit: Unit;
  #child: ChildProcess | null = null;
  #active: ActiveState = "inactive";
  #sub = "dead";
  #result = "success";
  #restarts = 0;
  #starts: number[] = [];
  #restartTimer: NodeJS.Timeout | null = null;

  constructor(unit: Unit) {
    this.unit = unit;
  }

  get state(): ServiceState {
    return {
      active: this.#active,
      sub: this.#sub,
      mainPid: this.#child?.pid ?? 0,
      restarts: this.#restarts,
      result: this.#result,
    };
  }

  get isRunning(): boolean {
    return this.#active === "active" || this.#active === "activating";
  }

  /** @returns why it did not start, or `null` */
  async start(): Promise<string | null> {
    if (this.#active === "active") return null;
    this.#clearTimer();
    this.#starts = [];
    this.#restarts = 0;
    return this.#launch();
  }

  async stop(): Promise<void> {
    this.#clearTimer();
    const wasRunning = this.isRunning;
    if (this.#active !== "failed" || wasRunning) this.#set("deactivating", "stop-sigterm");
    await this.#endAll();
    this.#child = null;
    this.#removeRuntimeDirectories();
    this.#set("inactive", "dead", "success");
  }

  resetFailed(): void {
    if (this.#active === "failed") this.#set("inactive", "dead", "success");
  }

  async #launch(): Promise<string | null> {
    const now = performance.now();
    this.#starts = [...this.#starts.filter((at) => now - at < START_LIMIT.intervalMs), now];
    if (this.#starts.length > START_LIMIT.count) {
      this.#set("failed", "failed", "start-limit-hit");
      return "Start request repeated too quickly.";
    }
    this.#makeDirectories();
    const type = lastOf(this.unit, "Service.Type") ?? "simple";
    for (const command of this.unit.settings.get("Service.ExecStartPre") ?? []) {
      const child = this.#spawn(splitCommand(command));
      if ((await exitOf(child)) !== 0 && !command.startsWith("-")) return this.#fail("exit-code");
    }
    const commands = this.unit.settings.get("Service.ExecStart") ?? [];
    if (type === "oneshot") return this.#runOnce(commands);
    const words = splitCommand(commands.at(-1) ?? "");
    if (words.length === 0) return this.#fail("resources");
    if (!existsSync(words[0] ?? "")) {
      // As systemd: the service fails with status 203 and is restarted if its unit says so.
      this.#set("failed", "failed", "exit-code");
      this.#restartIfAsked(203);
      return `Unable to locate executable '${words[0]}': No such file or directory`;
    }
    const child = this.#spawn(words);
    this.#child = child;
    this.#set("active", "running", "success");
    child.once("exit", (code, signal) => void this.#ended(child, code, signal));
    return null;
  }

  async #runOnce(commands: readonly string[]): Promise<string | null> {
    this.#set("activating", "start");
    for (const command of commands) {
      const child = this.#spawn(splitCommand(command));
      this.#child = child;
      const exitCode = await exitOf(child);
      this.#child = null;
      if (exitCode !== 0) return this.#fail("exit-code");
    }
    if (lastOf(this.unit, "Service.RemainAfterExit") === "yes") this.#set("active", "exited", "success");
    else this.#set("inactive", "dead", "success");
    return null;
  }

  #fail(result: string): string {
    this.#set("failed", "failed", result);
    return "Control process exited with error code.";
  }

  async #ended(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): Promise<void> {
    if (this.#child !== child || this.#active === "deactivating") return;
    this.#child = null;
    const isClean = code === 0 || signal === "SIGTERM" || signal === "SIGINT" || signal === "SIGHUP";
    await this.#endAll();
    this.#set(isClean ? "inactive" : "failed", isClean ? "dead" : "failed", resultOf(code, signal));
    this.#restartIfAsked(code ?? 1);
  }

  #restartIfAsked(code: number): void {
    const restart = lastOf(this.unit, "Service.Restart") ?? "no";
    if (restart !== "always" && !(restart === "on-failure" && code !== 0)) return;
    const delayMs = timeSpanMs(lastOf(this.unit, "Service.RestartSec"), USUAL_RESTART_MS);
    this.#set("activating", "auto-restart");
    this.#restartTimer = setTimeout(() => {
      this.#restartTimer = null;
      this.#restarts += 1;
      void this.#launch();
    }, delayMs);
  }

  #clearTimer(): void {
    if (this.#restartTimer) clearTimeout(this.#restartTimer);
    this.#restartTimer = null;
  }

  #set(active: ActiveState, sub: string, result = this.#result): void {
    this.#active = active;
    this.#sub = sub;
    this.#result = result;
  }

  get #cgroup(): string {
    return join(SLICE, this.unit.name);
  }

  #spawn(words: readonly string[]): ChildProcess {
    mkdirSync(this.#cgroup, { recursive: true });
    mkdirSync(LOG_DIRECTORY, { recursive: true });
    const log = openSync(join(LOG_DIRECTORY, `${this.unit.name}.log`), "a", 0o640);
    const umask = lastOf(this.unit, "Service.UMask") ?? "0022";
    const program = [words[0]?.replace(/^[-@:+!]+/, "") ?? "", ...words.slice(1)];
    try {
      return spawn("/bin/sh", ["-c", ENTER, "service", this.#cgroup, umask, ...this.#privileges(), ...program], {
        env: { ...SERVICE_ENVIRONMENT, ...environmentOf(this.unit) },
        cwd: "/",
        detached: true,
        stdio: ["ignore", log, log],
      });
    } finally {
      closeSync(log);
    }
  }

  /** The bounding set and the bit that forbids new privileges: what of a unit's hardening changes what an agent can do. */
  #privileges(): string[] {
    const names = wordsOf(this.unit, "Service.CapabilityBoundingSet");
    const options: string[] = [];
    if (names.length > 0) {
      const kept = names.map((name) => `+${name.toLowerCase().replace(/^cap_/, "")}`);
      options.push("--bounding-set", ["-all", ...kept].join(","), "--inh-caps", "-all");
    }
    if (lastOf(this.unit, "Service.NoNewPrivileges") === "yes") options.push("--no-new-privs");
    return options.length === 0 ? [] : ["/usr/bin/setpriv", ...options];
  }

  #makeDirectories(): void {
    for (const [key, base, usual] of [
      ["Service.RuntimeDirectory", "/run", "0755"],
      ["Service.StateDirectory", "/var/lib", "0755"],
    ] as const) {
      const mode = Number.parseInt(lastOf(this.unit, `${key}Mode`) ?? usual, 8);
      for (const name of wordsOf(this.unit, key)) {
        const path = join(base, name);
        mkdirSync(path, { recursive: true });
        chmodSync(path, mode);
      }
    }
  }

  #removeRuntimeDirectories(): void {
    if ((lastOf(this.unit, "Service.RuntimeDirectoryPreserve") ?? "no") !== "no") return;
    for (const name of wordsOf(this.unit, "Service.RuntimeDirectory"))
      rmSync(join("/run", name), { recursive: true, force: true });
  }

  /** Ends everything in the service's group, as KillMode=control-group does. */
  async #endAll(): Promise<void> {
    const deadline = performance.now() + timeSpanMs(lastOf(this.unit, "Service.TimeoutStopSec"), USUAL_STOP_MS);
    let signal: NodeJS.Signals = "SIGTERM";
    for (let round = 0; ; round++) {
      const members = membersOf(this.#cgroup);
      if (members.length === 0) break;
      if (performance.now() > deadline) signal = "SIGKILL";
      if (round === 0 || signal === "SIGKILL") for (const pid of members) sendSignal(pid, signal);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    if (existsSync(this.#cgroup)) {
      try {
        rmdirSync(this.#cgroup);
      } catch {
        // Somebody made a group inside: it stays for the next start.
      }
    }
  }
}

const SERVICE_ENVIRONMENT = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LANG: "C.UTF-8",
};

function environmentOf(unit: Unit): Record<string, string> {
  const pairs = wordsOf(unit, "Service.Environment").map((word) => {
    const equals = word.indexOf("=");
    return [word.slice(0, equals), word.slice(equals + 1)] as const;
  });
  return Object.fromEntries(pairs);
}

function membersOf(cgroup: string): number[] {
  try {
    return readFileSync(join(cgroup, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has just ended.
  }
}

function resultOf(code: number | null, signal: NodeJS.Signals | null): string {
  if (code === 0) return "success";
  return signal === null ? "exit-code" : "signal";
}

function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once("error", () => resolve(203));
    child.once("exit", (code) => resolve(code ?? 1));
  });
}
