/** A person who answers what connections ask, and remembers what was asked. */
import type { NewQuestion, QuestionAsker } from "../../questions/questions.ts";

export class Answers implements QuestionAsker {
  readonly asked: NewQuestion[] = [];
  readonly #answer: (question: NewQuestion) => readonly string[] | null;

  constructor(answer: (question: NewQuestion) => readonly string[] | null) {
    this.#answer = answer;
  }

  async ask(question: NewQuestion): Promise<readonly string[] | null> {
    this.asked.push(question);
    return question.onlyKept ? null : this.#answer(question);
  }
}
