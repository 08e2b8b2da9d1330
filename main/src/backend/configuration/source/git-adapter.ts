/** A branch of a git remote, kept as one shallow commit in a bare repository of the console's own. Nothing is checked out. */
import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { GitSource } from "@wardline/api/wardline/console/v1/configuration";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { makeDirectory } from "../../files/directory.ts";
import { WORKSPACE_LIMITS } from "../../policies/limits.ts";
import { type GitCall, runGit } from "./git-program.ts";
import { canHoldPolicy, type SourceAdapter, SourceReader, type SourceState } from "./source-files.ts";

const TIMEOUT_MS = 60_000;
const MAX_REPOSITORY_BYTES = 64 * 1024 * 1024;
const MAX_LISTING_BYTES = 8 * 1024 * 1024;
const REMOTE = "refs/wardline/remote";
const NOBODY = "wardline@localhost";

export function gitAdapter(source: GitSource, stateDir: string, allowsFiles = false): SourceAdapter {
  return new GitBranch(source, join(stateDir, "source.git"), allowsFiles);
}

interface TreeEntry {
  readonly mode: string;
  readonly id: string;
  readonly sizeBytes: number;
  readonly path: string;
}

class GitBranch implements SourceAdapter {
  readonly #source: GitSource;
  readonly #gitDir: string;
  readonly #allowsFiles: boolean;

  constructor(source: GitSource, gitDir: string, allowsFiles: boolean) {
    this.#source = source;
    this.#gitDir = gitDir;
    this.#allowsFiles = allowsFiles;
  }

