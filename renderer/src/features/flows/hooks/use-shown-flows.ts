import { useRef } from "react";
import { useFlowStream } from "../../../data/context.tsx";
import type { FlowBuffer } from "../../../data/flow-buffer.ts";
import type { StreamState } from "../../../data/live-stream.ts";
import { useWindow } from "../../../data/window-store.ts";

export interface ShownFlows {
  readonly stream: StreamState<FlowBuffer>;
  /** What the table shows: the stream, or what it was when the window was frozen. */
  readonly buffer: FlowBuffer | null;
  /** Rows that came since it was frozen. */
  readonly heldBack: number;
  /** Wall-clock time of the freeze; null while it is live. */
  readonly frozenAtMs: number | null;
}

/** Freezing keeps the rows as they are; the stream goes on behind it. */
export function useShownFlows(): ShownFlows {
  const stream = useFlowStream();
  const isFrozen = useWindow((state) => state.isFrozen);
  const frozen = useRef<{ buffer: FlowBuffer | null; atMs: number } | null>(null);
  if (!isFrozen) frozen.current = null;
  else frozen.current ??= { buffer: stream.value, atMs: Date.now() };
  const buffer = frozen.current ? frozen.current.buffer : stream.value;
  const heldBack = frozen.current ? Math.max(0, (stream.value?.received ?? 0) - (buffer?.received ?? 0)) : 0;
  return { stream, buffer, heldBack, frozenAtMs: frozen.current?.atMs ?? null };
}
