import type { YAMLError } from "yaml";
import type { DiagnosticCode } from "../check/registry.ts";
import { replaceFix } from "../check/sink.ts";
import type { Reporter } from "./reporter.ts";

/** One broken quote makes hundreds of errors; the first few say it. */
const MAX_SYNTAX_ERRORS_PER_DOCUMENT = 10;
const MAX_BAD_CHARACTERS_PER_FILE = 20;

/** Characters that YAML does not allow in a stream, lone carriage returns and surrogates included. */
const BAD_CHARACTERS =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u0084\u0086-\u009F\uFFFE\uFFFF]|\r(?!\n)|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]|(?<!^)\uFEFF/g;

/** A quick look: most files are plain ASCII. */
const MAY_BE_BAD = /[^\n\x20-\x7E]/;

/**
 * Reports the characters that may not be in the text and returns the text with each replaced, so that no offset moves
 * and the parser, which marks its tokens with some of them, is not misled.
 */
export function reportBadCharacters(text: string, report: Reporter): string {
  if (!MAY_BE_BAD.test(text)) return text;
  let count = 0;
  return text.replace(BAD_CHARACTERS, (character: string, offset: number) => {
    count += 1;
    if (count <= MAX_BAD_CHARACTERS_PER_FILE) {
      report.report("WL105", { start: offset, end: offset + 1 }, describeBadCharacter(character.charCodeAt(0)));
    }
    return "\uFFFD";
  });
}

function describeBadCharacter(code: number): string {
  const name = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  if (code === 0) return "A NUL byte is not allowed in a policy file.";
  if (code === 0x0d) return "A carriage return without a line feed is not allowed; end lines with LF or CRLF.";
  if (code === 0xfeff) return "A byte order mark is allowed at the start of the file only.";
  if (code >= 0xd800 && code <= 0xdfff) return `Half of a surrogate pair (${name}) is not a character.`;
  return `The control character ${name} is not allowed in a policy file.`;
}

/** Reports what the YAML parser found wrong in one document. Returns whether there was anything. */
export function reportSyntaxErrors(errors: readonly YAMLError[], report: Reporter): boolean {
  let lastLine = 0;
  let count = 0;
  for (const error of errors) {
    // After the first error in a line, the parser stumbles over the rest of it.
    const { line } = report.range(spanOf(error));
    if (line === lastLine) continue;
    lastLine = line;
    count += 1;
    if (count > MAX_SYNTAX_ERRORS_PER_DOCUMENT) {
      report.report("WL117", spanOf(error), "More syntax problems in this document are not listed.");
      break;
    }
    reportSyntaxError(error, report);
  }
  return errors.length > 0;
}

function spanOf(error: YAMLError): { start: number; end: number } {
  return { start: error.pos[0], end: Math.max(error.pos[1], error.pos[0]) };
}

function reportSyntaxError(error: YAMLError, report: Reporter): void {
  const span = spanOf(error);
  if (error.code === "TAB_AS_INDENT") {
    const tabs = { start: span.start, end: span.start + 1 };
    while (report.textOf({ start: tabs.end, end: tabs.end + 1 }) === "\t") tabs.end += 1;
    const fix = replaceFix("Replace tabs by spaces", report.range(tabs), "  ".repeat(tabs.end - tabs.start));
    report.report("WL102", tabs, "YAML is indented with spaces; a tab is not allowed here.", fix);
    return;
  }
  const [code, message] = explain(error);
  report.report(code, span, message);
}

const CHECK_INDENTATION = "Check the indentation and the line above.";

/** Plain words for the parser's commonest messages; `$1` is what the pattern captured. */
const PLAIN_MESSAGES: readonly (readonly [RegExp, DiagnosticCode, string])[] = [
  [
    /^Flow (?:map|sequence) .*end with a (.)$/,
    "WL101",
    'An opening bracket has no "$1", or the line is not indented enough.',
  ],
  [/^Missing closing (.)quote$/, "WL101", "A text that starts with $1 has no closing quote."],
  [
    /^Nested mappings are not/,
    "WL101",
    'A second ": " in one line. Put the value in quotes if the colon belongs to it.',
  ],
  [/^Implicit keys need to be/, "WL101", `A key has no colon or is spread over lines. ${CHECK_INDENTATION}`],
  [/^Implicit map keys need to be/, "WL101", `A key has no colon after it. ${CHECK_INDENTATION}`],
  [/^A block sequence may not be/, "WL101", `A list stands where a key belongs. ${CHECK_INDENTATION}`],
  [/^Unexpected .* (?:at node end|token in YAML stream)/, "WL101", `Nothing may follow here. ${CHECK_INDENTATION}`],
  [/^All mapping items must/, "WL104", "The line is not aligned with the other keys of its mapping."],
  [/^All (?:sequence|collection) items must/, "WL104", "The line is not aligned with the other entries of its list."],
];

function explain(error: YAMLError): readonly [DiagnosticCode, string] {
  for (const [pattern, code, text] of PLAIN_MESSAGES) {
    const found = pattern.exec(error.message);
    if (found) return [code, text.replace("$1", () => (found[1] ?? "").slice(0, 60))];
  }
  switch (error.code) {
    case "BAD_INDENT":
      return ["WL104", `The indentation does not fit: ${lowerFirst(error.message)}.`];
    case "BAD_ALIAS":
    case "ALIAS_PROPS":
    case "MULTIPLE_ANCHORS":
      return ["WL106", `${clip(error.message)}.`];
    case "TAG_RESOLVE_FAILED":
    case "BAD_DIRECTIVE":
    case "MULTIPLE_TAGS":
      return ["WL112", `${clip(error.message)}.`];
    case "RESOURCE_EXHAUSTION":
      return ["WL108", "The document is nested too deeply to be read."];
    default:
      return ["WL101", `This is not valid YAML: ${lowerFirst(error.message)}.`];
  }
}

/** The parser's messages quote the file, and a name or a directive in it may be as long as the file. */
function clip(message: string): string {
  return message.replace(/\s+/g, " ").slice(0, 200);
}

/** The parser's messages start with a capital and quote the text; only the first letter of a word is lowered. */
function lowerFirst(message: string): string {
  const oneLine = clip(message);
  return /^[A-Z][a-z]/.test(oneLine) ? oneLine[0]!.toLowerCase() + oneLine.slice(1) : oneLine;
}
