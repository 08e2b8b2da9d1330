/** Why this host is in no cluster any more, kept for whoever asks: `<state>/cluster/left.json`. */
import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../../files/atomicFile.ts";

const MAX_LENGTH = 2_000;

export class Notice {
  readonly #path: string;

  /** @param directory `<state>/cluster` */
  constructor(directory: string) {
    this.#path = join(directory, "left.json");
  }

  /** A sentence, or `null`. */
  read(): string | null {
    try {
      const { sentence } = JSON.parse(readFileSync(this.#path, "utf8").slice(0, 2 * MAX_LENGTH));
      return typeof sentence === "string" ? sentence.slice(0, MAX_LENGTH) : null;
    } catch {
      return null;
    }
  }

  write(sentence: string): Promise<void> {
    return replaceFile(this.#path, `${JSON.stringify({ sentence })}\n`);
  }

  remove(): Promise<void> {
    return rm(this.#path, { force: true });
  }
}
