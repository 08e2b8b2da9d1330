/** Files that the desktop hands over: double click, "open with", or arguments. They are read here, bounded, and only shown. */
import { open } from "node:fs/promises";
import { basename, isAbsolute, resolve } from "node:path";

const EXTENSION = /\.(ya?ml|json)$/i;
const MAX_FILES = 2000;
/** One byte more than a policy may have, so that the backend can say what is wrong with a larger one. */
const MAX_READ_BYTES = 1024 * 1024 + 1;

export interface OpenedFile {
  readonly path: string;
  readonly content: Uint8Array;
}

/** The files among the arguments of a start. Everything that looks like an option is left out. */
export function filesInArguments(argumentsOfStart: readonly string[], workingDirectory: string): string[] {
  return argumentsOfStart
    .filter(
      (argument) => !argument.startsWith("-") && EXTENSION.test(argument) && !/^[a-z][a-z0-9+.-]*:\/\//i.test(argument),
    )
    .map((argument) => (isAbsolute(argument) ? argument : resolve(workingDirectory, argument)))
    .slice(0, MAX_FILES);
}

/** What can be read, by bare name; anything that is no plain file is left out. */
export async function readOpenedFiles(paths: readonly string[]): Promise<OpenedFile[]> {
  const files: OpenedFile[] = [];
  for (const path of paths.slice(0, MAX_FILES)) {
    const content = await readBounded(path);
    if (content) files.push({ path: basename(path), content });
  }
  return files;
}

async function readBounded(path: string): Promise<Uint8Array | null> {
  try {
    const handle = await open(path, "r");
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) return null;
      const buffer = new Uint8Array(Math.min(stats.size, MAX_READ_BYTES));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch {
    return null;
  }
}
