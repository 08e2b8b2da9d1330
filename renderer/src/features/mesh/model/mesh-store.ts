import { create } from "zustand";
import type { Overlay, ProviderFilter } from "./shown.ts";

export type MeshFace = "picture" | "nodes" | "links";

/** How one looks at the mesh: kept while the window is open, also while another view is shown. */
interface MeshLookState {
  readonly face: MeshFace;
  readonly provider: ProviderFilter;
  readonly overlays: ReadonlySet<Overlay>;
  /** Unix ms of the minute that is looked at; `null` = now. */
  readonly atMs: number | null;
  /** How much time the slider has. */
  readonly spanMs: number;
  /** Which part of the side panel is shown when nothing is selected. */
  readonly isFindingPath: boolean;
  readonly pathFrom: string;
  readonly pathTo: string;
  /** Nodes and links of the way that is looked at; `null` = none. */
  readonly way: ReadonlySet<string> | null;
  readonly look: (change: Partial<MeshLookState>) => void;
  readonly toggleOverlay: (overlay: Overlay) => void;
}

const HOUR_MS = 3_600_000;

export const useMeshLook = create<MeshLookState>()((set, get) => ({
  face: "picture",
  provider: null,
  overlays: new Set(),
  atMs: null,
  spanMs: HOUR_MS,
  isFindingPath: false,
  pathFrom: "",
  pathTo: "",
  way: null,
  look: (change) => set(change),
  toggleOverlay: (overlay) => {
    const overlays = new Set(get().overlays);
    if (!overlays.delete(overlay)) overlays.add(overlay);
    set({ overlays });
  },
}));
