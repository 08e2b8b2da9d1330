/** Partitions that a reading thread keeps open. */
import { type FileRef, OpenFile } from "./open-file.ts";

const MAX_OPEN = 64;
/** Of columns of series that are kept decoded. */
const MAX_COLUMN_BYTES = 192 * 1024 * 1024;

export class FileCache {
  /** Least recently used first. */
  readonly #open = new Map<string, OpenFile>();

  /** Runs with one state of the file. @throws DamagedFile; what the file system says when it is not there */
  use<Result>({ path }: Pick<FileRef, "path">, body: (file: OpenFile) => Result): Result {
    const file = this.#open.get(path) ?? new OpenFile(path);
    this.#open.delete(path);
    this.#open.set(path, file);
    const [oldest] = this.#open.keys();
    if (this.#open.size > MAX_OPEN && oldest !== undefined) this.close(oldest);
    const result = file.reading(() => body(file));
    this.#dropColumns(file);
    return result;
  }

  #dropColumns(last: OpenFile): void {
    let bytes = 0;
    for (const file of this.#open.values()) bytes += file.columnBytes;
    for (const file of this.#open.values()) {
      if (bytes <= MAX_COLUMN_BYTES || file === last) return;
      bytes -= file.columnBytes;
      file.dropColumns();
    }
  }

  /** It was removed, moved aside or changed as a whole. */
  close(path: string): void {
    this.#open.get(path)?.close();
    this.#open.delete(path);
  }

  closeAll(): void {
    for (const path of [...this.#open.keys()]) this.close(path);
  }
}
