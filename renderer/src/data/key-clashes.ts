/** Keys that several want: commands among themselves, the browser, the editor. Pure. */
import {
  isSingleKey,
  KEY_COMMANDS,
  type KeyBindings,
  type KeyCommand,
  keyCommand,
  keysOf,
  scopesMeet,
} from "./keymap.ts";

export interface KeyClash {
  readonly keys: string;
  readonly commandId: string;
  /** Another command, the browser, the editor, the system's reader of the screen. */
  readonly with: "command" | "browser" | "editor" | "reserved";
  /** `refused`: the keys would never reach the command. */
  readonly severity: "refused" | "warning";
  /** One sentence. */
  readonly message: string;
}

/** The browser keeps these to itself: no page ever hears of them. */
const BROWSER_KEEPS = new Set([
  "Ctrl+T",
  "Ctrl+N",
  "Ctrl+W",
  "Ctrl+Shift+T",
  "Ctrl+Shift+N",
  "Ctrl+Shift+W",
  "Ctrl+Tab",
  "Ctrl+Shift+Tab",
  "F11",
]);
const BROWSER_USES: ReadonlyMap<string, string> = new Map([
  ["Ctrl+L", "goes to the address"],
  ["Ctrl+R", "loads the page again"],
  ["F5", "loads the page again"],
  ["Ctrl+F", "finds in the page"],
  ["Ctrl+P", "prints"],
  ["Ctrl+D", "makes a bookmark"],
  ["Ctrl+H", "opens the history"],
  ["Ctrl+J", "opens the downloads"],
  ["Ctrl+O", "opens a file"],
  ["Ctrl+U", "shows the source"],
  ["Ctrl+Plus", "zooms"],
  ["Ctrl++", "zooms"],
  ["Ctrl+-", "zooms"],
  ["Ctrl+0", "zooms"],
  ["Ctrl+C", "copies"],
  ["Ctrl+V", "pastes"],
  ["Ctrl+X", "cuts"],
  ["Ctrl+A", "selects everything"],
  ["Ctrl+Z", "takes the last edit back"],
  ["Alt+Left", "goes back"],
  ["Alt+Right", "goes forward"],
  ["Alt+D", "goes to the address"],
  ["Alt+F4", "closes the window"],
  ["F1", "opens the browser's help"],
  ["F6", "goes to the address"],
  ["F12", "opens the developer tools"],
  ["Ctrl+Shift+I", "opens the developer tools"],
]);
/** What the editor does with keys by itself (CodeMirror's default, history, search, folding and completion keymaps). */
const EDITOR_USES: ReadonlyMap<string, string> = new Map([
  ["Ctrl+Z", "undo"],
  ["Ctrl+Y", "redo"],
  ["Ctrl+Shift+Z", "redo"],
  ["Ctrl+U", "undo of a selection"],
  ["Ctrl+A", "select everything"],
  ["Ctrl+F", "search"],
  ["F3", "next match"],
  ["Shift+F3", "previous match"],
  ["Ctrl+G", "next match"],
  ["Ctrl+D", "select the next match"],
  ["Ctrl+Shift+L", "select all matches"],
  ["Alt+G", "go to line"],
  ["Ctrl+/", "comment"],
  ["Ctrl+[", "less indentation"],
  ["Ctrl+]", "more indentation"],
  ["Ctrl+Shift+K", "delete the line"],
  ["Alt+Up", "move the line up"],
  ["Alt+Down", "move the line down"],
  ["Alt+L", "select the line"],
  ["Ctrl+I", "select the surrounding part"],
  ["Ctrl+Home", "start of the text"],
  ["Ctrl+End", "end of the text"],
  ["Tab", "indentation"],
  ["Enter", "new line"],
]);
/** Every dialog, table and menu needs these to be usable at all. */
const RESERVED = new Set(["Tab", "Shift+Tab", "Esc", "Enter", "Space", "Up", "Down", "Left", "Right"]);

/** Everything that is wrong with the present keys, refused ones first. */
export function findClashes(bindings: KeyBindings): readonly KeyClash[] {
  const found = KEY_COMMANDS.flatMap((entry) =>
    keysOf(entry.id, bindings).flatMap((keys) => clashesOf(entry.id, keys, bindings)),
  );
  return found.sort((a, b) => Number(b.severity === "refused") - Number(a.severity === "refused"));
}

/** What would be wrong if the command had these keys. */
export function clashesOf(commandId: string, keys: string, bindings: KeyBindings): readonly KeyClash[] {
  const own = keyCommand(commandId);
  if (!own) return [];
  const clash = (kind: KeyClash["with"], severity: KeyClash["severity"], message: string): KeyClash => ({
    keys,
    commandId,
    with: kind,
    severity,
    message,
  });
  const found: KeyClash[] = [];
  if (RESERVED.has(keys)) {
    found.push(clash("reserved", "refused", `${keys} is needed to move about and cannot mean anything else.`));
  } else if (BROWSER_KEEPS.has(keys)) {
    found.push(clash("browser", "refused", `The browser keeps ${keys} to itself; it would never arrive here.`));
  }
  const browser = BROWSER_USES.get(keys);
  if (browser) found.push(clash("browser", "warning", `In a browser ${keys} ${browser}; here it would not any more.`));
  const editor = EDITOR_USES.get(keys);
  if (editor && scopesMeet(own.scope, "editor")) {
    found.push(clash("editor", "warning", `In the editor ${keys} is ${editor}; here it would not be any more.`));
  }
  for (const other of KEY_COMMANDS) {
    if (other.id === commandId || !keysOf(other.id, bindings).includes(keys) || !scopesMeet(own.scope, other.scope))
      continue;
    found.push(clash("command", "refused", `${keys} is also “${describe(other)}”.`));
  }
  if (isSingleKey(keys) && /^[A-Z0-9]$/.test(keys)) {
    found.push(
      clash(
        "reserved",
        "warning",
        `${keys} alone works only while no text has the focus, and programs that read the screen may use it.`,
      ),
    );
  }
  return found;
}

const describe = ({ does, group }: KeyCommand): string => `${does} (${group})`;
