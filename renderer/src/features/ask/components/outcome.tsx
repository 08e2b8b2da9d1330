import type { AskChoice } from "@wardline/api/wardline/console/v1/ask";
import { useConsole } from "../../../data/context.tsx";
import { Button, FailureNotice, Skeleton, visibleText } from "../../../ui/index.ts";
import { useAsk } from "../model/ask-store.ts";
import { AnswerCard } from "./answer-card.tsx";

/** What became of the question: an answer, a question back, what is understood instead, or why there is no answer. */
export function Outcome({ onChoose }: { readonly onChoose: (text: string) => void }) {
  const { connection } = useConsole();
  const { asked, response, failure, isBusy, ask } = useAsk();
  if (asked === null) return null;
  if (failure) return <FailureNotice failure={failure} />;
  if (!response) return isBusy ? <Skeleton label="Working out the answer" /> : null;
  const { outcome } = response;
  switch (outcome.case) {
    case "answer":
      return (
        <AnswerCard
          key={outcome.value.question}
          answer={outcome.value}
          onBasis={(basis) => void ask(connection, { ...asked, text: outcome.value.question, basis })}
        />
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
