/**
 * What this backend asks of pf, as calls of pfctl. Every method throws `Failure` KERNEL_REFUSED with pf's own words when
 * pf refuses. Formats are those of the pfctl of macOS, whose pf comes from OpenBSD 4.3.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { PfCommands, PfctlResult } from "./commands.ts";

export interface LabelCounter {
  readonly label: string;
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** Said on every call or every load, whatever happens. */
const CHATTER = [
  /^No ALTQ support in kernel$/,
  /^ALTQ related functions disabled$/,
  /Use of -f option, could result in flushing of rules$/,
  /^present in the main ruleset added by the system at startup\.$/,
  /^See \/etc\/pf\.conf for further details\.$/,
];
/** pfctl lists what it can, says this, and still ends with 0. */
const LISTING_FAILED = /^pfctl: DIOC[A-Z]+: (.*)$/m;
const NO_SUCH_ANCHOR = /DIOC[A-Z]+: Invalid argument|\bAnchor\b.* (?:does not exist|not found)/;

export class Pfctl {
  readonly #commands: PfCommands;

  constructor(commands: PfCommands) {
    this.#commands = commands;
  }

  isEnabled(): boolean {
    return /^Status:\s+Enabled\b/m.test(this.#list("tell its status", ["-s", "info"]).join("\n"));
  }

  /** Turns pf on if it is off, and holds it on until the token is given back, whatever others do with theirs. */
  acquireToken(): string {
    const { stdout, stderr } = this.#run("be enabled", ["-E"]);
    const token = /^\s*Token\s*:\s*(\d+)\s*$/m.exec(`${stdout}\n${stderr}`)?.[1];
    if (token === undefined) throw refused("be enabled", "it gave no token");
    return token;
  }

  releaseToken(token: string): void {
    this.#run("take its token back", ["-X", token]);
  }

  /** Whether pf still counts this token. All tokens are void after somebody's `pfctl -d`. */
  holdsToken(token: string): boolean {
    const lines = this.#list("list who holds it enabled", ["-s", "References"]);
    return lines.some((line) => line.trim().split(/\s+/).includes(token));
  }

  mainRules(): readonly string[] {
    return this.#list("list its main rules", ["-s", "rules"]);
  }

  /** Rules of an anchor; none when there is no such anchor. */
  anchorRules(anchor: string): readonly string[] {
    return this.#list("list the rules of Wardline", ["-a", anchor, "-s", "rules"], true);
  }

  anchorTables(anchor: string): readonly string[] {
    return this.#list("list the tables of Wardline", ["-a", anchor, "-s", "Tables"], true).map((line) => line.trim());
  }

  /** Prefixes as pf prints them, with `!` in front of negated ones. */
  tableEntries(anchor: string, table: string): readonly string[] {
    const lines = this.#list("list a table of Wardline", ["-a", anchor, "-t", table, "-T", "show"]);
    return lines.map((line) => line.replaceAll(/\s+/g, ""));
  }

  /** One line for each rule with a label, since the rules were loaded. */
  labelCounters(anchor: string): readonly LabelCounter[] {
    return this.#list("count", ["-a", anchor, "-s", "labels"], true).flatMap((line) => {
      const [, label, packets, bytes] = /^(\S+) \d+ (\d+) (\d+)\b/.exec(line) ?? [];
      if (label === undefined || packets === undefined || bytes === undefined) return [];
      return [{ label, packets: BigInt(packets), bytes: BigInt(bytes) }];
    });
  }

  /** Only reads the text. That an interface or a table has room for it is not known before the load. */
  checkAnchor(anchor: string, text: string): void {
    this.#run("accept the rules", ["-a", anchor, "-o", "none", "-n", "-f", "-"], text);
  }

  /**
   * Replaces everything in the anchor, in one transaction of the kernel: without `-R`, `-N` or `-A` pfctl opens it for
   * rules of every kind and for tables, so that kinds which the text does not have end up empty. `-o none`: rules are
   * kept as they are written, or they could not be told from somebody else's when they are read back.
   */
  loadAnchor(anchor: string, text: string): void {
    this.#run("load the rules", ["-a", anchor, "-o", "none", "-f", "-"], text);
  }

  flushAnchor(anchor: string): void {
    this.#run("flush the rules of Wardline", ["-a", anchor, "-F", "all"]);
  }

  checkMain(text: string): void {
    this.#run("accept the main rules", ["-n", "-f", "-"], text);
  }

  /** Replaces the main scrub and filter rules and nothing else: translation, options, tables and anchors stay. */
  loadMainFilter(text: string): void {
    this.#run("load the main rules", ["-o", "none", "-R", "-f", "-"], text);
  }

  states(): readonly string[] {
    return this.#list("list its states", ["-s", "states"]);
  }

  /** Ends the states that `source` opened (an address or a prefix), to `destination` only when that is not `null`. */
  killStates(source: string, destination: string | null): void {
    const ends = destination === null ? ["-k", source] : ["-k", source, "-k", destination];
    this.#run("end states", ends);
  }

  #list(intention: string, commandLine: readonly string[], mayBeMissing = false): readonly string[] {
    const result = this.#commands.run(commandLine);
    if (mayBeMissing && NO_SUCH_ANCHOR.test(result.stderr)) return [];
    const failed = LISTING_FAILED.exec(result.stderr);
    if (failed) throw refused(intention, failed[1] ?? "");
    checkEnd(intention, result);
    return result.stdout.split("\n").filter((line) => line.trim() !== "");
  }

  #run(intention: string, commandLine: readonly string[], input?: string): PfctlResult {
    const result = this.#commands.run(commandLine, input);
    checkEnd(intention, result);
    return result;
  }
}

function checkEnd(intention: string, { exitCode, stderr, problem }: PfctlResult): void {
  if (exitCode === 0) return;
  throw refused(intention, problem ?? (wordsOf(stderr) || `exit code ${exitCode}`));
}

const MAX_WORDS_LENGTH = 600;

/** What pfctl said, apart from what it always says. */
function wordsOf(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim());
  const said = lines.filter((line) => line !== "" && !CHATTER.some((pattern) => pattern.test(line)));
  const words = said.map((line) => line.replace(/^pfctl: /, "")).join("; ");
  return words.length > MAX_WORDS_LENGTH ? `${words.slice(0, MAX_WORDS_LENGTH)}…` : words;
}

function refused(intention: string, words: string): Failure {
  const isDenied = /permission denied|operation not permitted/i.test(words);
  return new Failure({
    code: ErrorCode.KERNEL_REFUSED,
    message: `pf did not ${intention}: ${words}.`,
    hint: isDenied ? "Run the agent as root." : "",
  });
}
