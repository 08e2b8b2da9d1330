/** Reads what the command line names: files, folders, `-` for standard input. Bounded, whatever is behind a name. */
import { type Dirent, lstatSync, readdirSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  DEFAULT_READ_LIMITS,
  type Diagnostic,
  decodePolicyBytes,
  refuseBySize,
  type SourceFile,
} from "@wardline/domain/policy";
import { UsageError } from "../exit-code.ts";

const EXTENSION = /\.(ya?ml|json)$/i;
const MAX_DEPTH = 32;
const CHUNK_BYTES = 64 * 1024;
const STDIN_NAME = "stdin.yaml";

export interface ReadInput {
  /** Named as the person named them, so that an editor can open the place of a diagnostic. */
  readonly files: readonly SourceFile[];
  /** Files that are not text, or too large to be opened. */
  readonly refused: readonly Diagnostic[];
}

/**
 * @throws UsageError when a name leads to nothing, or to a folder without policy files
 * @throws Failure TOO_LARGE beyond the bounds, PERMISSION_DENIED when a file cannot be read
 */
export async function readInput(names: readonly string[]): Promise<ReadInput> {
  const paths = [...new Set(names.flatMap(expandName))];
  if (paths.length > DEFAULT_READ_LIMITS.maxFiles) {
    throw tooLarge(`${paths.length} files were given; up to ${DEFAULT_READ_LIMITS.maxFiles} can be read at once.`);
  }
  const files: SourceFile[] = [];
  const refused: Diagnostic[] = [];
  let leftBytes = DEFAULT_READ_LIMITS.maxTotalLength;
  for (const path of paths) {
    const oversized = refuseBySize(regularSizeBytes(path), path);
    if (oversized) {
      refused.push(oversized);
      continue;
    }
    const bytes = await readBytes(path, leftBytes);
    leftBytes -= bytes.byteLength;
    const name = path === "-" ? STDIN_NAME : path;
    const decoded = decodePolicyBytes(bytes, name);
    if ("diagnostic" in decoded) refused.push(decoded.diagnostic);
    else files.push({ path: name, text: decoded.text });
  }
  return { files, refused };
}

/** Names inside a workspace: relative to the folder that all of them share. */
export function toWorkspaceNames(files: readonly SourceFile[]): SourceFile[] {
  const absolute = files.map((file) => resolve(file.path));
  let shared = dirname(absolute[0] ?? "/");
  while (absolute.some((path) => !path.startsWith(shared === sep ? sep : shared + sep))) shared = dirname(shared);
  return files.map((file, index) => {
    const path = relative(shared, absolute[index] ?? file.path)
      .split(sep)
      .join("/");
    return { path: EXTENSION.test(path) ? path : `${path}.yaml`, text: file.text };
  });
}

function expandName(name: string): string[] {
  if (name === "-") return [name];
  let isDirectory: boolean;
  try {
    isDirectory = statSync(name).isDirectory();
  } catch (error) {
    throw cannotRead(name, error);
  }
  if (!isDirectory) return [name];
  const found = listFolder(name, 0);
  if (found.length === 0) throw new UsageError(`The folder ${name} holds no .yaml, .yml or .json file.`);
  return found;
}

/** Hidden folders and links to folders are passed over: neither is meant, and links can make circles. */
function listFolder(dir: string, depth: number): string[] {
  if (depth > MAX_DEPTH) throw tooLarge(`${dir} is nested deeper than ${MAX_DEPTH} folders.`);
  let entries: Dirent[];
  try {
    entries = readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    throw cannotRead(dir, error);
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.name.startsWith(".") || entry.name === "node_modules") return [];
    if (entry.isDirectory()) return listFolder(path, depth + 1);
    if (!EXTENSION.test(entry.name)) return [];
    return entry.isFile() || (entry.isSymbolicLink() && isFileBehind(path)) ? [path] : [];
  });
}

function isFileBehind(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink() && statSync(path).isFile();
  } catch {
    return false;
  }
}

/** What a plain file would bring into memory; 0 for what has no size before it is read. */
function regularSizeBytes(path: string): number {
  if (path === "-") return 0;
  try {
    const found = statSync(path);
    return found.isFile() ? found.size : 0;
  } catch (error) {
    throw cannotRead(path, error);
  }
}

/** Reads up to the limit from anything that can be opened: a file, a pipe, a device that never ends. */
async function readBytes(path: string, limitBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  const add = (chunk: Uint8Array) => {
    chunks.push(chunk);
    sizeBytes += chunk.byteLength;
    if (sizeBytes <= limitBytes) return;
    const limit = DEFAULT_READ_LIMITS.maxTotalLength / 1024 / 1024;
    throw tooLarge(`${path === "-" ? "Standard input" : path} goes beyond the ${limit} MiB that can be read at once.`);
  };
  if (path === "-") {
    for await (const chunk of process.stdin) add(chunk as Uint8Array);
    return Buffer.concat(chunks);
  }
  try {
    const handle = await open(path, "r");
    try {
      for (;;) {
        const { bytesRead, buffer } = await handle.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, null);
        if (bytesRead === 0) return Buffer.concat(chunks);
        add(buffer.subarray(0, bytesRead));
      }
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw error instanceof Failure ? error : cannotRead(path, error);
  }
}

function cannotRead(path: string, error: unknown): Error {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOENT" || code === "ENOTDIR") return new UsageError(`There is no file or folder ${path}.`);
  if (code === "EACCES" || code === "EPERM") {
    return new Failure({ code: ErrorCode.PERMISSION_DENIED, message: `You may not read ${path}.` }, { cause: error });
  }
  return new Failure(
    { code: ErrorCode.INVALID_ARGUMENT, message: `${basename(path)} cannot be read (${code || String(error)}).` },
    { cause: error },
  );
}

function tooLarge(message: string): Failure {
  return new Failure({ code: ErrorCode.TOO_LARGE, message, hint: "Give fewer or smaller files." });
}
