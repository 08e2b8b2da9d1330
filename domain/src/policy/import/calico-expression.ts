/** The selector language of Calico (libcalico-go `lib/selector`), as far as it means label requirements that all hold. */
import type { LabelRequirement } from "../model.ts";

export type CalicoSelector =
  | { readonly ok: true; readonly requirements: readonly LabelRequirement[] }
  /** `syntax` = no selector at all; otherwise one that requirements cannot express. */
  | { readonly ok: false; readonly problem: "syntax" | "meaning"; readonly message: string };

const MAX_LENGTH = 4096;
const MAX_DEPTH = 32;

/** The selector of a text; empty means everything, as `all()` does. */
export function parseCalicoSelector(text: string): CalicoSelector {
  if (text.trim() === "") return { ok: true, requirements: [] };
  if (text.length > MAX_LENGTH) return syntax(`it has more than ${MAX_LENGTH} characters`);
  try {
    return { ok: true, requirements: new Parser(tokenize(text)).parse() };
  } catch (error) {
    if (error instanceof Problem) return { ok: false, problem: error.problem, message: error.message };
    throw error;
  }
}

/** Thrown inside this file only. */
class Problem extends Error {
  readonly problem: "syntax" | "meaning";

  constructor(problem: "syntax" | "meaning", message: string) {
    super(message);
    this.problem = problem;
  }
}

function syntax(message: string): CalicoSelector {
  return { ok: false, problem: "syntax", message };
}

interface Token {
  readonly kind: "word" | "text" | "sign" | "end";
  readonly value: string;
}

const TOKEN = /\s*(?:([A-Za-z0-9_][A-Za-z0-9_./-]*)|"([^"]*)"|'([^']*)'|(==|!=|&&|\|\||[!(){},]))/y;

function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  let position = 0;
  while (position < text.length) {
    const found = TOKEN.exec(text);
    if (!found) {
      if (text.slice(position).trim() === "") break;
      throw new Problem("syntax", `"${text.slice(position).trim().slice(0, 20)}" does not belong here`);
    }
    const [, word, double, single, sign] = found;
    if (word !== undefined) tokens.push({ kind: "word", value: word });
    else if (sign !== undefined) tokens.push({ kind: "sign", value: sign });
    else tokens.push({ kind: "text", value: double ?? single ?? "" });
    position = TOKEN.lastIndex;
  }
  return tokens;
}

const END: Token = { kind: "end", value: "the end" };

class Parser {
  readonly #tokens: readonly Token[];
  #position = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): readonly LabelRequirement[] {
    const requirements = this.#alternatives();
    if (this.#peek().kind !== "end") this.#unexpected();
    return requirements;
  }

  /** `a || b`: one requirement only where both compare one label with values. */
  #alternatives(): readonly LabelRequirement[] {
    let left = this.#all();
    while (this.#takeSign("||")) {
      const right = this.#all();
      const [one, other] = [left[0], right[0]];
      const isOneLabel =
        left.length === 1 &&
        right.length === 1 &&
        one?.operator === "In" &&
        other?.operator === "In" &&
        one.key === other.key;
      if (!isOneLabel) throw new Problem("meaning", "alternatives (||) between different labels have no equal");
      left = [{ key: one.key, operator: "In", values: [...new Set([...one.values, ...other.values])] }];
    }
    return left;
  }

  #all(): readonly LabelRequirement[] {
    const requirements = [...this.#term()];
    while (this.#takeSign("&&")) requirements.push(...this.#term());
    return requirements;
  }

  #term(): readonly LabelRequirement[] {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw new Problem("syntax", `it is nested more than ${MAX_DEPTH} levels deep`);
    const requirements = this.#takeSign("!") ? [negate(this.#term())] : this.#primary();
    this.#depth -= 1;
    return requirements;
  }

  #primary(): readonly LabelRequirement[] {
    if (this.#takeSign("(")) {
      const inner = this.#alternatives();
      this.#needSign(")");
      return inner;
    }
    const word = this.#next("word");
    if (this.#takeSign("(")) return this.#call(word);
    return [this.#comparison(word)];
  }

  #call(name: string): readonly LabelRequirement[] {
    if (name === "has") {
      const key = this.#next("word");
      this.#needSign(")");
      return [{ key, operator: "Exists", values: [] }];
    }
    this.#needSign(")");
    if (name === "all") return [];
    if (name === "global")
      throw new Problem("meaning", "global() picks what has no namespace, and everything has one here");
    throw new Problem("syntax", `${name.slice(0, 40)}() is not known`);
  }

  #comparison(key: string): LabelRequirement {
    if (this.#takeSign("==")) return { key, operator: "In", values: [this.#next("text")] };
    if (this.#takeSign("!=")) return { key, operator: "NotIn", values: [this.#next("text")] };
    const word = this.#next("word");
    if (word === "in") return { key, operator: "In", values: this.#values() };
    if (word === "not") {
      if (this.#next("word") !== "in") throw new Problem("syntax", "after not comes in");
      return { key, operator: "NotIn", values: this.#values() };
    }
    if (["contains", "starts", "ends"].includes(word)) {
      throw new Problem("meaning", `comparing with a part of a value (${word}) has no equal`);
    }
    throw new Problem("syntax", `"${word.slice(0, 40)}" is no comparison`);
  }

  #values(): readonly string[] {
    this.#needSign("{");
    const values = [this.#next("text")];
    while (this.#takeSign(",")) values.push(this.#next("text"));
    this.#needSign("}");
    return values;
  }

  #peek(): Token {
    return this.#tokens[this.#position] ?? END;
  }

  #next(kind: "word" | "text"): string {
    const token = this.#peek();
    if (token.kind !== kind) this.#unexpected();
    this.#position += 1;
    return token.value;
  }

  #takeSign(sign: string): boolean {
    const token = this.#peek();
    if (token.kind !== "sign" || token.value !== sign) return false;
    this.#position += 1;
    return true;
  }

  #needSign(sign: string): void {
    if (!this.#takeSign(sign)) this.#unexpected();
  }

  #unexpected(): never {
    throw new Problem("syntax", `${this.#peek().value.slice(0, 40)} does not belong where it stands`);
  }
}

const OPPOSITE = { In: "NotIn", NotIn: "In", Exists: "DoesNotExist", DoesNotExist: "Exists" } as const;

function negate(requirements: readonly LabelRequirement[]): LabelRequirement {
  const [only, second] = requirements;
  if (!only || second) throw new Problem("meaning", "! before more than one comparison has no equal");
  return { ...only, operator: OPPOSITE[only.operator] };
}
