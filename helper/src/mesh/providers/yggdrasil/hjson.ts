/**
 * Reads JSON and the looser form of it in which Yggdrasil writes its configuration: comments, keys and values without quotes, commas
 * that are left out, braces around it all that may be missing. Bounded in depth; the caller bounds the size.
 */
const MAX_DEPTH = 32;

export class HjsonError extends Error {}

/** Objects have no prototype. Throws {@link HjsonError}. */
export function readHjson(text: string): unknown {
  return new Reader(text).document();
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const ENDS_KEY = new Set([":", "{", "}", "[", "]", ",", " ", "\t", "\r", "\n"]);
const ESCAPES: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  /** Of the line in which `#at` is, once it was looked for: looking for it with each value would take forever on a long line. */
  #lineEnd = -1;

  constructor(text: string) {
    this.#text = text;
  }

  document(): unknown {
    this.#skip();
    const first = this.#text[this.#at];
    const value = first === "{" || first === "[" ? this.#value() : this.#members("");
    this.#skip();
    if (this.#at < this.#text.length) throw this.#wrong("something follows the end");
    return value;
  }

  #value(): unknown {
    this.#skip();
    const sign = this.#text[this.#at];
    if (sign === undefined) throw this.#wrong("a value is missing");
    if (sign === "{" || sign === "[") return this.#nested(sign);
    if (this.#text.startsWith("'''", this.#at)) return this.#block();
    if (sign === '"' || sign === "'") return this.#quoted(sign);
    return this.#bare();
  }

  #nested(opening: "{" | "["): unknown {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw this.#wrong("it is nested too deeply");
    this.#at += 1;
    const value = opening === "{" ? this.#members("}") : this.#items();
    this.#depth -= 1;
    return value;
  }

  #members(closing: string): Record<string, unknown> {
    const members: Record<string, unknown> = Object.create(null);
    for (;;) {
      this.#skip(",");
      if (this.#isOver(closing)) return members;
      const key = this.#key();
      this.#skip();
      if (this.#text[this.#at] !== ":") throw this.#wrong("a colon is missing");
      this.#at += 1;
      members[key] = this.#value();
    }
  }

  #items(): unknown[] {
    const items: unknown[] = [];
    for (;;) {
      this.#skip(",");
      if (this.#isOver("]")) return items;
      items.push(this.#value());
    }
  }

  #isOver(closing: string): boolean {
    const sign = this.#text[this.#at];
    if (sign === undefined && closing === "") return true;
    if (sign === undefined) throw this.#wrong("it ends in the middle");
    if (sign !== closing) return false;
    this.#at += 1;
    return true;
  }

  #key(): string {
    const sign = this.#text[this.#at];
    if (sign === '"' || sign === "'") return this.#quoted(sign);
    const start = this.#at;
    while (this.#at < this.#text.length && !ENDS_KEY.has(this.#text[this.#at]!)) this.#at += 1;
    if (this.#at === start) throw this.#wrong("a name is missing");
    return this.#text.slice(start, this.#at);
  }

  #quoted(quote: string): string {
    const parts: string[] = [];
    this.#at += 1;
    for (;;) {
      const sign = this.#text[this.#at];
      if (sign === undefined || sign === "\n") throw this.#wrong("a text has no end");
      this.#at += 1;
      if (sign === quote) return parts.join("");
      parts.push(sign === "\\" ? this.#escape() : sign);
    }
  }

  #escape(): string {
    const sign = this.#text[this.#at] ?? "";
    this.#at += 1;
    if (sign !== "u") return ESCAPES[sign] ?? sign;
    const digits = this.#text.slice(this.#at, this.#at + 4);
    if (!/^[0-9A-Fa-f]{4}$/.test(digits)) throw this.#wrong("an escape is not understood");
    this.#at += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  /** Three quotes, lines, three quotes. */
  #block(): string {
    const start = this.#at + 3;
    const end = this.#text.indexOf("'''", start);
    if (end === -1) throw this.#wrong("a text has no end");
    this.#at = end + 3;
    return this.#text.slice(start, end).trim();
  }

  /** To the end of the line: a word, a number, or a text without quotes, which may have commas and comment signs in it. */
  #bare(): unknown {
    if (this.#lineEnd < this.#at) {
      const newline = this.#text.indexOf("\n", this.#at);
      this.#lineEnd = newline === -1 ? this.#text.length : newline;
    }
    const line = this.#text.slice(this.#at, this.#lineEnd);
    const [word = ""] = /^[^,\]}#\s]*/.exec(line) ?? [];
    const next = line.slice(word.length).trimStart();
    const endsHere = next === "" || /^(,|\]|\}|#|\/\/|\/\*)/.test(next);
    const known = endsHere ? literal(word) : undefined;
    if (known !== undefined) {
      this.#at += word.length;
      return known;
    }
    if (/^[,\]}:]/.test(line)) throw this.#wrong("a value is missing");
    this.#at += line.length;
    return line.trim();
  }

  #skip(alsoSkipped = ""): void {
    for (;;) {
      const sign = this.#text[this.#at];
      if (sign === undefined) return;
      if (sign === "#" || this.#text.startsWith("//", this.#at)) this.#to("\n");
      else if (this.#text.startsWith("/*", this.#at)) this.#to("*/");
      else if (sign === alsoSkipped || /\s/.test(sign)) this.#at += 1;
      else return;
    }
  }

  #to(end: string): void {
    const found = this.#text.indexOf(end, this.#at);
    this.#at = found === -1 ? this.#text.length : found + end.length;
  }

  #wrong(what: string): HjsonError {
    const line = this.#text.slice(0, this.#at).split("\n").length;
    return new HjsonError(`line ${line}: ${what}`);
  }
}

function literal(word: string): unknown {
  if (word === "true") return true;
  if (word === "false") return false;
  if (word === "null") return null;
  return NUMBER.test(word) ? Number(word) : undefined;
}
