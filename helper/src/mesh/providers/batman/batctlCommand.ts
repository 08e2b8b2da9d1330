/**
 * Runs `batctl`: the only file of batman-adv that starts a program. By an absolute path that only root can change, without a shell,
 * with words from a closed list and an interface of the kernel's own list, for a limited time and with limited output.
 */
import { execFile } from "node:child_process";
import { statSync } from "node:fs";

const PATHS = ["/usr/sbin/batctl", "/usr/local/sbin/batctl", "/usr/bin/batctl", "/run/current-system/sw/bin/batctl"];
const GROUP_OR_OTHERS_WRITE = 0o022;
export const COMMAND_LIMIT_MS = 1_500;
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
const MAX_QUOTED_LENGTH = 200;
/** What a kernel takes for a name of an interface, without what could be taken for an option or a path. */
const INTERFACE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,14}$/;

/** Program and first arguments: tests put a double there. */
export type BatctlProgram = readonly [program: string, ...leading: string[]];

export const QUERIES = ["mesh_json", "originators_json", "neighbors_json", "hardifs_json", "gateways_json"] as const;
export type Query = (typeof QUERIES)[number];

export class BatctlError extends Error {
  /** `failed` = it ended with an error; `garbage` = what it said is no JSON of a known shape. */
  readonly kind: "late" | "large" | "failed" | "garbage" | "not run";

  constructor(kind: BatctlError["kind"], sentence: string) {
    super(sentence);
    this.name = "BatctlError";
    this.kind = kind;
  }
}

/** A `batctl` that only root can change, or `null`. */
export function findBatctl(): BatctlProgram | null {
  const path = PATHS.find(isTrusted);
  return path === undefined ? null : [path];
}

function isTrusted(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true && found.uid === 0 && (found.mode & GROUP_OR_OTHERS_WRITE) === 0;
}

export class BatctlCommand {
  readonly #program: BatctlProgram;
  readonly #interfaceName: string;

  /** The name comes from the kernel. Throws `BatctlError` where it cannot be handed to a program. */
  constructor(program: BatctlProgram, interfaceName: string) {
    if (!INTERFACE_NAME.test(interfaceName))
      throw new BatctlError("not run", "the name of the interface has odd characters");
    this.#program = program;
    this.#interfaceName = interfaceName;
  }

  /** The JSON value that it prints. Throws {@link BatctlError}. */
  async query(query: Query, signal: AbortSignal): Promise<unknown> {
    const output = await this.#run([query], signal);
    try {
      return JSON.parse(output);
    } catch {
      throw new BatctlError("garbage", `batctl ${query} printed no JSON`);
    }
  }

  /** Throws {@link BatctlError}. */
  async setGatewayMode(mode: "off" | "client", signal: AbortSignal): Promise<void> {
    await this.#run(["gw_mode", mode], signal);
  }

  #run(words: readonly string[], signal: AbortSignal): Promise<string> {
    const [program, ...leading] = this.#program;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const options = {
      timeout: COMMAND_LIMIT_MS,
      killSignal: "SIGKILL",
      maxBuffer: MAX_OUTPUT_BYTES,
      env: { LC_ALL: "C" },
      signal,
    } as const;
    const name = `batctl ${words.join(" ")}`;
    try {
      execFile(program, [...leading, "meshif", this.#interfaceName, ...words], options, (error, output, errors) => {
        if (error === null) resolve(output);
        else reject(problemOf(name, error, `${errors} ${output.slice(0, MAX_QUOTED_LENGTH)}`));
      });
    } catch (error) {
      reject(
        new BatctlError("not run", `${name} did not start: ${error instanceof Error ? error.message : "no reason"}`),
      );
    }
    return promise;
  }
}

function problemOf(name: string, error: Error, said: string): BatctlError {
  const code = "code" in error ? error.code : undefined;
  if (code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") return new BatctlError("large", `${name} printed more than 4 MiB`);
  if (error.name === "AbortError" || ("killed" in error && error.killed === true))
    return new BatctlError("late", `${name} did not end within ${COMMAND_LIMIT_MS / 1_000} s`);
  if (typeof code === "string") return new BatctlError("not run", `${name} did not start (${code})`);
  const words = said
    .replaceAll(/[^\x20-\x7e]+/g, " ")
    .trim()
    .slice(0, MAX_QUOTED_LENGTH);
  return new BatctlError("failed", `${name} failed: ${words || "it gave no reason"}`);
}
