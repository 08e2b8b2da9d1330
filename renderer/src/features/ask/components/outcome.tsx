import type { AskChoice } from "@wardline/api/wardline/console/v1/ask";
import { useEffect, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { Button, FailureNotice, Skeleton, visibleText } from "../../../ui/index.ts";
import { useAsk } from "../model/ask-store.ts";
import { AnswerCard } from "./answer-card.tsx";

const LATE_AFTER_MS = 400;

/** What became of the question: an answer, a question back, what is understood instead, or why there is no answer. */
export function Outcome({ onChoose }: { readonly onChoose: (text: string) => void }) {
  const { connection } = useConsole();
  const { asked, response, failure, isBusy, isCancelled, ask } = useAsk();
  if (asked === null) return null;
  const again = () => void ask(connection, asked);
  if (failure)
    return <FailureNotice failure={failure} {...(failure.code === "DEADLINE_EXCEEDED" ? {} : { onRetry: again })} />;
  if (isCancelled) return <Cancelled onAgain={again} />;
  if (!response) return isBusy ? <Working key={asked.text} /> : null;
  const { outcome } = response;
  switch (outcome.case) {
    case "answer":
      return (
        <>
          {isBusy ? <StillWorking key={asked.basis} /> : null}
          <AnswerCard
            key={outcome.value.question}
            answer={outcome.value}
            onBasis={(basis) => void ask(connection, { ...asked, text: outcome.value.question, basis })}
          />
        </>
      );
    case "askBack":
      return <Choices message={outcome.value.message} choices={outcome.value.choices} onChoose={onChoose} />;
    case "notUnderstood": {
      const { message, didYouMean, examples } = outcome.value;
      const choices = didYouMean.length > 0 ? didYouMean : examples.map((text) => ({ text, meaning: "" }));
      const hint = didYouMean.length > 0 ? "Did you mean" : "These are understood";
      return <Choices message={`${message} ${hint}:`} choices={choices} onChoose={onChoose} />;
    }
    default:
      return null;
  }
}

/** The place of the answer; who does not want to wait says so. */
function Working() {
  const cancel = useAsk((state) => state.cancel);
  return (
    <div className="ask-working">
      <Skeleton label="Working out the answer" />
      <Button onPress={cancel}>Cancel</Button>
    </div>
  );
}

/** Above the last answer, which stays until there is another; most are there before anybody could read this. */
function StillWorking() {
  const cancel = useAsk((state) => state.cancel);
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), LATE_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  if (!isLate) return null;
  return (
    <div className="ask-working">
      <p role="status" className="soft">
        Working out another answer.
      </p>
      <Button onPress={cancel}>Cancel</Button>
    </div>
  );
}

function Cancelled({ onAgain }: { readonly onAgain: () => void }) {
  return (
    <div className="ask-working">
      <p role="status" className="soft">
        Cancelled: nothing was answered.
      </p>
      <Button onPress={onAgain}>Ask again</Button>
    </div>
  );
}

interface ChoicesProps {
  readonly message: string;
  readonly choices: readonly Pick<AskChoice, "text" | "meaning">[];
  readonly onChoose: (text: string) => void;
}

function Choices({ message, choices, onChoose }: ChoicesProps) {
  return (
    <div className="ask-choices">
      <p role="status" className="wrap-anywhere">
        {visibleText(message)}
      </p>
      <ul>
        {choices.map(({ text, meaning }) => (
          <li key={text}>
            <Button tone="quiet" onPress={() => onChoose(text)}>
              {visibleText(text)}
            </Button>
            {meaning === "" ? null : <span className="soft">{visibleText(meaning)}</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}
