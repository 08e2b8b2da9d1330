/**
 * Reads files of known hosts. What was read is kept while the file stays the same: with hashed names every line has to be
 * computed for every name, which takes a tenth of a second for ten thousand lines.
 */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { errorCode } from "../config/config-files.ts";
import { type KnownHostLine, parseKnownHosts } from "./known-hosts-file.ts";

const LARGEST_FILE_BYTES = 16 * 1024 * 1024;
const MOST_FILES = 16;
const MOST_NAMES = 4096;

export class KnownHostsFile {
  readonly path: string;
  readonly #lines: readonly KnownHostLine[];
  readonly #found = new Map<string, readonly KnownHostLine[]>();

  constructor(path: string, text: string) {
    this.path = path;
    this.#lines = parseKnownHosts(text);
  }

  linesOf(name: string): readonly KnownHostLine[] {
    const known = this.#found.get(name);
    if (known) return known;
    const lines = this.#lines.filter(({ hosts }) => hosts.matches(name));
    if (this.#found.size >= MOST_NAMES) this.#found.clear();
    this.#found.set(name, lines);
    return lines;
  }
}

const kept = new Map<string, { readonly version: string; readonly file: KnownHostsFile }>();

/** A file that is not there has no lines. @throws Failure INVALID_ARGUMENT when it is there and cannot be read */
export async function readKnownHosts(path: string): Promise<KnownHostsFile> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errorCode(error))) return new KnownHostsFile(path, "");
    throw unreadable(path, errorCode(error));
  }
  try {
    const status = await handle.stat({ bigint: true });
    // `UserKnownHostsFile /dev/null` is usual for "none".
    if (status.isCharacterDevice()) return new KnownHostsFile(path, "");
    if (!status.isFile()) throw unreadable(path, "it is not a file");
    if (status.size > LARGEST_FILE_BYTES) throw unreadable(path, "it has more than 16 MiB");
    const version = [status.dev, status.ino, status.size, status.mtimeNs, status.ctimeNs].join(" ");
    const before = kept.get(path);
    if (before?.version === version) return before.file;
    const file = new KnownHostsFile(path, await handle.readFile("utf8"));
    if (kept.size >= MOST_FILES) kept.clear();
    kept.set(path, { version, file });
    return file;
  } finally {
    await handle.close();
  }
}

function unreadable(path: string, why: string): Failure {
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `${path} could not be read (${why}), so it is not known which keys it revokes.`,
    hint: "Make the file readable, or take it out of UserKnownHostsFile.",
  });
}
