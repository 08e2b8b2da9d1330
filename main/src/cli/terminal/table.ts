import { cellWidth, visible } from "./visible.ts";

export interface Cell {
  readonly text: string;
  /** Applied after the width is known, so that it does not count. */
  readonly paint?: (text: string) => string;
}

/** Left-aligned columns two spaces apart; every text is made harmless. The last column is not padded. */
export function formatTable(header: readonly string[], rows: readonly (readonly (Cell | string)[])[]): string {
  const all = [header, ...rows].map((row) => row.map(toCell));
  const widths = header.map((_, column) => Math.max(...all.map((row) => cellWidth(row[column]?.text ?? ""))));
  return `${all.map((row) => formatRow(row, widths)).join("\n")}\n`;
}

/** One row of a table whose widths are given (for output that grows). Longer texts push the rest. */
export function formatRow(row: readonly (Cell | string)[], widths: readonly number[]): string {
  return row
    .map(toCell)
    .map((cell, column) => {
      const isLast = column === row.length - 1;
      const padding = isLast ? 0 : Math.max(0, (widths[column] ?? 0) - cellWidth(cell.text)) + 2;
      return (cell.paint ? cell.paint(cell.text) : cell.text) + " ".repeat(padding);
    })
    .join("")
    .trimEnd();
}

function toCell(cell: Cell | string): Cell {
  return typeof cell === "string" ? { text: visible(cell) } : { ...cell, text: visible(cell.text) };
}
