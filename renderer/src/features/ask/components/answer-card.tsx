import { type Answer, AskBasis, AskKind } from "@wardline/api/wardline/console/v1/ask";
import { Verdict } from "@wardline/api/wardline/v1/policy";
import { useState } from "react";
import { useConsoleNow } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import { Button, Select, VerdictMark, visibleText } from "../../../ui/index.ts";
import { Walkthrough } from "../../policies/index.ts";
import { basisText, VERDICTS } from "../model/answer-words.ts";
import { AnswerRows } from "./answer-rows.tsx";
import { KeepTest } from "./keep-test.tsx";

interface AnswerCardProps {
  readonly answer: Answer;
  readonly onBasis: (basis: AskBasis) => void;
}

/** One answer: the verdict, against what, for whom, by which rule, and what to do with it. */
export function AnswerCard({ answer, onBasis }: AnswerCardProps) {
  const [isKeeping, setKeeping] = useState(false);
  const [isCopied, setCopied] = useState(false);
  const openHistory = useWindow((state) => state.openHistory);
  const verdict = VERDICTS[answer.verdict];
  const copy = () => {
    void navigator.clipboard?.writeText(answer.command).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  };
  return (
    <article className="ask-answer" aria-label="Answer">
      <p className="ask-verdict" role="status">
        {verdict ? <VerdictMark verdict={verdict.shape} words={verdict.word} /> : null}
        <span className="ask-sentence wrap-anywhere">{visibleText(answer.sentence)}</span>
      </p>
      <Basis answer={answer} onBasis={onBasis} />
      {answer.notes.map((note) => (
        <p key={note} className="ask-note wrap-anywhere">
          {visibleText(note)}
        </p>
      ))}
      <AnswerRows rows={answer.rows} leftOut={answer.rowsLeftOut} />
      <Examples answer={answer} />
      <div className="ask-actions">
        {answer.flowQuery === "" ? null : <Button onPress={() => openHistory(answer.flowQuery)}>Show the flows</Button>}
        {answer.testDocument === "" ? null : <Button onPress={() => setKeeping(!isKeeping)}>Keep as a test…</Button>}
        <Button tone="quiet" onPress={copy}>
          {isCopied ? "Copied" : "Copy as command"}
        </Button>
      </div>
      {isKeeping ? <KeepTest answer={answer} onDone={() => setKeeping(false)} /> : null}
    </article>
  );
}

/** Questions about changes name their two sides themselves; only a host counts hits. */
function Basis({ answer, onBasis }: AnswerCardProps) {
  const nowMs = useConsoleNow();
  const { basis, before, kind } = answer;
  const isFixed = kind === AskKind.CHANGED || kind === AskKind.NEVER_HIT;
  const text = before
    ? `from ${basisText(before, nowMs)} to ${basisText(basis, nowMs)}`
    : `Answered for ${basisText(basis, nowMs)}`;
  return (
    <div className="ask-basis">
      {isFixed ? null : (
        <Select
          label="Asked about"
          isLabelHidden
          value={basis?.kind === AskBasis.ENFORCED ? "enforced" : "draft"}
          choices={[
            { value: "draft", label: "The draft", detail: "the workspace as it is" },
            { value: "enforced", label: "What is enforced", detail: "on the machine of the console" },
          ]}
          onChange={(value) => onBasis(value === "enforced" ? AskBasis.ENFORCED : AskBasis.DRAFT)}
        />
      )}
      <span className="soft wrap-anywhere">{visibleText(text)}</span>
    </div>
  );
}

/** The smallest connections that show it, with everything that was asked on the way. */
function Examples({ answer }: { readonly answer: Answer }) {
  return answer.examples.slice(0, 2).map((example, index) => {
    const from = example.fromKey || example.fromAddress;
    const to = example.toKey || example.toAddress;
    const word = example.enforced === Verdict.ALLOW ? "allowed" : "denied";
    if (!example.evaluation) return null;
    const title = `${from} → ${to} ${example.portText}`;
    return (
      <details key={title} className="ask-example" open={index === 0 && answer.rows.length === 0}>
        <summary>
          For example <span className="code wrap-anywhere">{visibleText(title)}</span> is {word}: the walk through every
          tier
        </summary>
        <Walkthrough evaluation={example.evaluation} title={visibleText(title)} basis="the smallest example" />
      </details>
    );
  });
}
