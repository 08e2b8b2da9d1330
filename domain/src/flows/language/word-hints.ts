/** Bare words are looked for as text; some are more likely a slip. */
import type { Problems } from "./diagnostics.ts";
import { fieldOf } from "./fields.ts";
import type { QueryValue, Token } from "./lexer.ts";
import { protocolNumber } from "./protocols.ts";
import { VERDICTS } from "./values.ts";

export function sayWordMeaning(word: QueryValue, next: Token, text: string, problems: Problems): void {
  const say = (meant: string): void => {
    problems.add("WL611", word, `${word.text} is looked for as text. Did you mean ${meant}?`, {
      title: `Write ${meant}`,
      text: meant,
    });
  };
  const lower = word.text.toLowerCase();
  const field = fieldOf(word.text);
  const verdict = VERDICTS.get(lower);
  if (["and", "or", "not"].includes(lower)) {
    say(lower.toUpperCase());
  } else if (field && next.kind === "word") {
    const meant = `${field.name}:${text.slice(next.start, next.end)}`.slice(0, 100);
    const message = `${word.text} is looked for as text. Did you mean ${meant}?`;
    problems.add("WL611", { start: word.start, end: next.end }, message, { title: `Write ${meant}`, text: meant });
  } else if (verdict !== undefined) {
    say(`verdict:${verdict}`);
  } else if (/^[a-z]/.test(lower) && protocolNumber(lower) !== null) {
    say(`protocol:${lower}`);
  }
}
