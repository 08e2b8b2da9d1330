/**
 * One table of everything that has keys. Keys are written as people read them (`Ctrl+Shift+K`, `F8`, `?`); `Ctrl` is the
 * command key on a Mac. Chords (one key after another) are not needed and not understood. Pure.
 */

/** Where keys count. An editor is part of Policies; keys of `everywhere` count in all of them. */
export type KeyScope = "everywhere" | "policies" | "editor" | "flows";

export interface KeyCommand {
  readonly id: string;
  /** Heading in the list of shortcuts. */
  readonly group: string;
  readonly does: string;
  readonly scope: KeyScope;
  readonly keys: readonly string[];
}

const VIEW_COMMANDS: readonly (readonly [id: string, does: string])[] = [
  ["overview", "Overview"],
  ["policies", "Policies"],
  ["flows", "Flows"],
  ["anomalies", "Anomalies"],
  ["hosts", "Hosts"],
  ["cluster", "Cluster"],
  ["mesh", "Mesh"],
  ["audit", "Audit"],
  ["settings", "Settings"],
  ["changes", "Changes"],
];

export const KEY_COMMANDS: readonly KeyCommand[] = [
  command("palette.open", "Everywhere", "Go anywhere, do anything, ask", "everywhere", "Ctrl+K"),
  command("ask.open", "Everywhere", "Questions asked, and a new one", "everywhere", "Alt+Q"),
  command("window.freeze", "Everywhere", "Freeze or resume live rows", "everywhere", "Ctrl+."),
  command("window.new", "Everywhere", "New window, in the desktop program", "everywhere", "Alt+N"),
  command("window.copy-link", "Everywhere", "Copy a link to this place", "everywhere", "Alt+C"),
  command("window.next-pane", "Everywhere", "Next pane", "everywhere", "F6"),
  command("window.previous-pane", "Everywhere", "Previous pane", "everywhere", "Shift+F6"),
  command("window.shortcuts", "Everywhere", "Keyboard shortcuts", "everywhere", "?"),
  ...VIEW_COMMANDS.map(([id, does], index) =>
    command(`view.${id}`, "Go to", does, "everywhere", `Alt+${(index + 1) % 10}`),
  ),
  command("pending.keep", "While a generation waits", "Keep it", "everywhere", "Alt+K"),
  command("pending.roll-back", "While a generation waits", "Roll it back", "everywhere", "Alt+R"),
  command("ship.open", "Policies", "Review and apply", "policies", "Ctrl+Enter"),
  command("editor.face", "Policies", "Text, form, both, picture", "policies", "Ctrl+Shift+Y"),
  command("editor.save", "Policies", "Save the draft now", "editor", "Ctrl+S"),
  command("editor.next-problem", "Policies", "Next problem", "editor", "F8"),
  command("editor.previous-problem", "Policies", "Previous problem", "editor", "Shift+F8"),
  command("editor.complete", "Policies", "Complete", "editor", "Ctrl+Space"),
  command("editor.definition", "Policies", "Where a name is defined", "editor", "F12"),
  command("editor.references", "Policies", "Where a name is used", "editor", "Shift+F12"),
  command("editor.line-version", "Policies", "Read the version of this line, while they are shown", "editor", "Alt+V"),
  command("flows.search", "Flows", "Search the flows", "flows", "/"),
];

function command(id: string, group: string, does: string, scope: KeyScope, ...keys: string[]): KeyCommand {
  return { id, group, does, scope, keys };
}

/** What the person has chosen instead of the defaults, by command (the setting `keyboard.bindings`); empty = no keys. */
export type KeyBindings = Readonly<Record<string, string>>;

const BY_ID = new Map(KEY_COMMANDS.map((entry) => [entry.id, entry]));
const MODIFIERS = ["Ctrl", "Alt", "Shift"] as const;
const NAMED = new Map([
  [" ", "Space"],
  ["Escape", "Esc"],
  ["ArrowUp", "Up"],
  ["ArrowDown", "Down"],
  ["ArrowLeft", "Left"],
  ["ArrowRight", "Right"],
  ["Del", "Delete"],
]);

export function keyCommand(id: string): KeyCommand | null {
  return BY_ID.get(id) ?? null;
}

