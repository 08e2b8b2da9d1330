/** Names of nodes on the canvas, in the theme's colours and font: those that fit. */
import type { NodeDisplayData, PartialButFor } from "sigma/types";
import type { Palette } from "./palette.ts";

type Drawn = PartialButFor<NodeDisplayData, "x" | "y" | "size" | "label" | "color">;

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

const SIZE = 12;
const GAP = 6;
const MARKED = 2;

/** The names of one frame. One that would lie over another is left out; zooming in makes room for it. */
export class LabelBoard {
  #taken: Box[] = [];
  readonly #widths = new Map<string, number>();
  #font = "";

  /** Before the first name of a frame. */
  clear(): void {
    this.#taken = [];
  }

  draw(context: CanvasRenderingContext2D, { x, y, size, label, zIndex }: Drawn, palette: Palette): void {
    if (!label) return;
    const font = `500 ${SIZE}px ${palette.font}`;
    context.font = font;
    const left = x + size + GAP;
    const width = this.#widthOf(context, label, font);
    const box = { left, right: left + width, top: y - SIZE * 0.7, bottom: y + SIZE * 0.7 };
    // What a person has marked says its name whatever is there.
    if (zIndex !== MARKED && this.#taken.some((other) => overlap(box, other))) return;
    this.#taken.push(box);
    // An outline in the colour of the ground keeps the name readable over lines.
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = palette.surface;
    context.fillStyle = zIndex === 0 ? palette.soft : palette.text;
    context.strokeText(label, left, y + SIZE / 3);
    context.fillText(label, left, y + SIZE / 3);
  }

  #widthOf(context: CanvasRenderingContext2D, label: string, font: string): number {
    if (font !== this.#font) {
      this.#font = font;
      this.#widths.clear();
    }
    const width = this.#widths.get(label) ?? context.measureText(label).width;
    this.#widths.set(label, width);
    return width;
  }
}

const overlap = (one: Box, other: Box): boolean =>
  one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
