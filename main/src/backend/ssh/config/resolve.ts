/** Which values of the files hold for one machine: the first of each keyword, as ssh_config(5) says. */
import type { ConfigFile, LoadedConfig } from "./config-files.ts";
import type { ConfigLine } from "./config-lines.ts";
import { matchesPatternList } from "./patterns.ts";

export interface ConfigValue {
  readonly args: readonly string[];
  readonly rest: string;
  /** `path:line`. */
  readonly origin: string;
}

export interface ResolvedConfig {
  /** By keyword in lower case. */
  readonly values: ReadonlyMap<string, ConfigValue>;
  readonly identityFiles: readonly string[];
  readonly certificateFiles: readonly string[];
  /** What was left out, one sentence each. */
  readonly notes: readonly string[];
}

export interface ResolveInput {
  /** As given by the person, before HostName. */
  readonly alias: string;
  readonly localUser: string;
  /** What the person chose for this machine: counts before every file. */
  readonly overrides: ReadonlyMap<string, string>;
}

/** Keywords with one value for each line. */
const CUMULATIVE = new Set(["identityfile", "certificatefile"]);

export function resolveConfig(config: LoadedConfig, input: ResolveInput): ResolvedConfig {
  const resolver = new Resolver(input);
  resolver.pass(config.files, false);
  if (resolver.wantsFinalPass) {
    resolver.settleHostName();
    resolver.pass(config.files, true);
  }
  return resolver.result();
}

class Resolver {
  wantsFinalPass = false;
  readonly #input: ResolveInput;
  readonly #values = new Map<string, ConfigValue>();
  readonly #cumulative = new Map<string, Set<string>>([...CUMULATIVE].map((keyword) => [keyword, new Set()]));
  readonly #notes = new Set<string>();
  #isFinal = false;
  /** What `Host` lines are held against. */
  #host: string;

  constructor(input: ResolveInput) {
    this.#input = input;
    this.#host = input.alias;
    for (const [keyword, value] of input.overrides) {
      this.#values.set(keyword, { args: [value], rest: value, origin: "" });
    }
  }

  pass(files: readonly ConfigFile[], isFinal: boolean): void {
    this.#isFinal = isFinal;
    for (const file of files) this.#walk(file, true);
  }

  /** As ssh: the second pass is about the machine's own name, and can no longer change it. */
  settleHostName(): void {
    const known = this.#values.get("hostname");
    this.#host = this.#hostName();
    const name = this.#host.replaceAll("%", "%%");
    this.#values.set("hostname", { args: [name], rest: name, origin: known?.origin ?? "" });
  }

  result(): ResolvedConfig {
    const list = (keyword: string) => [...(this.#cumulative.get(keyword) ?? [])];
    return {
      values: this.#values,
      identityFiles: list("identityfile"),
      certificateFiles: list("certificatefile"),
      notes: [...this.#notes],
    };
  }

  #walk(file: ConfigFile, isReached: boolean): void {
    let isActive = isReached;
    for (const item of file.items) {
      if (item.kind === "include") {
        // What stands below a Host line that does not match stays out, whatever the included file says.
        for (const included of item.files) this.#walk(included, isActive);
        continue;
      }
      const { line, path } = item;
      if (line.keyword === "host") isActive = isReached && matchesPatternList(line.args, this.#host);
      // Judged in any case: as in ssh, a `Match final` that is never reached still asks for the second pass.
      else if (line.keyword === "match") isActive = this.#matches(line, path, isReached) && isReached;
      else if (isActive) this.#take(line, path);
    }
  }

  #hostName(): string {
    const { alias } = this.#input;
    const given = this.#values.get("hostname")?.args[0];
    if (given === undefined) return alias;
    return given.replace(/%([%h])/g, (_, token) => (token === "h" ? alias : "%"));
  }

  #take(line: ConfigLine, path: string): void {
    const [first] = line.args;
    if (first === undefined) return;
    const list = this.#cumulative.get(line.keyword);
    if (list) list.add(first);
    else if (!this.#values.has(line.keyword)) {
      this.#values.set(line.keyword, { args: line.args, rest: line.rest, origin: `${path}:${line.line}` });
    }
  }

  #matches(line: ConfigLine, path: string, isReached: boolean): boolean {
    const args = [...line.args];
    let isMatched = args.length > 0;
    while (args.length > 0) {
      const word = args.shift() ?? "";
      const isNegated = word.startsWith("!");
      const [criterion = "", inline] = word.slice(isNegated ? 1 : 0).split(/=(.*)/s);
      const name = criterion.toLowerCase();
      const judged = this.#judge(name, () => inline ?? args.shift() ?? "");
      if (judged === null && isReached) this.#notes.add(`${path}:${line.line}: ${leftOut(name)}`);
      if (judged === null || judged === isNegated) isMatched = false;
    }
    return isMatched;
  }

  /** `null` when it cannot be known here: such a block never counts, negated or not. */
  #judge(criterion: string, value: () => string): boolean | null {
    const { alias, localUser } = this.#input;
    const current = (keyword: string, otherwise: string) => this.#values.get(keyword)?.args[0] ?? otherwise;
    const matches = (text: string) => matchesPatternList(value().split(","), text);
    switch (criterion) {
      case "all":
        return true;
      case "final":
        this.wantsFinalPass = true;
        return this.#isFinal;
      case "canonical":
        return this.#isFinal && this.wantsFinalPass;
      case "host":
        return matches(this.#hostName());
      case "originalhost":
        return matches(alias);
      case "user":
        return matches(current("user", localUser));
      case "localuser":
        return matches(localUser);
      default:
        value();
        return null;
    }
  }
}

function leftOut(criterion: string): string {
  const why = criterion === "exec" ? `"Match exec" is never run here` : `"Match ${criterion}" is not known here`;
  return `${why}; its block is left out.`;
}
