import { create } from "zustand";
import { EMPTY_FLOW_QUERY, type FlowQuery } from "./flow-buffer.ts";

export type View = "overview" | "policies" | "flows" | "hosts";
export const VIEWS: readonly View[] = ["overview", "policies", "flows", "hosts"];
export type Theme = "system" | "dark" | "light" | "contrast";
export type Density = "compact" | "comfortable";
export type Environment = "none" | "lab" | "staging" | "production";

/** Where the editor should go. The serial makes two jumps to one place two jumps. */
export interface EditorTarget {
  readonly line: number;
  readonly column: number;
  readonly serial: number;
}

interface Preferences {
  readonly theme: Theme;
  readonly density: Density;
  readonly environment: Environment;
  readonly hasSingleKeyShortcuts: boolean;
}

/** Overlays, of which at most one is open. */
export type Overlay = "none" | "palette" | "shortcuts" | "ship" | "history" | "import" | "add-hosts";

export interface WindowState extends Preferences {
  readonly view: View;
  readonly filePath: string | null;
  readonly editorTarget: EditorTarget | null;
  readonly hostId: string | null;
  readonly scopeHostId: string | null;
  readonly lastMs: number | null;
  readonly isFrozen: boolean;
  readonly overlay: Overlay;
  readonly flowQuery: FlowQuery;
  readonly selectedFlowId: bigint | null;
  readonly isEffectShown: boolean;
  /** Files that the desktop handed over; the Policies view takes them to the import preview. */
  readonly handedOver: readonly { readonly path: string; readonly content: Uint8Array }[];
  readonly goTo: (view: View) => void;
  readonly openFile: (path: string | null, line?: number, column?: number) => void;
  readonly openHost: (hostId: string) => void;
  readonly show: (overlay: Overlay) => void;
  readonly set: (change: Partial<WindowState>) => void;
  readonly prefer: (change: Partial<Preferences>) => void;
}

const PREFERENCES_KEY = "wardline.preferences";
const DEFAULTS: Preferences = { theme: "system", density: "compact", environment: "none", hasSingleKeyShortcuts: true };

function oneOf<Value extends string>(value: unknown, values: readonly Value[], otherwise: Value): Value {
  return values.find((candidate) => candidate === value) ?? otherwise;
}

function readPreferences(): Preferences {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(PREFERENCES_KEY) ?? "{}");
    const fields: Record<string, unknown> = typeof kept === "object" && kept !== null ? { ...kept } : {};
    return {
      theme: oneOf(fields.theme, ["system", "dark", "light", "contrast"], DEFAULTS.theme),
      density: oneOf(fields.density, ["compact", "comfortable"], DEFAULTS.density),
      environment: oneOf(fields.environment, ["none", "lab", "staging", "production"], DEFAULTS.environment),
      hasSingleKeyShortcuts: fields.hasSingleKeyShortcuts !== false,
    };
  } catch {
    return DEFAULTS;
  }
}

function keepPreferences({ theme, density, environment, hasSingleKeyShortcuts }: Preferences): void {
  try {
    localStorage.setItem(PREFERENCES_KEY, JSON.stringify({ theme, density, environment, hasSingleKeyShortcuts }));
  } catch {
    // Without storage the choice lasts as long as the window.
  }
}

/** What belongs to this window and nobody else. Data of the server is never in here. */
export const useWindow = create<WindowState>()((set, get) => ({
  ...readPreferences(),
  view: "overview",
  filePath: null,
  editorTarget: null,
  hostId: null,
  scopeHostId: null,
  lastMs: null,
  isFrozen: false,
  overlay: "none",
  flowQuery: EMPTY_FLOW_QUERY,
  selectedFlowId: null,
  isEffectShown: true,
  handedOver: [],
  goTo: (view) => set({ view, overlay: "none" }),
  openFile: (path, line, column) =>
    set({
      view: "policies",
      filePath: path,
      overlay: "none",
      editorTarget:
        line === undefined ? null : { line, column: column ?? 1, serial: (get().editorTarget?.serial ?? 0) + 1 },
    }),
  openHost: (hostId) => set({ view: "hosts", hostId, overlay: "none" }),
  show: (overlay) => set({ overlay }),
  set: (change) => set(change),
  prefer: (change) => {
    set(change);
    keepPreferences(get());
  },
}));
