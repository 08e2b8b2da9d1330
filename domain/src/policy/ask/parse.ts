/** From text to a question: one meaning, several to choose from, or what is understood instead. Never throws, never guesses. */
import { nearestWord } from "../formats/suggest.ts";
import { formatQuestion } from "./format.ts";
import { EXAMPLES, FORM_WORDS, FORMS, type Form, type Meant, slotsOf } from "./forms.ts";
import { type Token, tokenize } from "./lexer.ts";
import { MAX_CHOICES, MAX_QUESTION_LENGTH } from "./limits.ts";
import { type Bindings, matchPattern, type NounSlot, type SlotJudge, type Span } from "./pattern.ts";
import { beginsPorts, PORT_WORDS, type ReadPorts, readPorts } from "./ports.ts";
import type { Question } from "./question.ts";
import { type ReadSubject, readSubject } from "./subjects.ts";
import type { AskVocabulary } from "./vocabulary.ts";

/** A place in the text, in UTF-16 code units. */
export interface Place {
  readonly start: number;
  readonly end: number;
}

export interface QuestionChoice {
  /** A whole question. */
  readonly text: string;
  readonly meaning: string;
}

export type ParsedQuestion =
  | { readonly kind: "question"; readonly question: Question; readonly text: string }
  | ({ readonly kind: "ambiguous"; readonly message: string; readonly choices: readonly QuestionChoice[] } & Place)
  | ({
      readonly kind: "unknown";
      readonly message: string;
      readonly didYouMean: readonly QuestionChoice[];
      readonly examples: readonly string[];
    } & Place);

export function parseQuestion(text: string, vocabulary: AskVocabulary): ParsedQuestion {
  if (text.length > MAX_QUESTION_LENGTH) {
    return unknown(`A question may have ${MAX_QUESTION_LENGTH} characters; this has ${text.length}.`, {
      start: MAX_QUESTION_LENGTH,
      end: text.length,
    });
  }
  const read = new Reading(text, vocabulary).read();
  if (read.kind !== "unknown" || read.didYouMean.length > 0) return read;
  return { ...read, didYouMean: corrections(text, vocabulary) };
}

function unknown(
  message: string,
  place: Place,
  didYouMean: readonly QuestionChoice[] = [],
): ParsedQuestion & { kind: "unknown" } {
  return { kind: "unknown", message, ...place, didYouMean, examples: EXAMPLES };
}

/** Reads slots of one text, each once. */
export class Reading implements SlotJudge {
  readonly text: string;
  readonly tokens: readonly Token[];
  readonly #tooLongFrom: number | null;
  readonly #vocabulary: AskVocabulary;
  readonly #subjects = new Map<string, ReadSubject>();
  readonly #ports = new Map<string, ReadPorts>();

  constructor(text: string, vocabulary: AskVocabulary) {
    const lexed = tokenize(text);
    this.text = text;
    this.tokens = lexed.ok ? lexed.tokens : [];
    this.#tooLongFrom = lexed.ok ? null : lexed.start;
    this.#vocabulary = vocabulary;
  }

  isPorts(span: Span): boolean {
    const first = this.tokens[span.first];
    if (!beginsPorts(first)) return this.ports(span).kind === "ports";
    return true;
  }

  isNoun(span: Span): boolean {
    return this.subject(span).kind !== "unknown";
  }

  subject(span: Span): ReadSubject {
    const key = `${span.first} ${span.end}`;
    const read = this.#subjects.get(key) ?? readSubject(this.#words(span), this.#vocabulary);
    this.#subjects.set(key, read);
    return read;
  }

  ports(span: Span): ReadPorts {
    const key = `${span.first} ${span.end}`;
    const read = this.#ports.get(key) ?? readPorts(this.#words(span), this.#vocabulary);
    this.#ports.set(key, read);
    return read;
  }

