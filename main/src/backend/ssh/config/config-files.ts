/** Reads ssh_config files with what they include. Bounded in size, number and depth; only regular files are opened. */
import { constants } from "node:fs";
import { type FileHandle, glob, open } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type ConfigLine, readConfigLines } from "./config-lines.ts";
import { expandHome } from "./tokens.ts";

const LARGEST_FILE_BYTES = 1024 * 1024;
const MOST_FILES = 128;
/** As OpenSSH. */
const DEEPEST_INCLUDE = 16;

export interface ConfigFile {
  readonly path: string;
  readonly items: readonly ConfigItem[];
}

export type ConfigItem =
  | { readonly kind: "line"; readonly line: ConfigLine; readonly path: string }
  | { readonly kind: "include"; readonly files: readonly ConfigFile[] };

export interface LoadedConfig {
  /** The user's first, then the system's: the first value of a keyword counts. */
  readonly files: readonly ConfigFile[];
  /** What could not be read or was left out, one sentence each. */
  readonly problems: readonly string[];
}

export interface ConfigPaths {
  /** Home directory of the user, for `~`. */
  readonly homeDir: string;
  /** `~/.ssh/config` unless given. */
  readonly userConfigPath?: string;
  /** `/etc/ssh/ssh_config` unless given; `null` = none. */
  readonly systemConfigPath?: string | null;
}

export function userConfigPath(paths: ConfigPaths): string {
  return paths.userConfigPath ?? join(paths.homeDir, ".ssh", "config");
}

/** @throws Failure INVALID_ARGUMENT (a file that others may write, a directory in its place, too large) */
export async function loadConfig(paths: ConfigPaths): Promise<LoadedConfig> {
  const loader = new ConfigLoader(paths);
  const files: ConfigFile[] = [];
  const user = userConfigPath(paths);
  const system = paths.systemConfigPath === undefined ? "/etc/ssh/ssh_config" : paths.systemConfigPath;
  for (const [path, isUsers] of [
    [user, true],
    [system, false],
  ] as const) {
    const file = path === null ? null : await loader.read(path, isUsers, 0);
    if (file) files.push(file);
  }
  return { files, problems: loader.problems };
}

class ConfigLoader {
  readonly problems: string[] = [];
  readonly #paths: ConfigPaths;
  #fileCount = 0;

  constructor(paths: ConfigPaths) {
    this.#paths = paths;
  }

  /** `null` when there is no such file. */
  async read(path: string, isUsers: boolean, depth: number): Promise<ConfigFile | null> {
    if (++this.#fileCount > MOST_FILES) {
      if (this.#fileCount === MOST_FILES + 1)
        this.problems.push(`More than ${MOST_FILES} files are included; the rest is left out.`);
      return null;
    }
    const text = await readSmallFile(path, isUsers);
    if (text === null) return null;
    const { lines, problems } = readConfigLines(text);
    for (const { line, message } of problems) this.problems.push(`${path}:${line}: ${message}; the line is left out.`);
    const items: ConfigItem[] = [];
    for (const line of lines) {
      if (line.keyword === "include") {
        items.push({ kind: "include", files: await this.#include(path, line, isUsers, depth) });
      } else {
        items.push({ kind: "line", line, path });
      }
    }
    return { path, items };
  }

  async #include(from: string, line: ConfigLine, isUsers: boolean, depth: number): Promise<ConfigFile[]> {
    if (depth >= DEEPEST_INCLUDE) {
      this.problems.push(`${from}:${line.line}: Include is nested more than ${DEEPEST_INCLUDE} deep; it is left out.`);
      return [];
    }
    const files: ConfigFile[] = [];
    for (const pattern of line.args) {
      for (const path of await this.#matches(pattern, isUsers)) {
        const file = await this.read(path, isUsers, depth + 1);
        if (file) files.push(file);
      }
    }
    return files;
  }

  async #matches(pattern: string, isUsers: boolean): Promise<string[]> {
    const { homeDir } = this.#paths;
    const baseDir = isUsers ? join(homeDir, ".ssh") : "/etc/ssh";
    const expanded = expandHome(pattern, homeDir);
    const path = isAbsolute(expanded) ? expanded : join(baseDir, expanded);
    if (!/[*?[]/.test(path)) return [path];
    // `**` would walk whole trees; OpenSSH has no such thing.
    const single = path.replace(/\*{2,}/g, "*");
    const found: string[] = [];
    for await (const name of glob(single)) {
      if (found.push(name) > MOST_FILES) break;
    }
    return found.sort();
  }
}

/** `null` when it does not exist or may not be read (as ssh does). @throws Failure INVALID_ARGUMENT */
async function readSmallFile(path: string, isUsers: boolean): Promise<string | null> {
  let handle: FileHandle;
  try {
    // Without O_NONBLOCK a pipe in its place would be waited for.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isOneOf(error, ["ENOENT", "ENOTDIR", "EACCES", "EPERM"])) return null;
    throw refused(`${path} could not be read (${errorCode(error)}).`, "Repair the file, then try again.");
  }
  try {
    const status = await handle.stat();
    if (!status.isFile()) {
      if (status.isCharacterDevice()) return "";
      throw refused(`${path} is not a file.`, "Give the path of an SSH configuration file.");
    }
    if (status.size > LARGEST_FILE_BYTES) {
      throw refused(`${path} has more than 1 MiB.`, "Split it, or give another configuration file.");
    }
    const isOthers = status.uid !== 0 && status.uid !== (process.getuid?.() ?? 0);
    if (isUsers && (isOthers || (status.mode & 0o022) !== 0)) {
      throw refused(
        `${path} ${isOthers ? "belongs to somebody else" : "may be written by others"}, so what it says cannot be trusted.`,
        `Repair it as ssh asks for: chmod go-w ${dirname(path) === "." ? path : path}`,
      );
    }
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

function refused(message: string, hint: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}

export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

function isOneOf(error: unknown, codes: readonly string[]): boolean {
  return codes.includes(errorCode(error));
}
