/**
 * Where connections ask the person. Open questions are a list for every window; an answer goes to all connections that
 * wait for the same thing. Answers are kept in memory while the process runs, and in the keyring when the person says so.
 */
import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type AnswerQuestionRequest,
  type Question,
  QuestionSchema,
  type WatchQuestionsResponse,
  WatchQuestionsResponseSchema,
} from "@wardline/api/wardline/console/v1/fleet";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { replaceInvisible } from "@wardline/domain/text";
import { ChangeSignal } from "../async/signal.ts";
import type { Clock } from "../ports.ts";
import type { KeptAnswers } from "./kept-answers.ts";
import type { NewQuestion, QuestionAsker } from "./questions.ts";

/** sshd waits two minutes for a login (LoginGraceTime). */
const ANSWER_LIMIT_MS = 110_000;
const MOST_OPEN = 100;
const MOST_PROMPTS = 8;
const LONGEST_TEXT = 500;
const LONGEST_ANSWER = 4096;
const LONGEST_SILENCE_MS = 60_000;

type Answers = readonly string[] | null;

interface OpenQuestion {
  readonly wire: Question;
  readonly keepAs: string | null;
  readonly waiters: Set<(answers: Answers) => void>;
}

export class QuestionDesk implements QuestionAsker {
  readonly changes = new ChangeSignal();
  readonly #open = new Map<string, OpenQuestion>();
  /** What each connection was given last, by host and question: tells which answer it means when it was wrong. */
  readonly #given = new Map<string, string>();
  readonly #clock: Clock;
  readonly #kept: KeptAnswers;

  constructor(ports: { readonly clock: Clock; readonly kept: KeptAnswers }) {
    this.#clock = ports.clock;
    this.#kept = ports.kept;
  }

  /** Oldest first. */
  list(): readonly Question[] {
    return [...this.#open.values()].map(({ wire }) => wire);
  }

  async ask(question: NewQuestion, signal: AbortSignal): Promise<Answers> {
    const { keepAs } = question;
    const answers = (await this.#keptAnswer(question)) ?? (await this.#askPerson(question, signal));
    if (keepAs !== null && answers !== null) this.#given.set(`${question.hostId}\n${keepAs}`, answers.join("\n"));
    return answers;
  }

  /** @throws Failure NOT_FOUND, INVALID_ARGUMENT; the question stays open then */
  async answer({ id, answers, remember }: AnswerQuestionRequest): Promise<void> {
    const open = this.#open.get(id);
    if (!open) {
      throw new Failure({
        code: ErrorCode.NOT_FOUND,
        message: "This question is no longer open: it was answered, or the connection has ended.",
      });
    }
    if (answers.length === 0) return this.#settle(id, null);
    requireFitting(answers, open.wire.prompts.length);
    if (open.keepAs !== null) {
      if (remember) await this.#kept.keepInKeyring(open.keepAs, answers);
      this.#kept.keepInMemory(open.keepAs, answers);
    }
    this.#settle(id, answers);
  }

  /** All open questions, then again after each change. */
  async *watch(signal: AbortSignal): AsyncGenerator<WatchQuestionsResponse> {
    for (let sequence = 1n; !signal.aborted; sequence++) {
      const seen = this.changes.version;
      yield create(WatchQuestionsResponseSchema, { sequence, questions: [...this.list()] });
      while (this.changes.version === seen && !signal.aborted) {
        await this.changes.wait(seen, LONGEST_SILENCE_MS, signal);
      }
    }
  }

  async #keptAnswer({ hostId, keepAs, wasWrong, prompts }: NewQuestion): Promise<Answers> {
    if (keepAs === null) return null;
    const kept = await this.#kept.find(keepAs);
    if (kept === null || kept.length !== prompts.length) return null;
    // Another connection may have been told the right one meanwhile: only what was given here is known to be wrong.
    if (!wasWrong || this.#given.get(`${hostId}\n${keepAs}`) !== kept.join("\n")) return kept;
    this.#kept.forget(keepAs);
    return null;
  }

  #askPerson(question: NewQuestion, signal: AbortSignal): Promise<Answers> {
    if (question.onlyKept || signal.aborted) return Promise.resolve(null);
    const same = [...this.#open.values()].find(({ keepAs }) => keepAs !== null && keepAs === question.keepAs);
    if (!same && this.#open.size >= MOST_OPEN) return Promise.resolve(null);
    const open = same ?? this.#add(question);
    return new Promise((resolve) => {
      const leave = () => {
        open.waiters.delete(settle);
        settle(null);
        if (open.waiters.size === 0) this.#settle(open.wire.id, null);
      };
      const timer = setTimeout(leave, ANSWER_LIMIT_MS);
      const settle = (answers: Answers) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", leave);
        resolve(answers);
      };
      open.waiters.add(settle);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  #add(question: NewQuestion): OpenQuestion {
    const { hostId, kind, subject, instruction, prompts, keepAs, wasWrong } = question;
    const wire = create(QuestionSchema, {
      id: randomUUID(),
      hostId,
      kind,
      subject: shown(subject),
      instruction: shown(wasWrong ? `That was wrong. ${instruction}` : instruction),
      prompts: prompts.slice(0, MOST_PROMPTS).map(({ text, echo }) => ({ text: shown(text), echo })),
      askedAt: timestampFromMs(this.#clock.nowMs()),
    });
    const open = { wire, keepAs, waiters: new Set<(answers: Answers) => void>() };
    this.#open.set(wire.id, open);
    this.changes.notify();
    return open;
  }

  #settle(id: string, answers: Answers): void {
    const open = this.#open.get(id);
    if (!open) return;
    this.#open.delete(id);
    this.changes.notify();
    for (const settle of [...open.waiters]) settle(answers);
  }
}

function requireFitting(answers: readonly string[], count: number): void {
  if (answers.length !== count) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `The question has ${count} prompts; ${answers.length} answers were given.`,
    });
  }
  if (answers.some((answer) => answer.length > LONGEST_ANSWER)) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `An answer has more than ${LONGEST_ANSWER} characters.`,
    });
  }
}

function shown(text: string): string {
  return replaceInvisible(text.slice(0, LONGEST_TEXT), (codePoint) => `\\u{${codePoint.toString(16)}}`);
}