/** The keys that count now. What is no name of keys counts as none at all. */
export function keysOf(id: string, bindings: KeyBindings): readonly string[] {
  const chosen = Object.hasOwn(bindings, id) ? bindings[id] : undefined;
  if (chosen === undefined) return BY_ID.get(id)?.keys ?? [];
  const keys = normalKeys(chosen);
  return keys === null ? [] : [keys];
}

/** Written the one way that keys are compared in; `null` = these are no keys. */
export function normalKeys(text: string): string | null {
  const trimmed = text.trim();
  if (trimmed === "" || trimmed.length > 40) return null;
  const parts = trimmed.endsWith("+") ? [...trimmed.slice(0, -1).split("+").filter(Boolean), "+"] : trimmed.split("+");
  const key = parts.at(-1)?.trim() ?? "";
  const held = new Set(parts.slice(0, -1).map((part) => modifierOf(part.trim())));
  if (held.has(null) || modifierOf(key) !== null) return null;
  const name = keyName(key);
  if (name === null) return null;
  return [...MODIFIERS.filter((modifier) => held.has(modifier)), name].join("+");
}

function modifierOf(text: string): (typeof MODIFIERS)[number] | null {
  const lower = text.toLowerCase();
  if (["ctrl", "control", "cmd", "meta", "mod", "⌘"].includes(lower)) return "Ctrl";
  if (["alt", "option", "⌥"].includes(lower)) return "Alt";
  return ["shift", "⇧"].includes(lower) ? "Shift" : null;
}

const KEY_NAMES = ["Enter", "Tab", "Backspace", "Delete", "Insert", "Home", "End", "PageUp", "PageDown"];

function keyName(key: string): string | null {
  const named = NAMED.get(key) ?? key;
  if ([...named].length === 1) return /[\p{C}\p{Z}]/u.test(named) ? null : named.toUpperCase();
  if (/^f([1-9]|1\d|2[0-4])$/i.test(named)) return named.toUpperCase();
  const known = [...KEY_NAMES, ...NAMED.values()].find((each) => each.toLowerCase() === named.toLowerCase());
  return known ?? null;
}

export interface KeyPress {
  readonly key: string;
  readonly code: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly shiftKey: boolean;
}

/** The keys of a press; `null` while only modifiers are held. */
export function keysOfPress(press: KeyPress): string | null {
  const isCommand = press.ctrlKey || press.metaKey;
  const key = pressedKey(press, isCommand);
  if (key === null) return null;
  // The shift that makes a sign out of a key belongs to the sign.
  const isSign = key.length === 1 && key.toUpperCase() === key.toLowerCase() && !/\d/.test(key);
  const held = [isCommand ? "Ctrl" : "", press.altKey ? "Alt" : "", press.shiftKey && !isSign ? "Shift" : ""];
  return normalKeys([...held.filter(Boolean), key].join("+"));
}

/** With Alt a Mac types another sign, and other scripts have no Latin letters: there the place of the key counts. */
function pressedKey({ key, code, altKey }: KeyPress, isCommand: boolean): string | null {
  if (["Control", "Meta", "Alt", "Shift", "AltGraph", "CapsLock", "Dead", "Process"].includes(key)) return null;
  const isOtherSign = key.length === 1 && key.charCodeAt(0) > 0x7e;
  if (altKey || (isCommand && isOtherSign)) {
    const place = /^(?:Key([A-Z])|Digit(\d))$/.exec(code);
    if (place) return place[1] ?? place[2] ?? null;
  }
  return NAMED.get(key) ?? key;
}

/** Keys without Ctrl or Alt that type something: they count only outside of texts, and can be turned off. */
export function isSingleKey(keys: string): boolean {
  return !keys.includes("Ctrl+") && !keys.includes("Alt+") && !/^(Shift\+)?F\d/.test(keys) && [...keys].length <= 2;
}

/** Commands with these keys, the one of the narrowest place first. */
export function commandsWithKeys(keys: string, bindings: KeyBindings): readonly KeyCommand[] {
  const rank = ({ scope }: KeyCommand): number => ["editor", "flows", "policies", "everywhere"].indexOf(scope);
  return KEY_COMMANDS.filter(({ id }) => keysOf(id, bindings).includes(keys)).sort((a, b) => rank(a) - rank(b));
}

export function scopesMeet(one: KeyScope, other: KeyScope): boolean {
  if (one === other || one === "everywhere" || other === "everywhere") return true;
  return [one, other].every((scope) => scope === "policies" || scope === "editor");
}
