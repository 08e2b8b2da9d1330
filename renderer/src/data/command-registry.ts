/**
 * Everything that can be done by name. A feature adds its commands with `registerCommands`; the palette shows them and the
 * keymap runs those that have keys.
 *
 * ```ts
 * useEffect(() => registerCommands("flows", () => [{ id: "flows:export", group: "Do", title: "Export the flows…", run }]), [run]);
 * ```
 */

/** Order of the groups in the palette. A group of its own comes after these, by name. */
export const COMMAND_GROUPS = [
  "Now",
  "Questions",
  "Recent",
  "Go to",
  "Do",
  "Hosts",
  "Policies",
  "Rules",
  "Files",
  "Flows",
  "Saved queries",
  "Anomalies",
  "Settings",
  "Display",
] as const;

export interface Command {
  /** Unique, and the same from one session to the next: recent commands are kept by it. */
  readonly id: string;
  readonly group: string;
  /** Verb first for what does something; safe to show (see `visibleText`). */
  readonly title: string;
  /** Behind the title, fainter: a namespace, an address, a file and line. */
  readonly detail?: string;
  /** Other words that find it. */
  readonly words?: string;
  /** Id in the keymap, whose present keys are shown. */
  readonly keyId?: string;
  /** Why it cannot be done now, as a sentence; it is then listed and does nothing. */
  readonly disabledReason?: string | null;
  /** It ends something or changes a host: `run` must only open the dialog that asks. */
  readonly isDangerous?: boolean;
  readonly run: () => void;
}

export type CommandSource = () => readonly Command[];

const sources = new Map<string, CommandSource>();
const listeners = new Set<() => void>();
let version = 0;

function changed(): void {
  version += 1;
  for (const listener of listeners) listener();
}

/**
 * Adds what one part of the window offers; the same name again replaces it. `source` is asked each time the palette opens, so
 * that it may depend on anything. Returns what takes it away again.
 */
export function registerCommands(name: string, source: CommandSource): () => void {
  sources.set(name, source);
  changed();
  return () => {
    if (sources.get(name) !== source) return;
    sources.delete(name);
    changed();
  };
}

/** Everything that is offered now; of two with one id the first counts. A source that fails leaves out its own. */
export function allCommands(): Command[] {
  const byId = new Map<string, Command>();
  for (const [name, source] of sources) {
    try {
      for (const command of source()) if (!byId.has(command.id)) byId.set(command.id, command);
    } catch (error) {
      console.error(`the commands of ${name} cannot be listed`, error);
    }
  }
  return [...byId.values()];
}

export const subscribeToCommands = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** Changes when sources come or go. */
export const commandsVersion = (): number => version;
