/** Where a page ended, as a text that goes to clients and comes back. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Snapshot } from "./ranked-rows.ts";
import type { Place } from "./row-queries.ts";

const TOKEN = /^(\d{1,16})\.(\d{1,10})\.(\d{1,10})$/;

export function toToken(place: Place | null): string {
  return place === null ? "" : `${place.timeMs}.${place.leaf}.${place.row}`;
}

/** `null` for the beginning. @throws Failure INVALID_ARGUMENT */
export function fromToken(token: string): Place | null {
  if (token === "") return null;
  const [, timeMs, leaf, row] = TOKEN.exec(token) ?? [];
  if (timeMs === undefined) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: "The page that was asked for is none that was given out.",
      hint: "Begin again with the first page.",
    });
  }
  return { timeMs: Number(timeMs), leaf: Number(leaf), row: Number(row) };
}

const SNAPSHOT = /^(\d{1,10})\.(\d{1,16})$/;

export function toSnapshotToken({ leaf, rows }: Snapshot): string {
  return `${leaf}.${rows}`;
}

/** `null` for now. @throws Failure INVALID_ARGUMENT */
export function fromSnapshotToken(token: string): Snapshot | null {
  if (token === "") return null;
  const [, leaf, rows] = SNAPSHOT.exec(token) ?? [];
  if (leaf === undefined) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: "The list that was asked for is none that was given out.",
      hint: "Begin again with the list as it is now.",
    });
  }
  return { leaf: Number(leaf), rows: Number(rows) };
}
