import { useId, useMemo, useState } from "react";
import { useConsole, useHostsStream, useWorkspaceStream } from "../data/context.tsx";
import { type Theme, useWindow, VIEWS } from "../data/window-store.ts";
import { KeyHint, Sheet, visibleText } from "../ui/index.ts";
import { decideOnlyPending, VIEW_KEYS, VIEW_NAMES } from "./commands.ts";
import { matchCommands } from "./match-commands.ts";

export interface PaletteCommand {
  readonly id: string;
  readonly group: string;
  readonly title: string;
  readonly keys?: string;
  readonly run: () => void;
}

const SHOWN_COMMANDS = 60;

function useCommands(): PaletteCommand[] {
  const { connection } = useConsole();
  const hosts = useHostsStream().value;
  const files = useWorkspaceStream().value?.files;
  const isFrozen = useWindow((state) => state.isFrozen);
  return useMemo(() => {
    const { goTo, show, openFile, openHost, prefer, set } = useWindow.getState();
    const close = () => show("none");
    const themes: readonly (readonly [Theme, string])[] = [
      ["system", "System theme"],
      ["dark", "Dark theme"],
      ["light", "Light theme"],
      ["contrast", "High-contrast theme"],
    ];
    const waits = (hosts?.pending.length ?? 0) > 0;
    return [
      ...(waits
        ? [
            {
              id: "keep",
              group: "Now",
              title: "Keep the generation that waits",
              keys: "Alt+K",
              run: () => {
                close();
                decideOnlyPending(connection, "keep");
              },
            },
            {
              id: "rollback",
              group: "Now",
              title: "Roll back the generation that waits",
              keys: "Alt+R",
              run: () => {
                close();
                decideOnlyPending(connection, "roll-back");
              },
            },
          ]
        : []),
      ...VIEWS.map((view) => ({
        id: `view:${view}`,
        group: "Go to",
        title: VIEW_NAMES[view],
        keys: VIEW_KEYS[view],
        run: () => goTo(view),
      })),
      { id: "ship", group: "Do", title: "Review and apply the workspace", keys: "Ctrl+Enter", run: () => show("ship") },
      {
        id: "history",
        group: "Do",
        title: "History: versions and receipts",
        run: () => {
          goTo("policies");
          show("history");
        },
      },
      {
        id: "freeze",
        group: "Do",
        title: isFrozen ? "Resume live rows" : "Freeze live rows",
        keys: "Ctrl+.",
        run: () => {
          close();
          set({ isFrozen: !isFrozen });
        },
      },
      { id: "shortcuts", group: "Do", title: "Keyboard shortcuts", keys: "?", run: () => show("shortcuts") },
      ...themes.map(([theme, title]) => ({
        id: `theme:${theme}`,
        group: "Display",
        title,
        run: () => {
          close();
          prefer({ theme });
        },
      })),
      {
        id: "density:compact",
        group: "Display",
        title: "Compact rows",
        run: () => {
          close();
          prefer({ density: "compact" });
        },
      },
      {
        id: "density:comfortable",
        group: "Display",
        title: "Comfortable rows",
        run: () => {
          close();
          prefer({ density: "comfortable" });
        },
      },
      ...(hosts?.hosts ?? []).map((host) => ({
        id: `host:${host.id}`,
        group: "Hosts",
        title: visibleText(host.name),
        run: () => openHost(host.id),
      })),
      ...(files ?? []).map((file) => ({
        id: `file:${file.path}`,
        group: "Files",
        title: visibleText(file.path),
        run: () => openFile(file.path),
      })),
    ];
  }, [connection, hosts, files, isFrozen]);
}

/** Ctrl+K: everything that can be done or opened, by name. */
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

function PaletteBody() {
  const commands = useCommands();
  const [text, setText] = useState("");
  const [activeIndex, setActiveIndex] = useState(0);
  const listId = useId();
  const found = matchCommands(commands, text).slice(0, SHOWN_COMMANDS);
  const active = found[Math.min(activeIndex, found.length - 1)];
  const optionId = (command: PaletteCommand) => `${listId}-${command.id.replace(/[^a-zA-Z0-9]/g, "_")}`;
  const move = (step: number) => {
    const next = (Math.min(activeIndex, found.length - 1) + step + found.length) % Math.max(1, found.length);
    setActiveIndex(next);
    const command = found[next];
    if (command) document.getElementById(optionId(command))?.scrollIntoView({ block: "nearest" });
  };
  return (
    <div className="palette">
      <input
        // biome-ignore lint/a11y/noAutofocus: the palette is opened to type in it.
        autoFocus
        className="palette-input"
        role="combobox"
        aria-expanded="true"
        aria-controls={listId}
        aria-label="Command"
        aria-activedescendant={active ? optionId(active) : undefined}
        placeholder="A view, a file, a host, or something to do"
        value={text}
        spellCheck={false}
        onChange={(event) => {
          setText(event.target.value);
          setActiveIndex(0);
        }}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === "ArrowDown") move(1);
          else if (event.key === "ArrowUp") move(-1);
          else if (event.key === "Enter") active?.run();
          else return;
          event.preventDefault();
        }}
      />
      <div id={listId} className="palette-list scroll" role="listbox" aria-label="Commands" tabIndex={-1}>
        {found.length === 0 ? <p className="palette-none soft">Nothing has that name.</p> : null}
        {found.map((command, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are on the input, as for every combobox.
          <div
            key={command.id}
            id={optionId(command)}
            role="option"
            tabIndex={-1}
            aria-selected={command === active}
            className="palette-option"
            onMouseMove={() => setActiveIndex(index)}
            onClick={() => command.run()}
          >
            <span className="palette-group faint">
              {found[index - 1]?.group === command.group ? "" : command.group}
            </span>
            <span className="truncate">{command.title}</span>
            {command.keys ? <KeyHint keys={command.keys} /> : null}
          </div>
        ))}
      </div>
    </div>
  );
}
