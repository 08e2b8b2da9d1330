import { useEffect, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import { Button, Sheet, visibleText } from "../../../ui/index.ts";
import { DRAFT, useAsk } from "../model/ask-store.ts";
import { Outcome } from "./outcome.tsx";
import { QuestionBox } from "./question-box.tsx";
import "../ask.css";

const EXAMPLES = [
  "who can reach db on ssh?",
  "what would the draft open?",
  "what is reachable from world?",
  "what has no policy?",
  "which rules were never hit?",
];

/** Ask in plain words; what was asked before stays in reach. */
export default function AskSheet() {
  const { connection } = useConsole();
  const askText = useWindow((state) => state.askText);
  const show = useWindow((state) => state.show);
  const { asked, history, ask, forgetHistory } = useAsk();
  const [text, setText] = useState(askText || asked?.text || "");
  const submit = (question: string) => {
    if (question.trim() === "") return;
    setText(question);
    void ask(connection, { ...DRAFT, text: question });
  };
  useEffect(() => {
    if (askText === "") return;
    setText(askText);
    void ask(connection, { ...DRAFT, text: askText });
    useWindow.setState({ askText: "" });
  }, [askText, ask, connection]);
  const shown = history.length > 0 ? history : EXAMPLES;
  return (
    <Sheet shape="drawer" title="Ask" isOpen onClose={() => show("none")}>
      <div className="ask">
        <QuestionBox text={text} onChange={setText} onAsk={submit} />
        <Outcome onChoose={submit} />
        <section className="ask-history" aria-label={history.length > 0 ? "Asked before" : "For example"}>
          <header>
            <h3>{history.length > 0 ? "Asked before" : "For example"}</h3>
            {history.length > 0 ? (
              <Button tone="quiet" size="small" onPress={forgetHistory}>
                Forget
              </Button>
            ) : null}
          </header>
          <ul>
            {shown.map((question) => (
              <li key={question}>
                <Button tone="quiet" onPress={() => submit(question)}>
                  {visibleText(question)}
                </Button>
              </li>
            ))}
          </ul>
        </section>
      </div>
    </Sheet>
  );
}
