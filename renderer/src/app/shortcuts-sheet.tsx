import { useState } from "react";
import { clashesOf, findClashes } from "../data/key-clashes.ts";
import { KEY_COMMANDS, type KeyBindings, type KeyCommand, keyCommand, keysOf, keysOfPress } from "../data/keymap.ts";
import { changeSettings, useSetting } from "../data/settings.ts";
import { useWindow } from "../data/window-store.ts";
import { Button, keyText, Sheet } from "../ui/index.ts";
import { setRecordingKeys } from "./use-shortcuts.ts";

/** Keys that belong to tables and dialogs everywhere and stay as they are. */
const FIXED: readonly (readonly [keys: string, does: string])[] = [
  ["Esc", "Close what is open"],
  ["↑ ↓ Home End", "Move through rows"],
  ["Enter", "Open the row"],
  ["Esc, then Tab", "Leave the editor by keyboard"],
];

export function ShortcutsSheet() {
  const { overlay, show } = useWindow();
  return (
    <Sheet shape="dialog" title="Keyboard shortcuts" isOpen={overlay === "shortcuts"} onClose={() => show("none")}>
      <Shortcuts />
    </Sheet>
  );
}

function Shortcuts() {
  const bindings = useSetting("keyboard.bindings");
  const hasSingleKeys = useSetting("keyboard.singleKeys");
  const [problem, setProblem] = useState("");
  const groups = [...new Set(KEY_COMMANDS.map(({ group }) => group))];
  const clashes = findClashes(bindings).filter(
    ({ severity, with: other }) => severity === "refused" || other === "command",
  );
  const isChanged = Object.keys(bindings).length > 0;
  const save = async (next: KeyBindings) => {
    const failure = await changeSettings({ "keyboard.bindings": next });
    setProblem(failure?.message ?? "");
  };
  return (
    <div className="shortcuts">
      {[...new Set(clashes.map(({ message }) => message))].map((message) => (
        <p key={message} role="alert" className="shortcut-clash">
          {message}
        </p>
      ))}
      {problem ? <p role="alert">{problem}</p> : null}
      {groups.map((group) => (
        <section key={group}>
          <h3>{group}</h3>
          {KEY_COMMANDS.filter((entry) => entry.group === group).map((entry) => (
            <Shortcut key={entry.id} entry={entry} bindings={bindings} onSave={save} />
          ))}
        </section>
      ))}
      <section>
        <h3>In tables and dialogs</h3>
        <dl className="facts">
          {FIXED.map(([keys, does]) => (
            <div className="shortcut" key={keys}>
              <dt>
                <kbd className="key-hint">{keys}</kbd>
              </dt>
              <dd>{does}</dd>
            </div>
          ))}
        </dl>
      </section>
      <p className="soft">
        Keys are part of the settings file (keyboard.bindings), and are exported and imported with it. Single keys are{" "}
        {hasSingleKeys ? "on" : "off"}.
      </p>
      <div className="shortcut-actions">
        <Button size="small" onPress={() => void changeSettings({ "keyboard.singleKeys": !hasSingleKeys })}>
          {hasSingleKeys ? "Turn single keys off" : "Turn single keys on"}
        </Button>
        <Button size="small" isDisabled={!isChanged} onPress={() => void save({})}>
          All keys as they were
        </Button>
      </div>
    </div>
  );
}

interface ShortcutProps {
  readonly entry: KeyCommand;
  readonly bindings: KeyBindings;
  readonly onSave: (bindings: KeyBindings) => Promise<void>;
}

function Shortcut({ entry, bindings, onSave }: ShortcutProps) {
  const [recording, setRecording] = useState(false);
  const [tried, setTried] = useState<string | null>(null);
  const keys = keysOf(entry.id, bindings)[0] ?? "";
  const clashes = tried === null ? [] : clashesOf(entry.id, tried, bindings);
  const isRefused = clashes.some(({ severity }) => severity === "refused");
  const record = (on: boolean) => {
    setRecording(on);
    setRecordingKeys(on);
  };
  const take = (next: string) => {
    setTried(null);
    void onSave({ ...bindings, [entry.id]: next });
  };
  const isOwn = bindings[entry.id] !== undefined;
  return (
    <div className="shortcut-row">
      <span>{entry.does}</span>
      {recording ? (
        <input
          // biome-ignore lint/a11y/noAutofocus: the person has just asked to press keys.
          autoFocus
          readOnly
          className="shortcut-record"
          aria-label={`Press the keys for ${entry.does}`}
          value="Press keys… (Esc ends)"
          onBlur={() => record(false)}
          onKeyDown={(event) => {
            const pressed = keysOfPress(event.nativeEvent);
            event.preventDefault();
            event.stopPropagation();
            if (pressed === null) return;
            record(false);
            if (pressed !== "Esc") setTried(pressed);
          }}
        />
      ) : (
        <kbd className="key-hint">{keys === "" ? "none" : keyText(keys)}</kbd>
      )}
      <Button size="small" tone="quiet" aria-label={`Change the keys of ${entry.does}`} onPress={() => record(true)}>
        Change
      </Button>
      {isOwn ? (
        <Button
          size="small"
          tone="quiet"
          aria-label={`${entry.does}: the usual keys again`}
          onPress={() => {
            const { [entry.id]: _, ...rest } = bindings;
            void onSave(rest);
          }}
        >
          {keyText(keyCommand(entry.id)?.keys[0] ?? "none")} again
        </Button>
      ) : null}
      {tried === null ? null : (
        <div className="shortcut-tried" role="alert">
          <kbd className="key-hint">{keyText(tried)}</kbd>
          {clashes.map(({ message }) => (
            <span key={message}>{message}</span>
          ))}
          {isRefused ? null : (
            <Button size="small" tone="primary" onPress={() => take(tried)}>
              {clashes.length > 0 ? "Use them anyway" : "Use them"}
            </Button>
          )}
          <Button size="small" tone="quiet" onPress={() => setTried(null)}>
            Leave it
          </Button>
        </div>
      )}
    </div>
  );
}