  #words({ first, end }: Span): readonly Token[] {
    return this.tokens.slice(first, end);
  }

  place({ first, end }: Span): Place {
    return { start: this.tokens[first]?.start ?? 0, end: this.tokens[end - 1]?.end ?? this.text.length };
  }

  read(): ParsedQuestion {
    const whole = { start: 0, end: this.text.length };
    if (this.#tooLongFrom !== null)
      return unknown("The question has too many words.", { ...whole, start: this.#tooLongFrom });
    if (this.tokens.length === 0) return unknown("Ask something.", whole);
    const understood = new Map<string, Question>();
    const problems: Problem[] = [];
    for (const form of FORMS) {
      for (const pattern of form.patterns) {
        for (const bindings of matchPattern(pattern, this.tokens, this)) {
          const meant = this.#meant(form, bindings);
          if ("place" in meant) problems.push(meant);
          else {
            const question = form.build(meant);
            if (question) understood.set(formatQuestion(question), question);
          }
        }
      }
    }
    return this.#conclude(understood, problems);
  }

  #conclude(understood: ReadonlyMap<string, Question>, problems: readonly Problem[]): ParsedQuestion {
    const whole = { start: 0, end: this.text.length };
    const [only] = understood;
    if (only && understood.size === 1) return { kind: "question", text: only[0], question: only[1] };
    if (understood.size > 1) {
      const choices = [...understood.keys()].slice(0, MAX_CHOICES).map((text) => ({ text, meaning: "" }));
      return { kind: "ambiguous", message: "This can be read in several ways.", ...whole, choices };
    }
    const [problem] = problems.toSorted((a, b) => a.rank - b.rank);
    if (!problem) {
      const shown = this.text.trim().slice(0, 80);
      return unknown(`“${shown}” is no question that is understood here.`, whole);
    }
    const texts = problem.replacements.map(({ text, meaning }) => ({ text: this.#with(problem.place, text), meaning }));
    if (problem.isAmbiguous) return { kind: "ambiguous", message: problem.message, ...problem.place, choices: texts };
    return unknown(problem.message, problem.place, texts);
  }

  #with({ start, end }: Place, replacement: string): string {
    return this.text.slice(0, start) + replacement + this.text.slice(end);
  }

  #meant(form: Form, bindings: Bindings): Meant | Problem {
    const nouns: Record<NounSlot, Meant["nouns"][NounSlot]> = { FROM: null, TO: null, ABOUT: null };
    let suffix: ReadPorts | null = null;
    const problems: Problem[] = [];
    for (const slot of slotsOf(bindings)) {
      const span = bindings[slot] as Span;
      const split = slot === "TO" && bindings.PORTS === undefined ? this.#splitPort(span) : null;
      const read = split ? readSubject([split.noun], this.#vocabulary) : this.subject(span);
      if (split) suffix = readPorts([split.port], this.#vocabulary);
      if (read.kind === "subject") nouns[slot] = read.subject;
      else problems.push(this.#subjectProblem(form, span, read));
    }
    const ports = bindings.PORTS ? this.ports(bindings.PORTS) : suffix;
    if (ports && ports.kind !== "ports") problems.push(this.#portProblem(form, bindings.PORTS, ports));
    const [problem] = problems.toSorted((a, b) => a.rank - b.rank);
    if (problem) return { ...problem, rank: problem.rank + problems.length - 1 };
    const digits = bindings.NUMBER ? this.tokens[bindings.NUMBER.first]?.text.replace("#", "") : undefined;
    return {
      nouns,
      ports: ports?.kind === "ports" ? ports.ports : null,
      number: digits === undefined ? null : BigInt(digits),
    };
  }

  /** `db:5432`; an IPv6 address is none. */
  #splitPort({ first, end }: Span): { noun: Token; port: Token } | null {
    const token = this.tokens[first];
    const parts = end - first === 1 && token ? /^([^:]+):(\d{1,5}(?:\/[a-z]+)?)$/i.exec(token.text) : null;
    if (!parts || !token) return null;
    const [, name = "", port = ""] = parts;
    const middle = token.start + name.length;
    return {
      noun: { text: name, lower: name.toLowerCase(), start: token.start, end: middle },
      port: { text: port, lower: port.toLowerCase(), start: middle + 1, end: token.end },
    };
  }

  #subjectProblem(form: Form, span: Span, read: Exclude<ReadSubject, { kind: "subject" }>): Problem {
    // Of several ways to cut the words into groups the one with the shortest unknown group is meant.
    const rank = (read.kind === "ambiguous" ? 0 : 100) + (span.end - span.first) * 10;
    const place = this.place(span);
    if (read.kind === "ambiguous") {
      const name = this.text.slice(place.start, place.end);
      const more = read.leftOut > 0 ? ` There are ${read.leftOut} more.` : "";
      const replacements = read.choices.map(({ subject, meaning }) => ({ text: subject.text, meaning }));
      return {
        form,
        rank,
        place,
        isAmbiguous: true,
        message: `“${name}” can mean several. Which one?${more}`,
        replacements,
      };
    }
    const near = this.#vocabulary.nearest(read.word);
    const replacements = near === null || near === read.word ? [] : [{ text: near, meaning: `“${near}” exists` }];
    return { form, rank, place, isAmbiguous: false, message: read.message, replacements };
  }

  #portProblem(form: Form, span: Span | undefined, read: Exclude<ReadPorts, { kind: "ports" }>): Problem {
    const rank = (read.kind === "ambiguous" ? 0 : 100) + (span ? (span.end - span.first) * 10 : 10);
    const place = { start: read.token.start, end: read.token.end };
    if (read.kind === "ambiguous") {
      return {
        form,
        rank,
        place,
        isAmbiguous: true,
        message: `“${read.token.text}” can mean two ports. Which one?`,
        replacements: read.choices,
      };
    }
    const near = read.word === null ? null : nearestWord(read.word, [...PORT_WORDS, ...this.#vocabulary.portNames()]);
    const replacements = near === null || near === read.word ? [] : [{ text: near, meaning: `“${near}” is one` }];
    return { form, rank, place, isAmbiguous: false, message: read.message, replacements };
  }
}

interface Problem {
  readonly form: Form;
  readonly rank: number;
  readonly place: Place;
  readonly isAmbiguous: boolean;
  readonly message: string;
  readonly replacements: readonly QuestionChoice[];
}

const MAX_SLIPS = 6;

/** The text with misspelt words of the language replaced, where that makes a question of it. */
function corrections(text: string, vocabulary: AskVocabulary): readonly QuestionChoice[] {
  const lexed = tokenize(text);
  if (!lexed.ok) return [];
  const found = new Set<string>();
  const replaced = (changes: readonly (readonly [Token, string])[]): string =>
    changes
      .toReversed()
      .reduce((whole, [{ start, end }, word]) => whole.slice(0, start) + word + whole.slice(end), text);
  const near = lexed.tokens.flatMap((token): readonly (readonly [Token, string])[] => {
    if (FORM_WORDS.has(token.lower)) return [];
    const word = nearestWord(token.lower, FORM_WORDS);
    return word === null ? [] : [[token, word]];
  });
  // A text full of slips is another text.
  if (near.length === 0 || near.length > MAX_SLIPS) return [];
  for (const changes of [...near.map((one) => [one]), near]) {
    const candidate = replaced(changes);
    const read = new Reading(candidate, vocabulary).read();
    if (read.kind !== "unknown") found.add(candidate);
    if (found.size >= 3) break;
  }
  return [...found].map((candidate) => ({ text: candidate, meaning: "" }));
}
