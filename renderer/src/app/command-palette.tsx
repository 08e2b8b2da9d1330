import { looksLikeQuestion } from "@wardline/domain/policy/ask/looks";
import { Suspense, useEffect, useId, useMemo, useState, useSyncExternalStore } from "react";
import { allCommands, type Command, commandsVersion, subscribeToCommands } from "../data/command-registry.ts";
import { useConsole } from "../data/context.tsx";
import { keysOf } from "../data/keymap.ts";
import { useSetting } from "../data/settings.ts";
import { useWindow } from "../data/window-store.ts";
import { AskOutcome, DRAFT, useAsk } from "../features/ask/index.ts";
import { KeyHint, Sheet, Skeleton, visibleText } from "../ui/index.ts";
import { makeFindable, matchCommands } from "./match-commands.ts";
import { ruleCommands } from "./rule-commands.ts";

const SHOWN_COMMANDS = 60;
const SHOWN_RULES = 20;
const RECENT_KEY = "wardline.recent-commands";
const KEPT_RECENT = 12;

/** Ctrl+K: everything that can be done, opened or asked, by name. */
export function CommandPalette() {
  const { overlay, show } = useWindow();
  return (
    <Sheet
      shape="palette"
      title="Command palette"
      isTitleHidden
      isOpen={overlay === "palette"}
      onClose={() => show("none")}
    >
      <PaletteBody />
    </Sheet>
  );
}

/** Whether what was typed is asked as a question: the console knows, by the names that it has. */
function useQuestion(text: string): string {
  const { connection } = useConsole();
  const [question, setQuestion] = useState("");
  useEffect(() => {
    setQuestion("");
    if (text.length > 500 || !looksLikeQuestion(text)) return;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      connection.ask.complete({ text, cursor: text.length }, { signal: stop.signal }).then(
        (answer) => setQuestion(answer.question),
        () => setQuestion(""),
      );
    }, 80);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [connection, text]);
  return question;
}

