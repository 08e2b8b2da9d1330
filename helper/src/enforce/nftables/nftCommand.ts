/**
 * Runs `nft`: the only file of this backend that starts a program. By an absolute path, without a shell, with the script
 * on its standard input, for a limited time and with limited output. A script is one transaction: the kernel takes all
 * of it or none.
 */
import { spawn, spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { ErrorCode, Failure } from "@wardline/domain/errors";

const PATHS = ["/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft", "/usr/bin/nft", "/run/current-system/sw/bin/nft"];
/** Scripts that only change who decides. Milliseconds as a rule; nft reads the whole table first where it is large. */
const SHORT_TIMEOUT_MS = 60_000;
/** Whole programs: 100,000 elements take three seconds on an idle machine. */
const LONG_TIMEOUT_MS = 120_000;
const MAX_OUTPUT_BYTES = 1 << 20;
const MAX_QUOTED_LENGTH = 400;
const GROUP_OR_OTHERS_WRITE = 0o022;

/** Program and first arguments: tests enter a network namespace with them. */
export type NftProgram = readonly [program: string, ...leading: string[]];

/** Path of an `nft` that only root can change, or `null`. */
export function findNft(): string | null {
  return PATHS.find(isTrusted) ?? null;
}

function isTrusted(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true && found.uid === 0 && (found.mode & GROUP_OR_OTHERS_WRITE) === 0;
}

interface Ended {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
}

export class NftCommand {
  readonly #program: string;
  readonly #leading: readonly string[];

  constructor([program, ...leading]: NftProgram) {
    this.#program = program;
    this.#leading = leading;
  }

  /** What `nft --version` prints. Throws `Failure`. */
  version(): string {
    return this.#runNow(["--version"], "").output.trim();
  }

  /** Lets kernel and nft look at a script and changes nothing. Throws `Failure` KERNEL_REFUSED with their words. */
  checkNow(script: string): void {
    this.#runNow(["-c", "-f", "-"], script);
  }

  /** As {@link checkNow}, without holding up the process. */
  async check(script: string): Promise<void> {
    await this.#run(["-c", "-f", "-"], script);
  }

  /** One transaction. Throws `Failure` KERNEL_REFUSED; then nothing was changed. */
  applyNow(script: string): void {
    this.#runNow(["-f", "-"], script);
  }

  /** As {@link applyNow}, without holding up the process. */
  async apply(script: string): Promise<void> {
    await this.#run(["-f", "-"], script);
  }

  #runNow(options: readonly string[], input: string): Ended {
    const ran = spawnSync(this.#program, [...this.#leading, ...options], {
      input,
      timeout: SHORT_TIMEOUT_MS,
      killSignal: "SIGKILL",
      maxBuffer: MAX_OUTPUT_BYTES,
      env: ENVIRONMENT,
    });
    // It may refuse and end before it has read everything: then its own words count.
    const isRefusal = ran.error !== undefined && "code" in ran.error && ran.error.code === "EPIPE";
    if (ran.error && !isRefusal) throw notRun(ran.error.message);
    return checked({ status: ran.status, output: ran.stdout.toString(), errors: ran.stderr.toString() });
  }

  async #run(options: readonly string[], input: string): Promise<Ended> {
    const child = spawn(this.#program, [...this.#leading, ...options], {
      timeout: LONG_TIMEOUT_MS,
      killSignal: "SIGKILL",
      env: ENVIRONMENT,
    });
    let [output, errors] = ["", ""];
    const bounded = (text: string, chunk: unknown): string => (text + String(chunk)).slice(0, MAX_OUTPUT_BYTES);
    child.stdout.on("data", (chunk) => {
      output = bounded(output, chunk);
    });
    child.stderr.on("data", (chunk) => {
      errors = bounded(errors, chunk);
    });
    // As above.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.once("error", (error) => reject(notRun(error.message)));
    child.once("close", resolve);
    return checked({ status: await promise, output, errors });
  }
}

const ENVIRONMENT = { LC_ALL: "C" };

function checked(ended: Ended): Ended {
  if (ended.status === 0) return ended;
  if (ended.status === null) throw notRun("it was stopped because it took too long or said too much");
  throw new Failure({
    code: ErrorCode.KERNEL_REFUSED,
    message: `nft refused the rules: ${quoted(ended.errors)}`,
    hint: "Nothing was changed.",
  });
}

function notRun(reason: string): Failure {
  return new Failure({ code: ErrorCode.KERNEL_REFUSED, message: `nft did not run: ${reason}.` });
}

/** Its own words on one line, without the script that it repeats below them. */
function quoted(errors: string): string {
  const lines = errors.split("\n").filter((line) => /\berror\b/i.test(line));
  const text = (lines.length > 0 ? lines.join(" ") : errors).replaceAll(/[^\x20-\x7e]+/g, " ").trim();
  return text.length > MAX_QUOTED_LENGTH ? `${text.slice(0, MAX_QUOTED_LENGTH)}…` : text || "it gave no reason";
}
