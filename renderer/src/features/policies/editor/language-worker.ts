/** The thread that reads, checks and proves, so that no key ever waits for it. */
import { LanguageSession, type ProofSummary } from "@wardline/domain/policy/language";
import type { Answers, FromWorker, QuestionKind, Questions, ToWorker } from "./protocol.ts";

/** How long a proof goes on before it lets other questions be answered. */
const SLICE_MS = 12;

const session = new LanguageSession();
let changes = 0;

const post = (message: FromWorker): void => self.postMessage(message);
const giveWay = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

async function prove(): Promise<ProofSummary | null> {
  const begun = changes;
  const steps = session.prove();
  let sliceEnd = performance.now() + SLICE_MS;
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    if (performance.now() < sliceEnd) continue;
    await giveWay();
    if (changes !== begun) return null;
    sliceEnd = performance.now() + SLICE_MS;
  }
}

const ANSWER: { readonly [Kind in QuestionKind]: (input: Questions[Kind]) => Answers[Kind] | Promise<Answers[Kind]> } =
  {
    check: ({ path, nowUnixMs }) => session.check(path, nowUnixMs),
    complete: ({ path, offset }) => session.complete(path, offset),
    hover: ({ path, offset }) => session.hover(path, offset),
    references: ({ path, offset }) => session.references(path, offset),
    outline: ({ path }) => session.outline(path),
    line: ({ path, line }) => session.line(path, line),
    rules: ({ path }) => session.rules(path),
    nextProblem: ({ path, line, column, isBackwards }) => session.nextProblem(path, line, column, isBackwards),
    explain: ({ code }) => session.explain(code),
    prove: () => prove(),
  };

async function answer(id: number, question: QuestionKind, input: Questions[QuestionKind]): Promise<void> {
  try {
    const give = ANSWER[question] as (given: typeof input) => Answers[QuestionKind] | Promise<Answers[QuestionKind]>;
    post({ kind: "answer", id, answer: await give(input) });
  } catch (error) {
    post({ kind: "failed", id, message: error instanceof Error ? error.message : String(error) });
  }
}

self.onmessage = ({ data }: MessageEvent<ToWorker>): void => {
  if (data.kind === "ask") {
    void answer(data.id, data.question, data.input);
    return;
  }
  changes += 1;
  if (data.kind === "facts") session.setFacts(data.facts);
  else {
    for (const { path, text } of data.texts) session.setText(path, text);
    for (const path of data.removed) session.remove(path);
  }
};
