import { type PictureClass, PictureGrouping } from "@wardline/api/wardline/console/v1/picture";
import { create } from "zustand";

export type Overlay = "reported" | "draft" | "difference";
export type Face = "picture" | "connections" | "groups" | "columns";

export const OVERLAYS: readonly { readonly value: Overlay; readonly label: string }[] = [
  { value: "reported", label: "Reported" },
  { value: "draft", label: "Draft" },
  { value: "difference", label: "Difference" },
];

export interface PictureLook {
  readonly face: Face;
  readonly overlay: Overlay;
  readonly grouping: PictureGrouping;
  readonly labelKeys: readonly string[];
  /** None = all. */
  readonly classes: ReadonlySet<PictureClass>;
  readonly port: string;
  readonly namespace: string;
  readonly search: string;
  /** A node or an edge. */
  readonly selectedId: string | null;
  /** Only this node and its neighbours. */
  readonly focusId: string | null;
  readonly chosen: ReadonlySet<string>;
  readonly isWriting: boolean;
  readonly look: (change: Partial<PictureLook>) => void;
  readonly select: (id: string | null) => void;
  readonly choose: (ids: readonly string[]) => void;
}

/** How this window looks at pictures; what is in them belongs to the backend. */
export const usePictureLook = create<PictureLook>()((set, get) => ({
  face: "picture",
  overlay: "draft",
  grouping: PictureGrouping.UNSPECIFIED,
  labelKeys: [],
  classes: new Set(),
  port: "",
  namespace: "",
  search: "",
  selectedId: null,
  focusId: null,
  chosen: new Set(),
  isWriting: false,
  look: (change) => set(change),
  select: (selectedId) => set({ selectedId, isWriting: false }),
  /** Chosen ones among them are no longer. */
  choose: (ids) => {
    const chosen = new Set(get().chosen);
    for (const id of ids) if (!chosen.delete(id)) chosen.add(id);
    set({ chosen, isWriting: false });
  },
}));
