import { useMemo, useState } from "react";
import {
  formatBothZones,
  formatClock,
  formatClockMs,
  formatDateTime,
  formatMoment,
  formatShortDateTime,
  formatUtc,
} from "./time.ts";

interface MomentProps {
  readonly timeMs: number;
  /** With it the age is said as well. */
  readonly nowMs?: number;
  readonly form?: "moment" | "clock" | "clock-ms" | "short" | "full";
  /** Instead of what the form says, for rows that are drawn anew only when they read differently. */
  readonly text?: string;
  readonly className?: string;
}

/** A time, with both zones in its tooltip and the exact instant for machines. */
export function Moment({ timeMs, nowMs = timeMs, form = "moment", text, className }: MomentProps) {
  // Another zone draws everything anew; the clock that ticks changes only what tells an age.
  const fixed = useMemo(() => (form === "moment" ? "" : FORMS[form](timeMs)), [form, timeMs]);
  // Both zones cost a hundred times what the text does: a table of a thousand times would stand still.
  const [tooltip, setTooltip] = useState<{ readonly timeMs: number; readonly text: string } | null>(null);
  const tell = () => setTooltip({ timeMs, text: formatBothZones(timeMs) });
  return (
    <time
      className={className ?? "moment"}
      // `MomentTooltip` tells both zones at the keyboard.
      data-moment=""
      dateTime={formatUtc(timeMs)}
      title={tooltip?.timeMs === timeMs ? tooltip.text : undefined}
      onPointerEnter={tell}
    >
      {text ?? (form === "moment" ? formatMoment(timeMs, nowMs) : fixed)}
    </time>
  );
}

const FORMS = {
  clock: formatClock,
  "clock-ms": formatClockMs,
  short: formatShortDateTime,
  full: formatDateTime,
} as const;
