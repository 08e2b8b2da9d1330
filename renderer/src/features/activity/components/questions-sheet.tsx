import { type Question, QuestionKind } from "@wardline/api/wardline/console/v1/fleet";
import { KeyRound } from "lucide-react";
import { useState } from "react";
import { useActivity, useConsole, useHostsStream } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, SecretField, Sheet, TextField, visibleText } from "../../../ui/index.ts";
import "./questions-sheet.css";

const TITLES: Record<QuestionKind, string> = {
  [QuestionKind.UNSPECIFIED]: "A question",
  [QuestionKind.PASSPHRASE]: "Passphrase of a key",
  [QuestionKind.PASSWORD]: "Password",
  [QuestionKind.KEYBOARD_INTERACTIVE]: "The machine asks",
  [QuestionKind.SUDO_PASSWORD]: "Password for sudo",
};

/** The oldest open question of a connection, whichever view is open. Answers are sent once and kept nowhere here. */
export function QuestionsSheet() {
  const { questions } = useActivity();
  const [question] = questions;
  return question ? <QuestionDialog key={question.id} question={question} waiting={questions.length - 1} /> : null;
}

function QuestionDialog({ question, waiting }: { question: Question; waiting: number }) {
  const { connection } = useConsole();
  const hosts = useHostsStream().value?.hosts ?? [];
  const [answers, setAnswers] = useState<readonly string[]>(() => question.prompts.map(() => ""));
  const [remembers, setRemembers] = useState(false);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isSending, setSending] = useState(false);
  const hostName = hosts.find((host) => host.id === question.hostId)?.name ?? question.hostId;
  const isStranger = question.kind === QuestionKind.KEYBOARD_INTERACTIVE;
  const send = async (given: readonly string[]) => {
    setSending(true);
    setFailure(null);
    try {
      await connection.fleet.answerQuestion({ id: question.id, answers: [...given], remember: remembers });
    } catch (error) {
      setFailure(shownFailure(error));
      setSending(false);
    }
  };
  return (
    <Sheet
      shape="dialog"
      title={TITLES[question.kind]}
      isOpen
      isDismissable={false}
      onClose={() => void send([])}
      footer={
        <>
          <span className="soft question-more">
            {waiting > 0 ? `${waiting} more ${waiting === 1 ? "question waits" : "questions wait"}` : ""}
          </span>
          <Button onPress={() => void send([])} isDisabled={isSending}>
            Do not answer
          </Button>
          <Button tone="primary" onPress={() => void send(answers)} isDisabled={isSending}>
            Answer
          </Button>
        </>
      }
    >
      <div className="question">
        <p className="question-subject">
          <KeyRound size={16} aria-hidden="true" />
          <span className="wrap-anywhere">
            <strong>{visibleText(hostName)}</strong> · <code>{visibleText(question.subject)}</code>
          </span>
        </p>
        {question.instruction ? (
          <p className={isStranger ? "question-quote wrap-anywhere" : "soft wrap-anywhere"}>
            {visibleText(question.instruction)}
          </p>
        ) : null}
        {isStranger ? <p className="soft">The words above and below are the machine’s own.</p> : null}
        {question.prompts.map((prompt, index) => {
          const label = visibleText(prompt.text).trim() || "Answer";
          const change = (value: string) => setAnswers(answers.map((answer, at) => (at === index ? value : answer)));
          const field = { label, value: answers[index] ?? "", onChange: change, onSubmit: () => void send(answers) };
          // biome-ignore lint/suspicious/noArrayIndexKey: the prompts of one question never change.
          return prompt.echo ? <TextField key={index} {...field} /> : <SecretField key={index} {...field} />;
        })}
        {question.kind === QuestionKind.KEYBOARD_INTERACTIVE ? null : (
          <label className="check-line">
            <input type="checkbox" checked={remembers} onChange={(event) => setRemembers(event.target.checked)} />
            Keep it in the keyring of this system
          </label>
        )}
        {failure ? <FailureNotice failure={failure} /> : null}
      </div>
    </Sheet>
  );
}
