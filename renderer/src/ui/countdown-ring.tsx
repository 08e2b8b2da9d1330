import { formatCountdown } from "./text.ts";
import "./countdown-ring.css";

const RADIUS = 54;
const CIRCUMFERENCE = 2 * Math.PI * RADIUS;
const URGENT_MS = 15_000;

/** The time that is left of a whole, as a ring and in digits. */
export function CountdownRing({ remainingMs, totalMs }: { remainingMs: number; totalMs: number }) {
  const share = Math.max(0, Math.min(1, remainingMs / totalMs));
  return (
    <div
      className="ring"
      data-urgent={remainingMs < URGENT_MS ? "" : undefined}
      role="timer"
      aria-label="Time left to confirm"
    >
      <svg viewBox="0 0 120 120" aria-hidden="true">
        <circle className="ring-track" cx="60" cy="60" r={RADIUS} />
        <circle
          className="ring-rest"
          cx="60"
          cy="60"
          r={RADIUS}
          strokeDasharray={`${CIRCUMFERENCE * share} ${CIRCUMFERENCE}`}
        />
      </svg>
      <span className="ring-time">{formatCountdown(remainingMs)}</span>
    </div>
  );
}
