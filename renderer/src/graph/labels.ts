/** Names of nodes on the canvas, in the theme's colours and font. */
import type { NodeDisplayData, PartialButFor } from "sigma/types";
import type { Palette } from "./palette.ts";

type Drawn = PartialButFor<NodeDisplayData, "x" | "y" | "size" | "label" | "color">;

const SIZE = 12;
const GAP = 6;

export function drawLabel(
  context: CanvasRenderingContext2D,
  { x, y, size, label, zIndex }: Drawn,
  palette: Palette,
): void {
  if (!label) return;
  context.font = `500 ${SIZE}px ${palette.font}`;
  // An outline in the colour of the ground keeps the name readable over lines.
  context.lineJoin = "round";
  context.lineWidth = 4;
  context.strokeStyle = palette.surface;
  context.fillStyle = zIndex === 0 ? palette.soft : palette.text;
  context.strokeText(label, x + size + GAP, y + SIZE / 3);
  context.fillText(label, x + size + GAP, y + SIZE / 3);
}
