/** What the window says aloud of streams: through the one voice and within its budget (`ui/announcer.ts`). */
import { useEffect, useRef } from "react";
import { useConsole, useHostsStream, useMonotonicNow } from "../data/context.tsx";
import { flowVerdict } from "../data/flow-buffer.ts";
import { useKeysOf } from "../data/key-commands.ts";
import { useWindow } from "../data/window-store.ts";
import { endWords } from "../features/ship/components/pending-end-notice.tsx";
import { useShip } from "../features/ship/model/ship-store.ts";
import { announce, announceCounts, announcer, announceUrgent, formatDuration, visibleText } from "../ui/index.ts";

/** Time left of a generation that waits, at which it is said again. */
const SAID_AT_MS = [60_000, 30_000, 10_000] as const;

export function useAnnouncements(): void {
  useSpokenConnection();
  useSpokenCountdown();
  useSpokenEnds();
  useSpokenFlows();
}

/** A lost connection at once; that it is back, when there is time. */
function useSpokenConnection(): void {
  const { status, failure, receivedAtMs } = useHostsStream();
  const isLost = status === "stale" && failure !== null && receivedAtMs !== null;
  const words = isLost ? `${visibleText(failure.message)} ${visibleText(failure.hint)}` : "";
  const wasLost = useRef(false);
  useEffect(() => {
    if (isLost && !wasLost.current) announceUrgent(`Connection lost. ${words}`);
    if (!isLost && wasLost.current) announce("Connected again");
    wasLost.current = isLost;
  }, [isLost, words]);
}

/** A generation that waits: when it begins to, and as its time runs out. */
function useSpokenCountdown(): void {
  const pending = useHostsStream().value?.pending ?? [];
  const nowMs = useMonotonicNow(1_000);
  const keepKeys = useKeysOf("pending.keep");
  const rollBackKeys = useKeysOf("pending.roll-back");
  const said = useRef(new Map<string, number>());
  useEffect(() => {
    const waiting = pending.map((entry) => ({
      ...entry,
      key: `${entry.hostId}:${entry.pending.generation?.number ?? 0n}`,
      leftMs: entry.deadlineMonotonicMs - nowMs,
    }));
    for (const key of said.current.keys()) if (!waiting.some((entry) => entry.key === key)) said.current.delete(key);
    for (const { key, leftMs, hostName, pending: own } of waiting) {
      const before = said.current.get(key) ?? Number.POSITIVE_INFINITY;
      const level = SAID_AT_MS.findLast((each) => leftMs <= each) ?? Number.MAX_SAFE_INTEGER;
      if (leftMs <= 0 || level >= before) continue;
      said.current.set(key, level);
      const left = formatDuration(Math.max(1_000, Math.round(leftMs / 1_000) * 1_000));
      const how = before === Number.POSITIVE_INFINITY ? ` ${keepKeys} keeps it, ${rollBackKeys} rolls it back.` : "";
      announceUrgent(
        `Generation ${own.generation?.number ?? "?"} waits on ${visibleText(hostName)}: ${left} left to keep it.${how}`,
      );
    }
  }, [pending, nowMs, keepKeys, rollBackKeys]);
}

/** How it ended: what was rolled back is said at once, also by whom. */
function useSpokenEnds(): void {
  const [newest] = useShip((state) => state.ends);
  useEffect(() => {
    if (!newest) return;
    const { tone, title } = endWords(newest);
    if (tone === "allow") announce(title);
    else announceUrgent(title);
  }, [newest]);
}

/** New rows of the live flows, counted together; not while they are frozen or not looked at. */
function useSpokenFlows(): void {
  const { connection } = useConsole();
  const isHeard = useWindow(({ view, flowsMode, isFrozen }) => view === "flows" && flowsMode === "live" && !isFrozen);
  useEffect(() => {
    if (!isHeard) return;
    let former = connection.flows.getState().value?.received ?? null;
    const stop = connection.flows.subscribe(() => {
      const buffer = connection.flows.getState().value;
      if (!buffer) return;
      const added = former === null ? 0 : buffer.received - former;
      former = buffer.received;
      if (added <= 0) return;
      let refused = 0;
      for (let index = 0; index < Math.min(added, buffer.rows.length); index++) {
        const row = buffer.rows[index];
        if (row && flowVerdict(row) === "deny") refused += 1;
      }
      announceCounts({ "new flows": added, refused });
    });
    return () => {
      stop();
      announcer.forgetCounts();
    };
  }, [connection, isHeard]);
}
