import { timestampFromMs } from "@bufbuild/protobuf/wkt";

export type WindowChoice = "hour" | "day" | "week" | "month";

const HOUR_MS = 3_600_000;
const LENGTHS_MS: Record<WindowChoice, number> = {
  hour: HOUR_MS,
  day: 24 * HOUR_MS,
  week: 168 * HOUR_MS,
  month: 720 * HOUR_MS,
};

export const WINDOW_CHOICES: readonly { readonly value: WindowChoice; readonly label: string }[] = [
  { value: "hour", label: "Last hour" },
  { value: "day", label: "Last 24 hours" },
  { value: "week", label: "Last 7 days" },
  { value: "month", label: "Last 30 days" },
];

/** Begins so long before now. */
export function windowStart(choice: WindowChoice, nowMs: number) {
  return timestampFromMs(nowMs - LENGTHS_MS[choice]);
}
