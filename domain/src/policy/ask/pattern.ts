/**
 * Sentences as patterns, and how words fit them. `(a|b c)` is one of these words, `(a)?` may be left out, `FROM`, `TO` and
 * `ABOUT` are groups, `PORTS` ports, `[PORTS]` ports or none, `NUMBER` a number.
 */

import type { Token } from "./lexer.ts";
import { MAX_NOUN_TOKENS } from "./limits.ts";

export type NounSlot = "FROM" | "TO" | "ABOUT";
export type Slot = NounSlot | "PORTS" | "NUMBER";

export type Element =
  | { readonly kind: "words"; readonly options: readonly (readonly string[])[]; readonly isOptional: boolean }
  | { readonly kind: "slot"; readonly slot: Slot; readonly isOptional: boolean };

export type Pattern = readonly Element[];

/** Words from `first` up to `end`, exclusive. */
export interface Span {
  readonly first: number;
  readonly end: number;
}

export type Bindings = Partial<Record<Slot, Span>>;

const MACROS: Readonly<Record<string, string>> = {
  "<reach>":
    "(reach|talk to|connect to|connect with|access|get to|get into|speak to|speak with|contact|communicate with|send to|open connections to|go to)",
  "<can>": "(can|may|could|does|do|will|is able to|are able to|is allowed to|are allowed to)",
  "<stops>": "(stops|blocks|denies|refuses|forbids|prevents|drops|stop|block|deny|keeps)",
  "<lets>": "(lets|allows|permits|let|allow|permit)",
};

export function compilePattern(text: string): Pattern {
  const expanded = text.replace(/<\w+>/g, (name) => MACROS[name] ?? name);
  return [...expanded.matchAll(/\(([^()]*)\)(\?)?|\[(\w+)\]|(\S+)/g)].map(([, group, mark, optional, word = ""]) => {
    if (optional) return { kind: "slot", slot: optional as Slot, isOptional: true };
    if (group === undefined && /^[A-Z]+$/.test(word)) return { kind: "slot", slot: word as Slot, isOptional: false };
    const options = (group ?? word).split("|").map((option) => option.split(" "));
    return { kind: "words", options, isOptional: mark === "?" };
  });
}

/** What decides where a group ends: whether these words can be one, and whether these can be ports. */
export interface SlotJudge {
  /** Whether ports begin here, right or wrong: then nothing else does. */
  isPorts(span: Span): boolean;
}

/** Every way in which all words fit the pattern; groups as short as they can be first. At most `limit`. */
export function matchPattern(
  pattern: Pattern,
  tokens: readonly Token[],
  judge: SlotJudge,
  limit = 40,
): readonly Bindings[] {
  const found: Bindings[] = [];
  const walk = (place: number, at: number, bindings: Bindings): void => {
    if (found.length >= limit) return;
    const element = pattern[place];
    if (!element) {
      if (at === tokens.length) found.push(bindings);
      return;
    }
    if (element.kind === "words") {
      for (const option of element.options) {
        if (fits(option, tokens, at)) walk(place + 1, at + option.length, bindings);
      }
      if (element.isOptional) walk(place + 1, at, bindings);
      return;
    }
    if (element.isOptional) walk(place + 1, at, bindings);
    for (let end = at + 1; end <= Math.min(tokens.length, at + longest(element.slot)); end++) {
      const span = { first: at, end };
      if (element.slot === "PORTS" && !judge.isPorts(span)) continue;
      if (element.slot === "NUMBER" && !/^#?\d{1,19}$/.test(tokens[at]?.text ?? "")) continue;
      walk(place + 1, end, { ...bindings, [element.slot]: span });
    }
  };
  walk(0, 0, {});
  return found;
}

function longest(slot: Slot): number {
  if (slot === "NUMBER") return 1;
  return slot === "PORTS" ? 24 : MAX_NOUN_TOKENS;
}

export function fits(option: readonly string[], tokens: readonly Token[], at: number): boolean {
  return option.every((word, index) => tokens[at + index]?.lower === word);
}

/** What could come next in a pattern whose beginning all words fit. */
export type Expected =
  | { readonly kind: "word"; readonly text: string }
  | { readonly kind: "slot"; readonly slot: Slot };

/** `isNoun` tells whether words are a group already, so that something else may follow them. */
export function expectedNext(
  pattern: Pattern,
  tokens: readonly Token[],
  judge: SlotJudge & { isNoun(span: Span): boolean },
): readonly Expected[] {
  const expected: Expected[] = [];
  const seen = new Set<string>();
  const walk = (place: number, at: number): void => {
    if (seen.has(`${place} ${at}`)) return;
    seen.add(`${place} ${at}`);
    const element = pattern[place];
    if (!element) return;
    if (element.isOptional) walk(place + 1, at);
    if (element.kind === "words") {
      for (const option of element.options) {
        const begun = tokens.slice(at).every((token, index) => token.lower === option[index]);
        const left = tokens.length - at;
        if (begun && left < option.length) expected.push({ kind: "word", text: option.slice(left).join(" ") });
        if (fits(option, tokens, at)) walk(place + 1, at + option.length);
      }
      return;
    }
    // Ports that have begun (`on`, `on 80 and`) can go on.
    const isBegun = element.slot === "PORTS" && at < tokens.length && judge.isPorts({ first: at, end: at + 1 });
    if (at === tokens.length || isBegun) expected.push({ kind: "slot", slot: element.slot });
    for (let end = at + 1; end <= Math.min(tokens.length, at + longest(element.slot)); end++) {
      const span = { first: at, end };
      const isDone =
        element.slot === "PORTS" ? judge.isPorts(span) : element.slot === "NUMBER" ? true : judge.isNoun(span);
      if (isDone) walk(place + 1, end);
    }
  };
  walk(0, 0);
  return expected;
}
