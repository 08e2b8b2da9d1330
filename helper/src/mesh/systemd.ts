/**
 * systemd, as far as the mesh needs it: the only file of the mesh's daemons that starts a program. By an absolute path that only root
 * can change, without a shell, for a limited time; the only thing that varies is the name of a unit, and that comes from the
 * agent's own command line.
 */
import { execFile } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { ServiceManager } from "./serviceManager.ts";

const PROGRAMS = ["/usr/bin/systemctl", "/bin/systemctl", "/run/current-system/sw/bin/systemctl"];
/** There while systemd runs the host. */
const RUNNING_DIR = "/run/systemd/system";
const ASK_LIMIT_MS = 2_000;
/** Stopping alone may take the 90 s that systemd gives by default; who needs that long is hung, and killed first. */
const ACT_LIMIT_MS = 60_000;
const MAX_OUTPUT_BYTES = 16 * 1024;
const MAX_QUOTED_LENGTH = 300;
const KNOWN_FOR_MS = 60_000;
const GROUP_OR_OTHERS_WRITE = 0o022;
const UNIT_NAME = /^[A-Za-z0-9][A-Za-z0-9_@:.\\-]{0,246}\.service$/;

export interface SystemdPlaces {
  readonly programs: readonly string[];
  readonly runningDir: string;
  readonly nowMs: () => number;
}

interface Ended {
  readonly isOk: boolean;
  readonly isLate: boolean;
  readonly output: string;
  readonly errors: string;
}

export class Systemd implements ServiceManager {
  readonly #places: SystemdPlaces;
  readonly #known = new Map<string, { readonly has: boolean; readonly atMs: number }>();

  constructor(places: Partial<SystemdPlaces> = {}) {
    this.#places = { programs: PROGRAMS, runningDir: RUNNING_DIR, nowMs: () => performance.now(), ...places };
  }

  async hasUnit(unit: string): Promise<boolean> {
    const { nowMs } = this.#places;
    const known = this.#known.get(unit);
    if (known && nowMs() - known.atMs < KNOWN_FOR_MS) return known.has;
    const has = await this.#looksUp(unit);
    this.#known.set(unit, { has, atMs: nowMs() });
    return has;
  }

  async restart(unit: string, isHung: boolean, signal: AbortSignal): Promise<void> {
    const program = this.#program();
    if (program === null || !UNIT_NAME.test(unit)) throw unsupported(unit);
    // What does not answer does not end when it is asked to; that it cannot be killed is told by what comes next.
    if (isHung) await run(program, ["kill", "--signal=SIGKILL", unit], ACT_LIMIT_MS, signal);
    const restarted = await run(program, ["restart", unit], ACT_LIMIT_MS, signal);
    if (restarted.isLate) throw late(unit);
    if (!restarted.isOk) throw refused(unit, restarted);
    const active = await run(program, ["is-active", unit], ASK_LIMIT_MS, signal);
    if (!active.isOk) throw refused(unit, active);
  }

  async #looksUp(unit: string): Promise<boolean> {
    const program = this.#program();
    if (program === null || !UNIT_NAME.test(unit)) return false;
    const { isOk, output } = await run(program, ["show", "--property=LoadState", "--value", unit], ASK_LIMIT_MS);
    return isOk && output.trim() === "loaded";
  }

  #program(): string | null {
    const { programs, runningDir } = this.#places;
    return existsSync(runningDir) ? (programs.find(isTrusted) ?? null) : null;
  }
}

function isTrusted(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true && found.uid === 0 && (found.mode & GROUP_OR_OTHERS_WRITE) === 0;
}

function run(program: string, words: readonly string[], timeout: number, signal?: AbortSignal): Promise<Ended> {
  return new Promise((resolve) => {
    const options = {
      timeout,
      killSignal: "SIGKILL",
      maxBuffer: MAX_OUTPUT_BYTES,
      env: { LC_ALL: "C" },
      signal,
    } as const;
    execFile(program, [...words], options, (error, output, errors) => {
      resolve({ isOk: error === null, isLate: error?.killed === true || error?.name === "AbortError", output, errors });
    });
  });
}

function unsupported(unit: string): Failure {
  return new Failure({
    code: ErrorCode.HOST_UNSUPPORTED,
    message: `No systemd that the agent could ask runs this host, so ${unit} cannot be restarted.`,
  });
}

function late(unit: string): Failure {
  const message = `${unit} was not restarted within ${ACT_LIMIT_MS / 1000} s.`;
  return new Failure({ code: ErrorCode.DEADLINE_EXCEEDED, message, retryable: true });
}

function refused(unit: string, { output, errors }: Ended): Failure {
  const said = `${errors} ${output}`
    .replaceAll(/[^\x20-\x7e]+/g, " ")
    .trim()
    .slice(0, MAX_QUOTED_LENGTH);
  const message = `${unit} was not restarted: ${said || "systemd gave no reason"}`;
  return new Failure({ code: ErrorCode.INTERNAL, message, retryable: true });
}
