/** Pointer and finger on the picture: over, click, drag. Panning and zooming are the canvas' own. */
import type { MouseCoords } from "sigma/types";
import type { GraphCanvas } from "./canvas.ts";
import type { LinkAttributes } from "./edge-program.ts";
import type { Place } from "./layout.ts";
import type { NodeAttributes } from "./node-program.ts";

export interface Pointed {
  readonly id: string;
  /** Pixels in the canvas. */
  readonly x: number;
  readonly y: number;
}

interface PointerPorts {
  readonly pick: (at: Place) => string | null;
  readonly isNode: (id: string) => boolean;
  /** `isAdding`: with Shift, to choose several. */
  readonly onSelect: (id: string | null, isAdding: boolean) => void;
  readonly onOver: (pointed: Pointed | null) => void;
  readonly onDrag: (nodeId: string, to: Place) => void;
  readonly onDropped: () => void;
  /** A line drawn over the ground with Shift held, as far as it goes; absent = nothing is chosen so. */
  readonly onLasso?: (line: readonly Place[], isDone: boolean) => void;
}

const MOVED_FROM = 3;

const isShift = ({ original }: MouseCoords) => "shiftKey" in original && original.shiftKey;

export function listenToPointer(sigma: GraphCanvas<NodeAttributes, LinkAttributes>, ports: PointerPorts): void {
  const mouse = sigma.getMouseCaptor();
  const touch = sigma.getTouchCaptor();
  // The canvas would read its own pixels back at each move to find out what lies there, and wait for the graphics.
  mouse.removeAllListeners();
  touch.removeAllListeners();
  let over: string | null = null;
  let held: { readonly id: string; readonly from: Place; isMoved: boolean } | null = null;
  const setOver = (id: string | null, at: Place) => {
    if (id === over) return;
    over = id;
    ports.onOver(id === null ? null : { id, x: at.x, y: at.y });
  };
  mouse.on("mousemove", (event) => {
    if (held === null) setOver(ports.pick(event), event);
  });
  mouse.on("mouseleave", (event) => setOver(null, event));
  let lasso: Place[] | null = null;
  mouse.on("mousedown", (event) => {
    const id = ports.pick(event);
    if (ports.onLasso && isShift(event)) lasso = [{ x: event.x, y: event.y }];
    if (id !== null && ports.isNode(id)) held = { id, from: { x: event.x, y: event.y }, isMoved: false };
  });
  mouse.on("mousemovebody", (event: MouseCoords) => {
    if (lasso !== null) {
      event.preventSigmaDefault();
      lasso.push({ x: event.x, y: event.y });
      ports.onLasso?.(lasso, false);
      return;
    }
    if (held === null) return;
    event.preventSigmaDefault();
    held.isMoved ||= Math.hypot(event.x - held.from.x, event.y - held.from.y) > MOVED_FROM;
    if (held.isMoved) ports.onDrag(held.id, event);
  });
  mouse.on("mouseup", () => {
    if (held?.isMoved) ports.onDropped();
    held = null;
    const line = lasso;
    lasso = null;
    if (line && line.length > MOVED_FROM) ports.onLasso?.(line, true);
  });
  mouse.on("click", (event) => ports.onSelect(ports.pick(event), isShift(event)));
  touch.on("tap", ({ touches: [finger] }) => {
    if (finger) ports.onSelect(ports.pick(finger), false);
  });
}
