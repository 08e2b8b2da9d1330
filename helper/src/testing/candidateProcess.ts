/** Starts `candidateProcessMain.ts` and keeps what it says. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { RecordedLead, RecordedWrite } from "@wardline/domain/cluster";
import { standStill } from "@wardline/domain/testing/machine";

const MAIN = fileURLToPath(new URL("./candidateProcessMain.ts", import.meta.url));

export interface CandidateArguments {
  readonly name: string;
  readonly endpoints: readonly string[];
  readonly leaseMs: number;
  readonly writeEveryMs: number;
  /** Of the keys that are written under the fence; ends with a slash. */
  readonly prefix: string;
}

/** Times are of CLOCK_BOOTTIME, one for all processes; numbers of 64 bits are text. */
export type CandidateLine =
  | { readonly kind: "ready" }
  | { readonly kind: "leads"; readonly term: string; readonly createRevision: string; readonly atMs: number }
  | { readonly kind: "lost"; readonly term: string; readonly atMs: number }
  | {
      readonly kind: "write";
      readonly id: string;
      readonly term: string;
      readonly fromMs: number;
      readonly untilMs: number;
      readonly outcome: "written" | "refused" | "unknown";
    };

export type LeadsLine = Extract<CandidateLine, { kind: "leads" }>;

export class CandidateProcess {
  readonly name: string;
  readonly leads: (RecordedLead & { readonly createRevision: bigint; readonly atMs: number })[] = [];
  readonly writes: RecordedWrite[] = [];
  /** The term that it believes to hold, by what it said last. */
  holds: bigint | null = null;
  readonly #child: ChildProcess;
  readonly #ready: Promise<void>;

  constructor(options: CandidateArguments) {
    this.name = options.name;
    const words = ["--disable-warning=ExperimentalWarning", MAIN, JSON.stringify(options)];
    this.#child = spawn(process.execPath, words, { stdio: ["pipe", "pipe", "inherit"] });
    this.#ready = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("exit", () => reject(new Error(`${this.name} has ended`)));
      createInterface({ input: this.#child.stdout! }).on("line", (line) => {
        const said = JSON.parse(line) as CandidateLine;
        if (said.kind === "ready") resolve();
        else this.#note(said);
      });
    });
    this.#ready.catch(() => {});
  }

  ready(): Promise<void> {
    return this.#ready;
  }

  /** From when this resolves it does nothing, and keeps its connections. */
  async pause(): Promise<void> {
    await standStill(this.#child.pid ?? 0);
  }

  resume(): void {
    this.#child.kill("SIGCONT");
  }

  say(line: string): void {
    this.#child.stdin!.write(`${line}\n`);
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    // All that it said before has been read when its output is closed.
    const ended = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.kill("SIGKILL");
    await ended;
    this.holds = null;
  }

  #note(said: Exclude<CandidateLine, { kind: "ready" }>): void {
    const term = BigInt(said.term);
    if (said.kind === "leads") {
      this.holds = term;
      this.leads.push({ term, leader: this.name, createRevision: BigInt(said.createRevision), atMs: said.atMs });
    } else if (said.kind === "lost") this.holds = null;
    else {
      const { id, fromMs, untilMs, outcome } = said;
      this.writes.push({ id, term, writer: this.name, fromMs, untilMs, outcome });
    }
  }
}
