/** Answers at the terminal what connections ask: one question after the other, however many hosts ask at once. */
import type { Question } from "@wardline/api/wardline/console/v1/fleet";
import { Failure } from "@wardline/domain/errors";
import type { QuestionDesk } from "../../backend/questions/question-desk.ts";
import { askLine } from "./ask-hidden.ts";
import { visible } from "./visible.ts";

/** Whether a person is there to be asked. */
export function hasTerminal(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** Asks until the returned function is called; what is still asked then is left. */
export function answerOnTerminal(
  desk: QuestionDesk,
  ask: typeof askLine = askLine,
  note: (text: string) => void = (text) => void process.stderr.write(`${text}\n`),
): () => void {
  const ending = new AbortController();
  let isAsking = false;
  const next = async (): Promise<void> => {
    if (isAsking) return;
    isAsking = true;
    try {
      for (let question = desk.list()[0]; question && !ending.signal.aborted; question = desk.list()[0]) {
        await answerOne(desk, question, ending.signal, ask, note);
      }
    } finally {
      isAsking = false;
    }
  };
  const stop = desk.changes.subscribe(() => void next());
  void next();
  return () => {
    stop();
    ending.abort();
  };
}

async function answerOne(
  desk: QuestionDesk,
  question: Question,
  ending: AbortSignal,
  ask: typeof askLine,
  note: (text: string) => void,
): Promise<void> {
  // Settled by something else meanwhile: the connection ended.
  const settled = new AbortController();
  const unsubscribe = desk.changes.subscribe(() => {
    if (!desk.list().some(({ id }) => id === question.id)) settled.abort();
  });
  const signal = AbortSignal.any([settled.signal, ending]);
  try {
    // Words of a machine are a stranger's: one line each, and nothing in them acts.
    if (question.subject !== "") note(visible(question.subject));
    if (question.instruction !== "") note(visible(question.instruction));
    const answers: string[] = [];
    for (const { text, echo } of question.prompts) {
      const answer = await ask(`${visible(text).replace(/[:\s]*$/, "")}: `, echo, signal);
      if (answer === null) break;
      answers.push(answer);
    }
    if (signal.aborted) return;
    await desk.answer({
      $typeName: "wardline.console.v1.AnswerQuestionRequest",
      id: question.id,
      answers: answers.length === question.prompts.length ? answers : [],
      remember: false,
    });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    note(visible(error.message));
  } finally {
    unsubscribe();
  }
}
