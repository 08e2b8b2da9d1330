import { useQuery } from "@connectrpc/connect-query";
import { skipToken } from "@tanstack/react-query";
import { HistoryService, type QueryCompletion } from "@wardline/api/wardline/console/v1/history";
import { Search } from "lucide-react";
import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import { useKeyCommand } from "../../../data/key-commands.ts";
import { Button, visibleText } from "../../../ui/index.ts";

const MOST_COMPLETIONS = 8;
const SETTLE_MS = 120;

interface QueryBarProps {
  /** As it was asked last. */
  readonly text: string;
  readonly onAsk: (text: string) => void;
}

/** The question as text, checked while it is typed: what is wrong is shown under its place, what could follow is offered. */
export function QueryBar({ text, onAsk }: QueryBarProps) {
  const [typed, setTyped] = useState(text);
  const [cursor, setCursor] = useState(text.length);
  const [chosen, setChosen] = useState(-1);
  const [isOpen, setOpen] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const listId = useId();
  const problemId = useId();
  useEffect(() => setTyped(text), [text]);
  const settled = useSettled(typed, SETTLE_MS);
  const check = useQuery(
    HistoryService.method.checkQuery,
    settled === "" && !isOpen ? skipToken : { text: settled, cursor: Math.min(cursor, settled.length) },
    { placeholderData: (former) => former, staleTime: 60_000 },
  );
  const problem = settled === typed && typed.trim() !== "" ? check.data?.diagnostics[0] : undefined;
  const completions = isOpen && settled === typed ? (check.data?.completions ?? []).slice(0, MOST_COMPLETIONS) : [];
  useKeyCommand("flows.search", () => input.current?.focus());

  const take = (completion: QueryCompletion) => {
    const next = `${typed.slice(0, completion.start)}${completion.text}${typed.slice(completion.end)}`;
    const at = completion.start + completion.text.length;
    setTyped(next);
    setCursor(at);
    setChosen(-1);
    requestAnimationFrame(() => input.current?.setSelectionRange(at, at));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    const picked = completions[chosen];
    if (event.key === "ArrowDown" && completions.length > 0) setChosen((chosen + 1) % completions.length);
    else if (event.key === "ArrowUp" && completions.length > 0)
      setChosen((chosen - 1 + completions.length) % completions.length);
    else if (event.key === "Enter" && picked) take(picked);
    else if (event.key === "Enter") {
      setOpen(false);
      onAsk(typed.trim());
    } else if (event.key === "Escape" && completions.length > 0) setOpen(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div className="query-bar">
      <span className="field-box query-box">
        <Search size={14} aria-hidden="true" />
        <input
          ref={input}
          className="field-input code"
          role="combobox"
          aria-label="Query of the flows"
          aria-expanded={completions.length > 0}
          aria-controls={listId}
          aria-autocomplete="list"
          aria-activedescendant={chosen >= 0 ? `${listId}-${chosen}` : undefined}
          aria-invalid={problem ? true : undefined}
          aria-describedby={problem ? problemId : undefined}
          placeholder="host:web-1 port:443 -dst:10.0.0.0/8 verdict:deny"
          value={typed}
          maxLength={2_000}
          spellCheck={false}
          autoComplete="off"
          onChange={(event) => {
            setTyped(event.target.value);
            setCursor(event.target.selectionStart ?? event.target.value.length);
            setChosen(-1);
            setOpen(true);
          }}
          onSelect={(event) => setCursor(event.currentTarget.selectionStart ?? 0)}
          onBlur={() => setOpen(false)}
          onKeyDown={onKeyDown}
        />
        <Button size="small" tone="primary" onPress={() => onAsk(typed.trim())}>
          Search
        </Button>
      </span>
      <div
        id={listId}
        role="listbox"
        aria-label="What could follow"
        className="query-completions"
        hidden={completions.length === 0}
      >
        {completions.map((completion, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the input has the keys (arrows, Enter).
          <div
            key={completion.text}
            id={`${listId}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === chosen}
            className="query-completion"
            // The input must keep the focus.
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => take(completion)}
          >
            <code>{visibleText(completion.text)}</code> <span className="faint">{visibleText(completion.detail)}</span>
          </div>
        ))}
      </div>
      {problem ? (
        <p id={problemId} className="query-problem" role="status">
          {problem.source ? `At ${problem.source.column}: ` : ""}
          {visibleText(problem.message)} <code className="faint">{problem.code}</code>
        </p>
      ) : null}
    </div>
  );
}

/** The value once it has stayed the same for a while. */
function useSettled(value: string, settleMs: number): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), settleMs);
    return () => clearTimeout(timer);
  }, [value, settleMs]);
  return settled;
}
