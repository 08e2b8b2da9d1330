import { type PointerEvent, useState } from "react";
import { useConsoleNow } from "../../../data/context.tsx";
import { type FlowBuffer, STRIP_SECONDS } from "../../../data/flow-buffer.ts";
import { formatClock, formatCount, formatQuantity } from "../../../ui/index.ts";

const HEIGHT = 36;

interface TimeStripProps {
  readonly buffer: FlowBuffer | null;
  readonly isFrozen: boolean;
  /** A stretch that somebody wants to look at, Unix ms. */
  readonly onMark: (fromMs: number, untilMs: number) => void;
}

/** Seconds from the left edge of the strip, while it is being marked. */
interface Mark {
  readonly start: number;
  readonly now: number;
  /** Of the strip when the marking began: it goes on moving. */
  readonly leftMs: number;
}

/** A press without a move is no stretch. */
const LEAST_SECONDS = 2;

/** Allowed above, denied below the line, per second of the last three minutes. The table is its twin in words. */
export function TimeStrip({ buffer, isFrozen, onMark }: TimeStripProps) {
  const nowMs = useConsoleNow();
  const [mark, setMark] = useState<Mark | null>(null);
  const strip = buffer?.strip ?? new Map<number, { allow: number; deny: number; observed: number }>();
  const newest = Math.max(0, ...strip.keys());
  const end = isFrozen ? newest : Math.max(newest, Math.floor(nowMs / 1000));
  const seconds = [...strip].filter(([second]) => second > end - STRIP_SECONDS);
  const highest = Math.max(4, ...seconds.map(([, counts]) => Math.max(counts.allow, counts.deny + counts.observed)));
  const sum = seconds.reduce(
    (total, [, counts]) => ({ allow: total.allow + counts.allow, deny: total.deny + counts.deny + counts.observed }),
    { allow: 0, deny: 0 },
  );
  const scale = (HEIGHT / 2 - 2) / highest;
  const middle = HEIGHT / 2;
  const leftMs = (end - STRIP_SECONDS) * 1000;
  const secondAt = (event: PointerEvent<SVGSVGElement>) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    const share = (event.clientX - left) / Math.max(1, width);
    return Math.round(Math.max(0, Math.min(1, share)) * STRIP_SECONDS);
  };
  const finish = () => {
    if (!mark) return;
    setMark(null);
    const [from, until] = [Math.min(mark.start, mark.now), Math.max(mark.start, mark.now)];
    if (until - from >= LEAST_SECONDS) onMark(mark.leftMs + from * 1000, mark.leftMs + until * 1000);
  };
  return (
    <figure className="time-strip">
      <svg
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          const second = secondAt(event);
          setMark({ start: second, now: second, leftMs });
        }}
        onPointerMove={(event) => {
          if (mark) setMark({ ...mark, now: secondAt(event) });
        }}
        onPointerUp={finish}
        onPointerCancel={() => setMark(null)}
        viewBox={`0 0 ${STRIP_SECONDS} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Last three minutes: ${formatQuantity(sum.allow, "flow")} allowed, ${sum.deny} denied`}
      >
        <title>Mark a stretch to see it in the history</title>
        {mark ? (
          <rect
            x={Math.min(mark.start, mark.now)}
            width={Math.abs(mark.now - mark.start)}
            y={0}
            height={HEIGHT}
            className="strip-mark"
          />
        ) : null}
        <path d={`M0 ${middle}H${STRIP_SECONDS}`} className="strip-line" />
        {seconds.map(([second, counts]) => {
          const x = STRIP_SECONDS - (end - second) - 1;
          const deny = counts.deny * scale;
          const observed = counts.observed * scale;
          return (
            <g key={second}>
              {counts.allow > 0 ? (
                <rect
                  x={x + 0.1}
                  width={0.8}
                  y={middle - 1 - counts.allow * scale}
                  height={counts.allow * scale}
                  className="strip-allow"
                />
              ) : null}
              {counts.deny > 0 ? (
                <rect x={x + 0.1} width={0.8} y={middle + 1} height={deny} className="strip-deny" />
              ) : null}
              {counts.observed > 0 ? (
                <rect x={x + 0.1} width={0.8} y={middle + 1 + deny} height={observed} className="strip-observed" />
              ) : null}
            </g>
          );
        })}
      </svg>
      <figcaption>
        <span>{formatClock(leftMs)}</span>
        <span>up to {formatCount(highest)}/s</span>
        <button type="button" className="strip-history" onClick={() => onMark(leftMs, end * 1000)}>
          These minutes in the history
        </button>
        <span>{formatClock(end * 1000)}</span>
      </figcaption>
    </figure>
  );
}
