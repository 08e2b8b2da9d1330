import { type ComponentPropsWithRef, type KeyboardEvent, useId, useState } from "react";
import { visibleText } from "../../../../ui/index.ts";
import type { Offer } from "../model/form-context.ts";
import "./word-input.css";

const MOST_OFFERED = 60;

interface WordInputProps
  extends Omit<ComponentPropsWithRef<"input">, "type" | "value" | "onChange" | "role" | "list" | "onKeyDown"> {
  readonly value: string;
  readonly offered: readonly Offer[];
  /** Of what is typed, and of an offer that is taken. */
  readonly onText: (text: string) => void;
}

/**
 * A line of text with words on offer below it while one types. Anything may be written: an offer is taken only by a click,
 * or with an arrow key and Enter.
 */
export function WordInput({ value, offered, onText, ...rest }: WordInputProps) {
  const [isOpen, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const [isTyped, setTyped] = useState(false);
  const id = useId();
  const wanted = isTyped ? value.toLowerCase() : "";
  const fitting = isOpen
    ? offered
        .filter((offer) => offer.value !== value && offer.value.toLowerCase().includes(wanted))
        .slice(0, MOST_OFFERED)
    : [];
  const isShown = fitting.length > 0 && !rest.readOnly;
  const close = () => {
    setOpen(false);
    setActive(-1);
  };
  const take = ({ value: word }: Offer) => {
    onText(word);
    setTyped(false);
    close();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing || event.altKey || event.ctrlKey || event.metaKey) return;
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0 && offered.length > 0) {
      event.preventDefault();
      if (!isShown) return setOpen(true);
      const next = Math.min(fitting.length - 1, Math.max(-1, active + step));
      setActive(next);
      document.getElementById(`${id}-${next}`)?.scrollIntoView({ block: "nearest" });
      return;
    }
    const chosen = fitting[active];
    if (isShown && (event.key === "Escape" || (event.key === "Enter" && chosen))) {
      // Whoever is around this field means something else by these keys.
      event.preventDefault();
      event.stopPropagation();
      if (event.key === "Enter" && chosen) take(chosen);
      else close();
    }
  };
  const combobox =
    offered.length === 0
      ? {}
      : ({
          role: "combobox",
          "aria-expanded": isShown,
          "aria-autocomplete": "list",
          ...(isShown ? { "aria-controls": id } : {}),
          ...(isShown && active >= 0 ? { "aria-activedescendant": `${id}-${active}` } : {}),
        } as const);
  return (
    <span className="form-words">
      <input
        {...rest}
        {...combobox}
        type="text"
        value={value}
        spellCheck={false}
        autoComplete="off"
        onKeyDown={onKeyDown}
        onChange={(event) => {
          setTyped(true);
          setOpen(true);
          setActive(-1);
          onText(event.target.value);
        }}
        onBlur={(event) => {
          close();
          setTyped(false);
          rest.onBlur?.(event);
        }}
      />
      {isShown ? (
        <div className="menu form-offers scroll" id={id} role="listbox" tabIndex={-1} aria-label="Words on offer">
          {fitting.map((offer, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the field, which keeps the focus
            <div
              key={offer.value}
              id={`${id}-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === active}
              data-focused={index === active ? "true" : undefined}
              className="menu-item"
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => take(offer)}
            >
              <span className="menu-item-text">
                <span className="truncate">{visibleText(offer.value)}</span>
                {offer.detail ? <span className="faint truncate">{visibleText(offer.detail)}</span> : null}
              </span>
            </div>
          ))}
        </div>
      ) : null}
    </span>
  );
}
