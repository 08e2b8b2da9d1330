/** A process of its own that runs a pinned program on packets without end, and tells of drops and delays. */
import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("./native/probe.c", import.meta.url));

export interface ProbeResult {
  readonly sent: number;
  readonly dropped: number;
  /** Longest time between two answers. */
  readonly longestNs: number;
}

export interface ProbeOptions {
  readonly pinPath: string;
  readonly interfaceIndex: number;
  /** Ends by itself after so many packets; never unless given. */
  readonly count?: number;
  /** Waits so long between packets and runs before everything else on its CPU; as fast as it can unless given. */
  readonly paceUs?: number;
}

export class PacketProbe {
  readonly #directory = mkdtempSync(join(tmpdir(), "wardline-probe-"));
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #ended: Promise<unknown>;
  #output = "";

  constructor({ pinPath, interfaceIndex, count = 0, paceUs = 0 }: ProbeOptions) {
    const path = join(this.#directory, "probe");
    execFileSync("clang", ["-O2", "-o", path, SOURCE]);
    const args = [pinPath, interfaceIndex, count, paceUs].map(String);
    this.#process = spawn(path, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#process.stdout.on("data", (text: Buffer) => {
      this.#output += text.toString();
    });
    this.#ended = once(this.#process, "close");
  }

  async ready(): Promise<void> {
    while (!this.#output.startsWith("ready"))
      await Promise.race([once(this.#process.stdout, "data"), this.#ended.then(() => this.#result())]);
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null;
  }

  /** Waits for the end that `count` brings. */
  async finished(): Promise<ProbeResult> {
    await this.#ended;
    return this.#result();
  }

  async stop(): Promise<ProbeResult> {
    this.#process.stdin.end();
    return this.finished();
  }

  #result(): ProbeResult {
    rmSync(this.#directory, { recursive: true, force: true });
    const [sent, dropped, longestNs] = (this.#output.split("\n")[1] ?? "").split(" ").map(Number);
    if (sent === undefined || dropped === undefined || longestNs === undefined)
      throw new Error(`the probe ended without an answer: ${this.#output}`);
    return { sent, dropped, longestNs };
  }
}
