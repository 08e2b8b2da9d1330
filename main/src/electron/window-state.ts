/** Size and place of the window, kept over starts. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";

export interface WindowBounds {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface WindowState {
  readonly bounds: WindowBounds | null;
  readonly isMaximized: boolean;
  /** 1 = as it is. */
  readonly zoomFactor: number;
}

const MIN_WIDTH = 800;
const MIN_HEIGHT = 500;
const SMALLEST_ZOOM = 0.5;
const LARGEST_ZOOM = 3;
const NOTHING_KEPT: WindowState = { bounds: null, isMaximized: false, zoomFactor: 1 };

export function readWindowState(path: string): WindowState {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value !== "object" || value === null) return NOTHING_KEPT;
    const { bounds, isMaximized, zoomFactor } = value as Partial<Record<keyof WindowState, unknown>>;
    return { bounds: readBounds(bounds), isMaximized: isMaximized === true, zoomFactor: readZoom(zoomFactor) };
  } catch {
    return NOTHING_KEPT;
  }
}

export function writeWindowState(path: string, state: WindowState): void {
  const partialPath = `${path}.partial`;
  writeFileSync(partialPath, JSON.stringify(state), { mode: 0o600 });
  renameSync(partialPath, path);
}

/** The bounds when they still show on a display: one may have been unplugged. */
export function visibleBounds(bounds: WindowBounds | null, workAreas: readonly WindowBounds[]): WindowBounds | null {
  if (!bounds) return null;
  const grip = { left: bounds.x + 40, right: bounds.x + bounds.width - 40, top: bounds.y };
  const isReachable = workAreas.some(
    (area) =>
      grip.right > area.x &&
      grip.left < area.x + area.width &&
      grip.top >= area.y &&
      grip.top < area.y + area.height - 40,
  );
  return isReachable ? bounds : null;
}

function readZoom(value: unknown): number {
  const isFit = typeof value === "number" && value >= SMALLEST_ZOOM && value <= LARGEST_ZOOM;
  return isFit ? value : NOTHING_KEPT.zoomFactor;
}

function readBounds(value: unknown): WindowBounds | null {
  if (typeof value !== "object" || value === null) return null;
  const { x, y, width, height } = value as Partial<Record<keyof WindowBounds, unknown>>;
  if (![x, y, width, height].every((number) => Number.isSafeInteger(number) && Math.abs(Number(number)) < 100_000))
    return null;
  return {
    x: Number(x),
    y: Number(y),
    width: Math.max(MIN_WIDTH, Number(width)),
    height: Math.max(MIN_HEIGHT, Number(height)),
  };
}
