import { useQuery } from "@connectrpc/connect-query";
import { keepPreviousData, skipToken } from "@tanstack/react-query";
import { AskService } from "@wardline/api/wardline/console/v1/ask";
import { useId, useState } from "react";
import { visibleText } from "../../../ui/index.ts";

interface QuestionBoxProps {
  readonly text: string;
  readonly onChange: (text: string) => void;
  readonly onAsk: (text: string) => void;
}

/** A line for a question, with what could stand at the cursor. Enter asks; Tab or a click takes a completion. */
export function QuestionBox({ text, onChange, onAsk }: QuestionBoxProps) {
  const [cursor, setCursor] = useState(text.length);
  const [active, setActive] = useState(-1);
  const [isOpen, setOpen] = useState(false);
  const listId = useId();
  const wanted = isOpen && text.length <= 500 ? { text, cursor: Math.min(cursor, text.length) } : skipToken;
  const { data } = useQuery(AskService.method.complete, wanted, {
    placeholderData: keepPreviousData,
    staleTime: 5_000,
  });
  const offered = isOpen && data ? data.completions.filter(({ end }) => end <= text.length).slice(0, 8) : [];
  const take = (index: number) => {
    const completion = offered[index];
    if (!completion) return;
    const next = `${text.slice(0, completion.start)}${completion.text} ${text.slice(completion.end).trimStart()}`;
    onChange(next);
    setCursor(completion.start + completion.text.length + 1);
    setActive(-1);
  };
  return (
    <div className="ask-box">
      <input
        // biome-ignore lint/a11y/noAutofocus: the sheet is opened to ask.
        autoFocus
        className="palette-input"
        role="combobox"
        aria-label="Question"
        aria-expanded={offered.length > 0}
        aria-controls={listId}
        aria-autocomplete="list"
        aria-activedescendant={offered[active] ? `${listId}-${active}` : undefined}
        placeholder="can web reach db on 5432?"
        value={text}
        maxLength={500}
        spellCheck={false}
        onBlur={() => setOpen(false)}
        onChange={(event) => {
          onChange(event.target.value);
          setCursor(event.target.selectionStart ?? event.target.value.length);
          setActive(-1);
          setOpen(true);
        }}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === "ArrowDown" && offered.length > 0) setActive((active + 1) % offered.length);
          else if (event.key === "ArrowUp" && offered.length > 0)
            setActive(((active + offered.length) % (offered.length + 1)) - 0);
          else if (event.key === "Enter" && offered[active]) take(active);
          else if (event.key === "Enter") {
            setOpen(false);
            onAsk(text);
          } else if (event.key === "Escape" && offered.length > 0) setOpen(false);
          else return;
          event.preventDefault();
          event.stopPropagation();
        }}
      />
      <div
        id={listId}
        role="listbox"
        aria-label="What could come next"
        className="ask-offered"
        tabIndex={-1}
        hidden={offered.length === 0}
      >
        {offered.map((completion, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are on the input, as for every combobox.
          <div
            key={completion.text}
            id={`${listId}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === active}
            className="palette-option"
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => take(index)}
          >
            <span className="truncate">{visibleText(completion.text)}</span>
            <span className="faint">{completion.detail}</span>
          </div>
        ))}
      </div>
    </div>
  );
}