/** Rules that have the words, as commands that go to them: the console finds them, because there may be thousands. */
function useRules(text: string): readonly Command[] {
  const { connection } = useConsole();
  const [rules, setRules] = useState<readonly Command[]>([]);
  useEffect(() => {
    const words = text.trim();
    if (words.length < 2 || words.length > 500) {
      setRules([]);
      return;
    }
    const stop = new AbortController();
    const timer = setTimeout(() => {
      connection.ask.findRules({ text: words, limit: SHOWN_RULES }, { signal: stop.signal }).then(
        (answer) => setRules(ruleCommands(answer)),
        () => {
          if (!stop.signal.aborted) setRules([]);
        },
      );
    }, 80);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [connection, text]);
  return rules;
}

function PaletteBody() {
  const { connection } = useConsole();
  const version = useSyncExternalStore(subscribeToCommands, commandsVersion);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the version says when there are others.
  const commands = useMemo(() => makeFindable(allCommands()), [version]);
  const [recent] = useState(readRecent);
  const [text, setText] = useState("");
  const [activeIndex, setActiveIndex] = useState(0);
  const [isAsked, setAsked] = useState(false);
  const listId = useId();
  const question = useQuestion(text);
  const rules = useRules(text);
  const ask = (asked: string) => {
    setText(asked);
    setAsked(true);
    void useAsk.getState().ask(connection, { ...DRAFT, text: asked });
  };
  const matches = useMemo(
    () => matchCommands(commands, text, { recent, limit: SHOWN_COMMANDS }),
    [commands, text, recent],
  );
  const questions: Command[] = looksLikeQuestion(text)
    ? [
        {
          id: "question",
          group: "Questions",
          title: visibleText(question || text),
          detail: question ? "ask" : "ask, or see what is understood",
          run: () => ask(text),
        },
      ]
    : [];
  const found = question ? [...questions, ...matches, ...rules] : [...matches, ...rules, ...questions];
  const active = found[Math.min(activeIndex, found.length - 1)];
  const optionId = (place: number) => `${listId}-${place}`;
  const run = (command: Command | undefined) => {
    if (!command || command.disabledReason) return;
    if (command.id !== "question" && command.group !== "Rules") keepRecent(command.id);
    command.run();
  };
  const move = (step: number) => {
    const next = (Math.min(activeIndex, found.length - 1) + step + found.length) % Math.max(1, found.length);
    setActiveIndex(next);
    document.getElementById(optionId(next))?.scrollIntoView({ block: "nearest" });
  };
  return (
    <div className="palette">
      <input
        // biome-ignore lint/a11y/noAutofocus: the palette is opened to type in it.
        autoFocus
        className="palette-input"
        role="combobox"
        aria-expanded={!isAsked}
        aria-autocomplete="list"
        aria-controls={isAsked ? undefined : listId}
        aria-label="Command"
        aria-activedescendant={active && !isAsked ? optionId(found.indexOf(active)) : undefined}
        placeholder="Ask, or go to a view, file, host, or something to do"
        value={text}
        spellCheck={false}
        onChange={(event) => {
          setText(event.target.value);
          setActiveIndex(0);
          setAsked(false);
        }}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === "ArrowDown") move(1);
          else if (event.key === "ArrowUp") move(-1);
          else if (event.key === "Enter") run(active);
          else return;
          event.preventDefault();
        }}
      />
      <p className="visually-hidden" role="status">
        {isAsked ? "" : found.length === 1 ? "1 entry" : `${found.length} entries`}
      </p>
      {isAsked ? (
        <Suspense fallback={<Skeleton label="Working out the answer" />}>
          <AskOutcome onChoose={ask} />
        </Suspense>
      ) : (
        <div id={listId} className="palette-list scroll" role="listbox" aria-label="Commands" tabIndex={-1}>
          {found.length === 0 ? <p className="palette-none soft">Nothing has that name.</p> : null}
          {found.map((command, index) => (
            <PaletteOption
              key={command.id}
              id={optionId(index)}
              command={command}
              isFirstOfGroup={found[index - 1]?.group !== command.group}
              isActive={command === active}
              onActive={() => setActiveIndex(index)}
              onRun={() => run(command)}
            />
          ))}
        </div>
      )}
    </div>
  );
}

interface PaletteOptionProps {
  readonly id: string;
  readonly command: Command;
  readonly isFirstOfGroup: boolean;
  readonly isActive: boolean;
  readonly onActive: () => void;
  readonly onRun: () => void;
}

function PaletteOption({ id, command, isFirstOfGroup, isActive, onActive, onRun }: PaletteOptionProps) {
  const bindings = useSetting("keyboard.bindings");
  const keys = command.keyId ? keysOf(command.keyId, bindings)[0] : undefined;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are on the input, as for every combobox.
    <div
      id={id}
      role="option"
      tabIndex={-1}
      aria-selected={isActive}
      aria-disabled={Boolean(command.disabledReason)}
      className="palette-option"
      onMouseMove={onActive}
      onClick={onRun}
    >
      <span className="palette-group faint truncate">{isFirstOfGroup ? command.group : ""}</span>
      <span className="truncate">
        {command.title} <span className="faint">{command.disabledReason ?? command.detail ?? ""}</span>
      </span>
      {keys ? <KeyHint keys={keys} /> : null}
    </div>
  );
}

function readRecent(): readonly string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(RECENT_KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((id): id is string => typeof id === "string").slice(0, KEPT_RECENT) : [];
  } catch {
    return [];
  }
}

function keepRecent(id: string): void {
  try {
    localStorage.setItem(
      RECENT_KEY,
      JSON.stringify([id, ...readRecent().filter((each) => each !== id)].slice(0, KEPT_RECENT)),
    );
  } catch {
    // Without storage nothing is recent the next time.
  }
}