  async read(signal: AbortSignal): Promise<SourceState> {
    await this.#fetch(signal);
    const entries = await this.#list(signal);
    const reader = new SourceReader();
    const wanted = entries.filter(({ path }) => canHoldPolicy(path));
    const readable = wanted.filter(
      ({ mode, sizeBytes }) => mode.startsWith("100") && sizeBytes <= WORKSPACE_LIMITS.fileSizeBytes,
    );
    for (let count = wanted.length - readable.length; count > 0; count--) reader.leaveOut();
    if (readable.length > WORKSPACE_LIMITS.fileCount) throw tooManyFiles();
    const contents = await this.#contents(readable, signal);
    for (const [index, { path }] of readable.entries())
      reader.add(this.#inFolder(path), contents[index] ?? new Uint8Array());
    const line = await this.#git(["log", "-1", "--format=%H%x00%an%x00%aI%x00%s", REMOTE], signal);
    const [revision = "", author = "", time = "", subject = ""] = line.toString("utf8").trim().split("\0");
    const revisionText = `${author}, ${time}: ${subject}`.slice(0, 500);
    return { files: reader.files, leftOutCount: reader.leftOutCount, revision, revisionText };
  }

  /** A commit on top of what was read last; the remote refuses it when somebody was faster. */
  async write(
    changes: ReadonlyMap<string, string | null>,
    message: string,
    author: string,
    signal: AbortSignal,
  ): Promise<string> {
    const index = { GIT_INDEX_FILE: join(this.#gitDir, `index-${process.pid}`) };
    try {
      await this.#git(["read-tree", REMOTE], signal, { environment: index });
      const lines: string[] = [];
      for (const [path, text] of changes) {
        const full = this.#source.folder === "" ? path : `${this.#source.folder}/${path}`;
        if (text === null) lines.push(`0 ${"0".repeat(40)}\t${full}\0`);
        else {
          const id = (await this.#git(["hash-object", "-w", "--stdin"], signal, { input: text }))
            .toString("utf8")
            .trim();
          lines.push(`100644 ${id}\t${full}\0`);
        }
      }
      await this.#git(["update-index", "-z", "--index-info"], signal, { environment: index, input: lines.join("") });
      const tree = (await this.#git(["write-tree"], signal, { environment: index })).toString("utf8").trim();
      const name = author.replaceAll(/[<>\n]/g, "");
      const person = {
        GIT_AUTHOR_NAME: name,
        GIT_AUTHOR_EMAIL: NOBODY,
        GIT_COMMITTER_NAME: name,
        GIT_COMMITTER_EMAIL: NOBODY,
      };
      const commit = await this.#git(["commit-tree", tree, "-p", REMOTE, "-F", "-"], signal, {
        environment: person,
        input: message,
      });
      const id = commit.toString("utf8").trim();
      const { url, branch } = this.#source;
      const target = `${id}:refs/heads/${branch}`;
      await this.#git(["push", "--no-verify", "--no-recurse-submodules", "--", url, target], signal).catch(pushFailure);
      await this.#git(["update-ref", REMOTE, id], signal);
      return id;
    } finally {
      rmSync(index.GIT_INDEX_FILE, { force: true });
    }
  }

  async #fetch(signal: AbortSignal): Promise<void> {
    if (!existsSync(join(this.#gitDir, "HEAD"))) {
      makeDirectory(this.#gitDir, 0o700);
      await this.#git(["init", "--quiet", "--bare", "--template="], signal);
    }
    const { url, branch } = this.#source;
    const refspec = `+refs/heads/${branch}:${REMOTE}`;
    const options = ["--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"];
    try {
      await this.#git(["fetch", ...options, "--", url, refspec], signal, {
        isTooLarge: () => sizeOf(this.#gitDir) > MAX_REPOSITORY_BYTES,
      });
      if (sizeOf(this.#gitDir) > MAX_REPOSITORY_BYTES) throw tooManyFiles();
    } catch (error) {
      // Shallow commits of a long time, or one that is too large: begun anew the next time.
      if (error instanceof Failure && error.code === ErrorCode.TOO_LARGE)
        rmSync(this.#gitDir, { recursive: true, force: true });
      throw error;
    }
  }

  async #list(signal: AbortSignal): Promise<TreeEntry[]> {
    const { folder } = this.#source;
    const where = folder === "" ? [] : ["--", `${folder}/`];
    const output = await this.#git(["ls-tree", "-r", "-z", "-l", "--full-tree", REMOTE, ...where], signal);
    return output
      .toString("utf8")
      .split("\0")
      .flatMap((line) => {
        const match = /^(\d{6}) \w+ ([0-9a-f]{40,64}) +(\d+|-)\t(.+)$/s.exec(line);
        if (!match) return [];
        const [, mode = "", id = "", size = "", path = ""] = match;
        return [{ mode, id, path, sizeBytes: size === "-" ? 0 : Number(size) }];
      });
  }

  async #contents(entries: readonly TreeEntry[], signal: AbortSignal): Promise<Uint8Array[]> {
    if (entries.length === 0) return [];
    const totalBytes = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    if (totalBytes > WORKSPACE_LIMITS.totalSizeBytes) throw tooManyFiles();
    const input = entries.map(({ id }) => `${id}\n`).join("");
    const maxOutputBytes = totalBytes + entries.length * 128;
    const output = await this.#git(["cat-file", "--batch"], signal, { input, maxOutputBytes });
    const contents: Uint8Array[] = [];
    let at = 0;
    for (const { sizeBytes } of entries) {
      const head = output.indexOf(0x0a, at) + 1;
      contents.push(output.subarray(head, head + sizeBytes));
      at = head + sizeBytes + 1;
    }
    return contents;
  }

  #inFolder(path: string): string {
    const { folder } = this.#source;
    return folder === "" ? path : path.slice(folder.length + 1);
  }

  #git(words: readonly string[], signal: AbortSignal, more: Partial<GitCall> = {}): Promise<Buffer> {
    return runGit({
      ...{ gitDir: this.#gitDir, arguments: words, timeoutMs: TIMEOUT_MS, maxOutputBytes: MAX_LISTING_BYTES },
      ...{ signal, allowsFiles: this.#allowsFiles },
      ...more,
    });
  }
}

/** Of the packs, which is where it grows; loose objects are written by this console alone. */
function sizeOf(gitDir: string): number {
  const packs = join(gitDir, "objects", "pack");
  let sizeBytes = 0;
  for (const name of existsSync(packs) ? readdirSync(packs) : []) {
    sizeBytes += statSync(join(packs, name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return sizeBytes;
}

function tooManyFiles(): Failure {
  return new Failure({
    code: ErrorCode.TOO_LARGE,
    message: "The remote holds more than a workspace may: 2,000 files, 16 MiB of policies, 64 MiB in all.",
    hint: "Name the folder of the repository that holds the policies.",
  });
}

function pushFailure(error: unknown): never {
  if (!(error instanceof Failure) || !/\[rejected\]|fetch first|non-fast-forward/.test(error.message)) throw error;
  throw new Failure({
    code: ErrorCode.REVISION_CONFLICT,
    message: "Somebody has pushed to the branch meanwhile. Nothing was published.",
    hint: "Look at what is new there, take it over, and publish again.",
  });
}
