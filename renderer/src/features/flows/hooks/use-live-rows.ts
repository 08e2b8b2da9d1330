import { useMemo, useRef } from "react";
import { useFlowStream } from "../../../data/context.tsx";
import { FLOW_BUFFER_ROWS, type FlowBuffer, type LiveFlow } from "../../../data/flow-buffer.ts";
import type { StreamState } from "../../../data/live-stream.ts";
import { useWindow } from "../../../data/window-store.ts";
import { sortedItems } from "../model/live-order.ts";
import { recordOfFlow } from "../model/live-record.ts";
import type { RowList } from "../model/row-list.ts";
import { AS_THEY_ARRIVE, type ListOrder } from "./use-ranked-rows.ts";

export interface LiveRows extends RowList {
  readonly stream: StreamState<FlowBuffer>;
  /** What the list shows: the stream, or what it was when the window was frozen. */
  readonly buffer: FlowBuffer | null;
  readonly rows: readonly LiveFlow[];
  readonly held: HeldBack;
}

export interface HeldBack {
  /** Wall-clock time of the freeze; null while it is live. */
  readonly sinceMs: number | null;
  /** Rows that came since. */
  readonly rows: number;
  /** Those of them that are no longer among the newest that the window holds: only the stores have them. */
  readonly pushedOut: number;
  /** The stream was interrupted meanwhile: there may be more. */
  readonly isAtLeast: boolean;
}

/** What a freeze holds back. Nothing of it is lost that is not counted here. */
export function heldBack(
  frozen: { readonly buffer: FlowBuffer | null; readonly atMs: number } | null,
  now: FlowBuffer | null,
): HeldBack {
  if (!frozen) return { sinceMs: null, rows: 0, pushedOut: 0, isAtLeast: false };
  const listed = Math.max(0, (now?.received ?? 0) - (frozen.buffer?.received ?? 0));
  const still = Math.min(listed, now?.rows.length ?? 0, FLOW_BUFFER_ROWS);
  const rows = listed + Math.max(0, (now?.passed ?? 0) - (frozen.buffer?.passed ?? 0));
  const isAtLeast = (now?.holes ?? 0) > (frozen.buffer?.holes ?? 0);
  return { sinceMs: frozen.atMs, rows, pushedOut: rows - still, isAtLeast };
}

const nothing = () => {};

/** The newest flows as a list. Freezing keeps them as they are; the stream goes on behind it. */
export function useLiveRows(order: ListOrder): LiveRows {
  const stream = useFlowStream();
  const isFrozen = useWindow((state) => state.isFrozen);
  const text = useWindow((state) => state.flowText);
  const scopeHostId = useWindow((state) => state.scopeHostId);
  const lastMs = useWindow((state) => state.lastMs);
  const frozen = useRef<{ readonly buffer: FlowBuffer; readonly atMs: number } | null>(null);
  // A question that was just asked has no rows yet: what was held belongs to the former one.
  if (!isFrozen || stream.value === null) frozen.current = null;
  else frozen.current ??= { buffer: stream.value, atMs: Date.now() };
  const buffer = frozen.current ? frozen.current.buffer : stream.value;
  const isAsArrived = order.sort === AS_THEY_ARRIVE.sort;
  const rows = useMemo(
    () => (isAsArrived ? (buffer?.rows ?? []) : sortedItems(buffer?.rows ?? [], recordOfFlow, order)),
    [buffer?.rows, order, isAsArrived],
  );
  const list = useMemo(() => listOf(rows, isAsArrived), [rows, isAsArrived]);
  // One list a question and order; a number, as the grid compares it.
  const serial = useSerial(JSON.stringify([text, scopeHostId, lastMs, order]));
  return {
    ...list,
    ...{ serial, stream, buffer, rows, isRunning: false, gaps: [], want: nothing },
    version: buffer?.received ?? 0,
    added: isAsArrived ? (buffer?.received ?? 0) : 0,
    held: heldBack(frozen.current, stream.value),
  };
}

function useSerial(name: string): number {
  const known = useRef({ name, serial: 1 });
  if (known.current.name !== name) known.current = { name, serial: known.current.serial + 1 };
  return known.current.serial;
}

/** As they arrive, ids fall with the rank; in any other order the list stands still, and a rank is name enough. */
export function listOf(
  rows: readonly LiveFlow[],
  isAsArrived: boolean,
): Pick<RowList, "listed" | "rowAt" | "keyAt" | "rankAtOrAfter"> {
  const listed = rows.length;
  const rowAt = (rank: number) => {
    const row = rows[rank];
    return row ? recordOfFlow(row) : null;
  };
  if (!isAsArrived) {
    const rankAtOrAfter = (key: number) => Math.max(0, Math.min(listed, key));
    return { listed, rowAt, keyAt: (rank) => rank, rankAtOrAfter };
  }
  const keyAt = (rank: number) => -Number(rows[rank]?.id ?? 0n);
  const rankAtOrAfter = (key: number) => {
    let [low, high] = [0, listed];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (keyAt(middle) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return { listed, rowAt, keyAt, rankAtOrAfter };
}
