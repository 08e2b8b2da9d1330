/** From text to words with their places. */
import { foldLookalikes, isAscii } from "../formats/suggest.ts";
import { MAX_TOKENS } from "./limits.ts";

/** Places are UTF-16 code units of the text as it was given. */
export interface Token {
  /** Without quotes and without the signs that end a sentence. */
  readonly text: string;
  readonly lower: string;
  readonly start: number;
  readonly end: number;
}

export type Lexed =
  | { readonly ok: true; readonly tokens: readonly Token[] }
  | { readonly ok: false; readonly start: number };

/** A list in parentheses is one word; commas between words are words. `ok` is false for a text of too many words. */
export function tokenize(text: string): Lexed {
  const tokens: Token[] = [];
  const pattern = /"([^"]*)"|`([^`]*)`|\(([^()]*)\)|([^\s"`()]+)/gu;
  for (const match of text.matchAll(pattern)) {
    const whole = match[0];
    const start = match.index;
    const quoted = match[1] ?? match[2];
    if (quoted !== undefined || match[3] !== undefined) {
      tokens.push(token(quoted ?? whole.replace(/\s+/g, ""), start, start + whole.length));
    } else tokens.push(...wordsOf(whole, start));
    if (tokens.length > MAX_TOKENS) return { ok: false, start: tokens[MAX_TOKENS]?.start ?? start };
  }
  return { ok: true, tokens };
}

/** One piece without spaces: signs that end a sentence go, a comma at its end becomes a word. */
function wordsOf(piece: string, start: number): readonly Token[] {
  const ended = piece.replace(/[?!.;]+$/u, "");
  if (ended === "") return [];
  const word = ended.replace(/,+$/u, "");
  const own = word === "" ? [] : [token(word, start, start + word.length)];
  const comma = word.length < ended.length ? [token(",", start + word.length, start + word.length + 1)] : [];
  return [...own, ...comma];
}

function token(text: string, start: number, end: number): Token {
  const plain = text.replaceAll("’", "'");
  const folded = isAscii(plain) ? plain : foldLookalikes(plain);
  return { text: plain, lower: folded.toLowerCase(), start, end };
}
