/** Files that are dragged out of the window: the desktop wants a path, so the text is written to a private folder first. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LARGEST_BYTES = 4 * 1024 * 1024;
/** File systems take no more. */
const LONGEST_NAME_BYTES = 255;
/** Old ones are removed: the desktop has copied them when the next few are dragged. */
const KEPT = 8;
const NAME = /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,119}\.(?:ya?ml|json|csv|ndjson|nft|conf)$/u;

export interface DraggedFile {
  readonly name: string;
  readonly text: string;
}

/** What a page asks to be dragged; `null` = it is none, whatever its types said. */
export function readDraggedFile(message: unknown): DraggedFile | null {
  if (typeof message !== "object" || message === null) return null;
  const { name, text } = message as Partial<Record<keyof DraggedFile, unknown>>;
  if (typeof name !== "string" || typeof text !== "string") return null;
  if (!NAME.test(name) || Buffer.byteLength(name) > LONGEST_NAME_BYTES) return null;
  if (Buffer.byteLength(text) > LARGEST_BYTES) return null;
  return { name, text };
}

export class DragFolder {
  readonly #parentDir: string;
  #folders: string[] = [];

  constructor(parentDir: string) {
    this.#parentDir = parentDir;
  }

  /** Removes what a program that was killed has left. Only for the one instance that runs. */
  clear(): void {
    remove(this.#parentDir);
  }

  /** @returns the path; only this account may read it. @throws the error of the file system */
  write({ name, text }: DraggedFile): string {
    mkdirSync(this.#parentDir, { recursive: true, mode: 0o700 });
    const folder = mkdtempSync(join(this.#parentDir, "drag-"));
    this.#folders.push(folder);
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600, flag: "wx" });
    for (const old of this.#folders.splice(0, Math.max(0, this.#folders.length - KEPT))) remove(old);
    return path;
  }

  close(): void {
    for (const folder of this.#folders.splice(0)) remove(folder);
  }
}

/** What cannot be removed keeps nobody from starting, dragging or quitting. */
function remove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // The next start tries again.
  }
}
