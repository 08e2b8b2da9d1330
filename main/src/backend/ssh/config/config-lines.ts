/** Lines of an ssh_config file: keyword and arguments, with quotes as OpenSSH reads them. */

export interface ConfigLine {
  /** In lower case. */
  readonly keyword: string;
  readonly args: readonly string[];
  /** Everything behind the keyword as it stands there: for commands. */
  readonly rest: string;
  /** From 1. */
  readonly line: number;
}

export interface ConfigLineProblem {
  readonly line: number;
  readonly message: string;
}

const LONGEST_LINE = 8192;

export function readConfigLines(text: string): { lines: ConfigLine[]; problems: ConfigLineProblem[] } {
  const lines: ConfigLine[] = [];
  const problems: ConfigLineProblem[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const line = index + 1;
    const trimmed = raw.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    if (trimmed.length > LONGEST_LINE) {
      problems.push({ line, message: `the line has more than ${LONGEST_LINE} characters` });
      continue;
    }
    const [, keyword = "", rest = ""] = /^"?([A-Za-z0-9]+)"?(?:\s*=\s*|\s+|$)(.*)$/s.exec(trimmed) ?? [];
    const args = splitArguments(rest);
    if (keyword === "" || args === null) {
      problems.push({ line, message: keyword === "" ? "there is no keyword" : "a quote is not closed" });
      continue;
    }
    lines.push({ keyword: keyword.toLowerCase(), args, rest, line });
  }
  return { lines, problems };
}

/** `null` when a quote is not closed. A `#` at the beginning of an argument starts a comment. */
export function splitArguments(text: string): string[] | null {
  const args: string[] = [];
  let at = 0;
  while (at < text.length) {
    if (/\s/.test(text[at]!)) {
      at++;
      continue;
    }
    if (text[at] === "#") break;
    let quote = "";
    let argument = "";
    for (; at < text.length; at++) {
      const character = text[at]!;
      const next = text[at + 1];
      if (character === "\\" && next !== undefined && (/["'\\]/.test(next) || (quote === "" && next === " "))) {
        argument += next;
        at++;
      } else if (quote === "" && /\s/.test(character)) {
        break;
      } else if (quote === "" && (character === '"' || character === "'")) {
        quote = character;
      } else if (character === quote) {
        quote = "";
      } else {
        argument += character;
      }
    }
    if (quote !== "") return null;
    args.push(argument);
  }
  return args;
}
