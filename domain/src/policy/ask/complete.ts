/** What could stand at the cursor: words of the language, names of the inventory, ports. */
import { FORMS } from "./forms.ts";
import { MAX_COMPLETIONS, MAX_QUESTION_LENGTH } from "./limits.ts";
import { Reading } from "./parse.ts";
import { expectedNext, type Slot } from "./pattern.ts";
import { PORT_WORDS } from "./ports.ts";
import type { AskVocabulary } from "./vocabulary.ts";

/** Replaces the text from `start` to `end` (UTF-16 code units). */
export interface AskCompletion {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly detail: string;
}

export interface Completions {
  readonly completions: readonly AskCompletion[];
  /** Whether the text before the cursor can become a question. */
  readonly isBeginning: boolean;
}

const GROUP_WORDS: readonly (readonly [string, string])[] = [
  ["anyone", "everybody, inside and outside"],
  ["world", "every address outside the inventory"],
  ["cluster", "every host and workload"],
  ["all hosts", "every host"],
  ["mesh", "the overlay's addresses"],
];

/** Never throws; nothing for a cursor outside of the text. Best first, at most 50. */
export function completeQuestion(text: string, cursor: number, vocabulary: AskVocabulary): Completions {
  if (text.length > MAX_QUESTION_LENGTH || !Number.isInteger(cursor) || cursor < 0 || cursor > text.length) {
    return { completions: [], isBeginning: false };
  }
  const before = text.slice(0, cursor);
  const written = /\S*$/.exec(before)?.[0] ?? "";
  const start = cursor - written.length;
  const reading = new Reading(before.slice(0, start), vocabulary);
  const words = new Set<string>();
  const slots = new Set<Slot>();
  for (const { patterns } of FORMS) {
    for (const pattern of patterns) {
      for (const next of expectedNext(pattern, reading.tokens, reading)) {
        if (next.kind === "word") words.add(next.text);
        else slots.add(next.slot);
      }
    }
  }
  const lower = written.toLowerCase();
  const isBegun = ([word]: readonly [string, string]): boolean => word.startsWith(lower);
  const names = slots.has("FROM") || slots.has("TO") || slots.has("ABOUT");
  const found: (readonly [text: string, detail: string])[] = [];
  if (names && written !== "")
    for (const { text: name, detail } of vocabulary.beginning(written, 20)) found.push([name, detail]);
  found.push(...[...words].map((word) => [word, ""] as const).filter(isBegun));
  if (names) found.push(...GROUP_WORDS.filter(isBegun));
  if (names && written === "")
    for (const { text: name, detail } of vocabulary.beginning("", 20)) found.push([name, detail]);
  if (slots.has("PORTS")) {
    const ports = [...PORT_WORDS, ...vocabulary.portNames()].map((word) => [word, "port"] as const);
    found.push(
      ...("on".startsWith(lower) && !/\bon\s+$/i.test(before) ? [["on", "a port"] as const] : []),
      ...ports.filter(isBegun),
    );
  }
  const unique = new Map(found.map((each) => [each[0], each]));
  const completions = [...unique.values()]
    .slice(0, MAX_COMPLETIONS)
    .map(([word, detail]) => ({ start, end: cursor, text: word, detail }));
  const isBeginning = reading.tokens.length > 0 ? words.size + slots.size > 0 : completions.length > 0;
  return { completions, isBeginning };
}
