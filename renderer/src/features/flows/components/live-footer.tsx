import { Play } from "lucide-react";
import { useMonotonicNow } from "../../../data/context.tsx";
import { FLOW_BUFFER_ROWS, type FlowBuffer, flowsBehindMs } from "../../../data/flow-buffer.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, formatAge, formatCount, formatQuantity, formatRate, Moment } from "../../../ui/index.ts";
import type { HeldBack, LiveRows } from "../hooks/use-live-rows.ts";

/** How much the list holds, what it does not, and whether it moves. */
export function LiveFooter({ list }: { list: LiveRows }) {
  const { buffer, rows, stream, held } = list;
  const set = useWindow((state) => state.set);
  return (
    <footer className="flows-footer">
      <span>
        {formatQuantity(rows.length, "row")}
        {rows.length >= FLOW_BUFFER_ROWS ? " · the newest that the window holds; the history has older ones" : ""}
      </span>
      {buffer ? <span>{formatRate(stream.value?.ratePerSecond ?? 0)} before the filter</span> : null}
      <Losses buffer={buffer} />
      <span className="flows-space" />
      {held.sinceMs === null ? (
        stream.status === "live" ? (
          <Live stream={stream} />
        ) : (
          <span className="flows-stale">
            {stream.status === "stale" ? "stream interrupted: these rows are old" : "connecting"}
          </span>
        )
      ) : (
        <>
          <span className="flows-frozen">
            frozen at <Moment timeMs={held.sinceMs} form="clock" />
            {heldText(held)}
          </span>
          {held.pushedOut > 0 ? (
            <Button
              size="small"
              onPress={() =>
                set({
                  flowsMode: "history",
                  markedRange: { fromMs: held.sinceMs ?? 0, untilMs: Date.now() },
                })
              }
            >
              See them in the history
            </Button>
          ) : null}
          <Button size="small" icon={<Play size={12} aria-hidden="true" />} onPress={() => set({ isFrozen: false })}>
            Resume
          </Button>
        </>
      )}
    </footer>
  );
}

function Live({ stream }: { stream: LiveRows["stream"] }) {
  const behindMs = flowsBehindMs(stream, useMonotonicNow(1_000));
  return behindMs > 0 ? (
    <span className="flows-stale">{`live, but ${formatAge(behindMs)} behind the hosts`}</span>
  ) : (
    <span className="flows-live">live</span>
  );
}

/** ` · 12 newer held back`, and what of it the window will not show any more. */
export function heldText({ rows, pushedOut, isAtLeast }: Omit<HeldBack, "sinceMs">): string {
  if (rows === 0 && !isAtLeast) return "";
  const count = `${isAtLeast ? "at least " : ""}${formatCount(rows)}`;
  const gone = pushedOut > 0 ? `, of which ${formatCount(pushedOut)} only the history still has` : "";
  return ` · ${count} newer held back${gone}`;
}

function Losses({ buffer }: { buffer: FlowBuffer | null }) {
  const losses = buffer?.losses;
  if (!losses) return null;
  const parts = [
    losses.rateLimited > 0n ? `${formatCount(losses.rateLimited)} not shown (rate limit)` : "",
    losses.ringFull > 0n ? `${formatCount(losses.ringFull)} not shown (kernel buffer full)` : "",
    losses.readerLag > 0n ? `${formatCount(losses.readerLag)} not shown (console too slow)` : "",
    losses.notFollowed > 0n ? `${formatCount(losses.notFollowed)} shown without their end (flow table full)` : "",
    buffer.passed > 0 ? `${formatCount(buffer.passed)} passed too fast to list; the history has them` : "",
    buffer.holes > 0 ? `${formatQuantity(buffer.holes, "interruption")}: some may be missing here` : "",
  ].filter(Boolean);
  return parts.length === 0 ? (
    <span className="faint">nothing left out</span>
  ) : (
    <span className="flows-losses">{parts.join(" · ")}</span>
  );
}
