import { describe, expect, it } from "vitest";
import { LabelBoard } from "./labels.ts";
import type { Palette } from "./palette.ts";

const palette = { font: "Test", text: "#000000", soft: "#777777", surface: "#ffffff" } as Palette;

/** Every sign is 7 pixels wide. */
function paper() {
  const written: string[] = [];
  const context = {
    measureText: (text: string) => ({ width: text.length * 7 }),
    strokeText: () => undefined,
    fillText: (text: string) => written.push(text),
  };
  return { written, context: context as unknown as CanvasRenderingContext2D };
}

const node = (label: string, x: number, y: number, zIndex = 1) => ({ label, x, y, size: 5, color: "#000000", zIndex });

describe("names on the canvas", () => {
  it("are written where they fit, and what is marked always", () => {
    const board = new LabelBoard();
    const { written, context } = paper();
    board.draw(context, node("first", 0, 0), palette);
    board.draw(context, node("over it", 10, 4), palette);
    board.draw(context, node("marked", 12, 6, 2), palette);
    board.draw(context, node("below", 0, 40), palette);
    board.draw(context, node("beside", 80, 0), palette);
    expect(written).toEqual(["first", "marked", "below", "beside"]);
    board.clear();
    board.draw(context, node("over it", 10, 4), palette);
    expect(written.at(-1)).toBe("over it");
  });
});
