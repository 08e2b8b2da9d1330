import { create } from "zustand";

export type View =
  | "overview"
  | "policies"
  | "flows"
  | "anomalies"
  | "hosts"
  | "cluster"
  | "mesh"
  | "audit"
  | "settings"
  | "changes";
export const VIEWS: readonly View[] = [
  "overview",
  "policies",
  "flows",
  "anomalies",
  "hosts",
  "cluster",
  "mesh",
  "audit",
  "settings",
  "changes",
];
/** What happens now, or what was recorded over months. */
export type FlowsMode = "live" | "history";
export type AnomaliesTab = "findings" | "alerts" | "backtest";
export type MeshTab = "topology" | "healing";

/** How a file of policies is looked at; `both` = text and form beside each other. */
export type EditorFace = "text" | "form" | "both" | "picture";

/** Where the editor should go. The serial makes two jumps to one place two jumps. */
export interface EditorTarget {
  readonly line: number;
  readonly column: number;
  readonly serial: number;
}

/** Overlays, of which at most one is open. */
/** `suggestions`: policies that recorded flows would have needed. */
export type Overlay =
  | "none"
  | "palette"
  | "shortcuts"
  | "ship"
  | "history"
  /** The files of one version, to be read. */
  | "version"
  | "import"
  | "add-hosts"
  | "suggestions"
  | "ask";

export interface WindowState {
  readonly view: View;
  readonly filePath: string | null;
  readonly editorTarget: EditorTarget | null;
  readonly editorFace: EditorFace;
  readonly hostId: string | null;
  readonly scopeHostId: string | null;
  readonly lastMs: number | null;
  /** A stretch of time that somebody marked; it counts before `lastMs`. */
  readonly markedRange: { readonly fromMs: number; readonly untilMs: number } | null;
  readonly isFrozen: boolean;
  readonly overlay: Overlay;
  /** The version that is read: by number or digest, and the file to begin with. */
  readonly versionPlace: { readonly version: string; readonly path: string | null } | null;
  readonly selectedFlowId: bigint | null;
  readonly flowsMode: FlowsMode;
  /** What is asked of flows, live and of the history alike, in the flow query language. */
  readonly flowText: string;
  readonly anomaliesTab: AnomaliesTab;
  readonly findingId: string | null;
  readonly meshTab: MeshTab;
  /** Of the node or link that is looked at. */
  readonly meshId: string | null;
  readonly healingRunId: string | null;
  readonly isEffectShown: boolean;
  /** The picture of all policies, instead of one file. */
  readonly isPictureShown: boolean;
  /** The question that the sheet of questions opens with. */
  readonly askText: string;
  /** Files that the desktop handed over; the Policies view takes them to the import preview. */
  readonly handedOver: readonly { readonly path: string; readonly content: Uint8Array }[];
  readonly goTo: (view: View) => void;
  readonly openFile: (path: string | null, line?: number, column?: number) => void;
  readonly openVersion: (version: string, path: string | null) => void;
  readonly openHost: (hostId: string) => void;
  readonly openFinding: (findingId: string | null) => void;
  readonly openMesh: (nodeOrLinkId: string | null) => void;
  readonly openHealing: (runId: string | null) => void;
  readonly openHistory: (text: string) => void;
  readonly openAsk: (text: string) => void;
  readonly show: (overlay: Overlay) => void;
  readonly set: (change: Partial<WindowState>) => void;
}

/** What belongs to this window and nobody else. Data of the server is never in here. */
export const useWindow = create<WindowState>()((set, get) => ({
  view: "overview",
  filePath: null,
  editorTarget: null,
  editorFace: "text",
  hostId: null,
  scopeHostId: null,
  lastMs: null,
  markedRange: null,
  isFrozen: false,
  overlay: "none",
  versionPlace: null,
  selectedFlowId: null,
  flowsMode: "live",
  flowText: "",
  anomaliesTab: "findings",
  findingId: null,
  meshTab: "topology",
  meshId: null,
  healingRunId: null,
  isEffectShown: true,
  isPictureShown: false,
  askText: "",
  handedOver: [],
  goTo: (view) => set({ view, overlay: "none" }),
  openFile: (path, line, column) =>
    set({
      view: "policies",
      isPictureShown: false,
      filePath: path,
      overlay: "none",
      editorTarget:
        line === undefined ? null : { line, column: column ?? 1, serial: (get().editorTarget?.serial ?? 0) + 1 },
    }),
  openVersion: (version, path) => set({ versionPlace: { version, path }, overlay: "version" }),
  openHost: (hostId) => set({ view: "hosts", hostId, overlay: "none" }),
  openFinding: (findingId) => set({ view: "anomalies", anomaliesTab: "findings", findingId, overlay: "none" }),
  openMesh: (meshId) => set({ view: "mesh", meshTab: "topology", meshId, overlay: "none" }),
  openHealing: (healingRunId) => set({ view: "mesh", meshTab: "healing", healingRunId, overlay: "none" }),
  openHistory: (flowText) => set({ view: "flows", flowsMode: "history", flowText, overlay: "none" }),
  openAsk: (askText) => set({ askText, overlay: "ask" }),
  show: (overlay) => set({ overlay }),
  set: (change) => set(change),
}));
