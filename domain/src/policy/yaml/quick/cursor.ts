/** Where the quick reader stands in one document's text, and its way out when it meets what it does not read. */
import type { MapEntry, YamlNode } from "../node.ts";
import { Gathering } from "./gathering.ts";

export const CHARACTER = {
  tab: 0x09,
  lineFeed: 0x0a,
  carriageReturn: 0x0d,
  space: 0x20,
  exclamation: 0x21,
  doubleQuote: 0x22,
  hash: 0x23,
  percent: 0x25,
  ampersand: 0x26,
  singleQuote: 0x27,
  asterisk: 0x2a,
  plus: 0x2b,
  comma: 0x2c,
  minus: 0x2d,
  dot: 0x2e,
  colon: 0x3a,
  greater: 0x3e,
  question: 0x3f,
  at: 0x40,
  openBracket: 0x5b,
  backslash: 0x5c,
  closeBracket: 0x5d,
  backtick: 0x60,
  openBrace: 0x7b,
  pipe: 0x7c,
  closeBrace: 0x7d,
} as const;

/** Thrown inside this folder only: the document is left to the full parser. */
/** A reason to decline that is a verdict, too: the full parser has the same limit. */
export const TOO_DEEP = "the depth of nesting";

export class Declined extends Error {
  readonly offset: number;

  constructor(offset: number, reason: string) {
    super(reason);
    this.offset = offset;
  }
}

export interface CursorLimits {
  readonly maxDepth: number;
  readonly maxNodesPerDocument: number;
}

/**
 * Every method leaves the cursor behind what it read. Its offsets are UTF-16 code units from the start of the text, of
 * which the document is a part (cutting it out would make every look at a character slower); spans count from the start of
 * the document. The end of the document counts as a line end.
 */
export class Cursor {
  readonly text: string;
  /** Where the document starts in the text. */
  readonly base: number;
  /** Where it ends. */
  readonly end: number;
  /** The offset of the next character to read. */
  at: number;
  /** Where the line of `at` starts. */
  lineStart: number;
  /** Spaces before the content of the line that `toContentLine` found; -1 at the end of the document. */
  indent = 0;
  nodeCount = 0;
  /** Of the mappings that are being read. */
  readonly entries = new Gathering<MapEntry>();
  /** Of the lists that are being read. */
  readonly items = new Gathering<YamlNode>();
  /** The keys of mappings with many of them, by where their entries begin. */
  readonly keySets = new Map<number, Set<string>>();
  readonly limits: CursorLimits;

  constructor(text: string, base: number, end: number, limits: CursorLimits) {
    this.text = text;
    this.base = base;
    this.end = end;
    this.at = base;
    this.lineStart = base;
    this.limits = limits;
  }

  decline(reason: string, offset = this.at): never {
    throw new Declined(offset - this.base, reason);
  }

  /** NaN at the end. */
  code(offset = this.at): number {
    return offset < this.end ? this.text.charCodeAt(offset) : Number.NaN;
  }

  countNode(depth: number): void {
    this.nodeCount += 1;
    if (this.nodeCount > this.limits.maxNodesPerDocument) this.decline("the number of values");
    if (depth > this.limits.maxDepth) this.decline(TOO_DEEP);
  }

  /** Whether so many values more, of which some are so deep, are within the limits. */
  hasRoom(nodes: number, depth: number): boolean {
    return this.nodeCount + nodes <= this.limits.maxNodesPerDocument && depth <= this.limits.maxDepth;
  }

  /** Whether a line ends here; a carriage return counts only before a line feed. */
  isLineEnd(offset = this.at): boolean {
    const code = this.text.charCodeAt(offset);
    return (
      code === CHARACTER.lineFeed ||
      (code === CHARACTER.carriageReturn && this.text.charCodeAt(offset + 1) === CHARACTER.lineFeed) ||
      offset >= this.end
    );
  }

  /** White space in the sense of the lexer: what makes `-`, `?` and `:` indicators. */
  isBlank(offset: number): boolean {
    const code = this.text.charCodeAt(offset);
    return code === CHARACTER.space || code === CHARACTER.tab || this.isLineEnd(offset);
  }

  skipSpaces(): void {
    const { text } = this;
    let { at } = this;
    while (text.charCodeAt(at) === CHARACTER.space) at += 1;
    this.at = at;
  }

  /** From the start of a line past those without a character. */
  skipEmptyLines(): void {
    const { text, end } = this;
    let { at } = this;
    while (at < end && text.charCodeAt(at) === CHARACTER.lineFeed) at += 1;
    this.at = at;
    this.lineStart = at;
  }

  /** Past the line end here. */
  takeLineEnd(): void {
    if (this.at < this.end) this.at += this.text.charCodeAt(this.at) === CHARACTER.carriageReturn ? 2 : 1;
    this.lineStart = this.at;
  }

  /** Past the rest of a comment and its line end. */
  takeComment(): void {
    const found = this.text.indexOf("\n", this.at);
    this.at = found < 0 ? this.end : found + 1;
    this.lineStart = this.at;
  }

  /** Past spaces, a comment and the line end; anything else is declined. */
  finishLine(): void {
    const from = this.at;
    this.skipSpaces();
    if (this.isLineEnd()) this.takeLineEnd();
    else if (this.code() === CHARACTER.hash && this.at > from) this.takeComment();
    else this.decline("what follows a value in its line");
  }

  /** From the start of a line to the content of the next line that has any. `indent` says how far it is indented. */
  toContentLine(): void {
    while (this.at < this.end) {
      this.skipEmptyLines();
      this.skipSpaces();
      if (this.isLineEnd()) this.takeLineEnd();
      else if (this.code() === CHARACTER.hash) this.takeComment();
      else if (this.code() === CHARACTER.tab) this.decline("a tab before the content of a line");
      else {
        this.indent = this.at - this.lineStart;
        return;
      }
    }
    this.lineStart = this.end;
    this.indent = -1;
  }

  /** Whether `-` of a list entry stands here. */
  isDash(): boolean {
    return this.text.charCodeAt(this.at) === CHARACTER.minus && this.isBlank(this.at + 1);
  }
}
