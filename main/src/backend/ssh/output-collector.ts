/** Output of a command on a machine: bounded, and cut into lines for whoever follows it. */
import { StringDecoder } from "node:string_decoder";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { RunOptions } from "./ssh-session.ts";

const USUAL_MOST_BYTES = 1024 * 1024;
const LONGEST_LINE = 16 * 1024;

export class OutputCollector {
  readonly #hostName: string;
  readonly #mostBytes: number;
  readonly #onLine: ((line: string) => void) | undefined;
  readonly #chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  readonly #bytes = { stdout: 0, stderr: 0 };
  readonly #decoder = new StringDecoder("utf8");
  #line = "";

  constructor(hostName: string, { maxOutputBytes = USUAL_MOST_BYTES, onLine }: RunOptions) {
    this.#hostName = hostName;
    this.#mostBytes = maxOutputBytes;
    this.#onLine = onLine;
  }

  /** What went wrong, else `null`. */
  add(which: "stdout" | "stderr", chunk: Buffer): Failure | null {
    this.#bytes[which] += chunk.length;
    if (this.#bytes[which] > this.#mostBytes) {
      return new Failure({
        code: ErrorCode.TOO_LARGE,
        message: `A command on ${this.#hostName} wrote more than ${this.#mostBytes.toLocaleString("en")} bytes; it was ended.`,
        hint: "The machine does not behave as expected.",
      });
    }
    this.#chunks[which].push(chunk);
    if (which === "stdout") this.#follow(chunk);
    return null;
  }

  result(): { stdout: string; stderr: string } {
    if (this.#line !== "") this.#onLine?.(this.#line);
    this.#line = "";
    const text = (which: "stdout" | "stderr") => Buffer.concat(this.#chunks[which]).toString("utf8");
    return { stdout: text("stdout"), stderr: text("stderr") };
  }

  #follow(chunk: Buffer): void {
    if (!this.#onLine) return;
    const lines = (this.#line + this.#decoder.write(chunk)).split("\n");
    this.#line = (lines.pop() ?? "").slice(0, LONGEST_LINE);
    for (const line of lines) this.#onLine(line.slice(0, LONGEST_LINE));
  }
}
