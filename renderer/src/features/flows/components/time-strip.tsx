import { useConsoleNow } from "../../../data/context.tsx";
import { type FlowBuffer, STRIP_SECONDS } from "../../../data/flow-buffer.ts";
import { formatClock, formatQuantity } from "../../../ui/index.ts";

const HEIGHT = 36;

interface TimeStripProps {
  readonly buffer: FlowBuffer | null;
  readonly isFrozen: boolean;
}

/** Allowed above, denied below the line, per second of the last three minutes. The table is its twin in words. */
export function TimeStrip({ buffer, isFrozen }: TimeStripProps) {
  const nowMs = useConsoleNow();
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
  return (
    <figure className="time-strip">
      <svg
        viewBox={`0 0 ${STRIP_SECONDS} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Last three minutes: ${formatQuantity(sum.allow, "flow")} allowed, ${sum.deny} denied`}
      >
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
        <span>{formatClock((end - STRIP_SECONDS) * 1000)}</span>
        <span>up to {highest}/s</span>
        <span>{formatClock(end * 1000)}</span>
      </figcaption>
    </figure>
  );
}
