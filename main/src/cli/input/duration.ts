import { UsageError } from "../exit-code.ts";

const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `90`, `90s`, `2m`, `1h30m` in milliseconds. @throws UsageError */
export function parseDuration(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  if (/^(\d{1,9}[smhd])+$/.test(text)) {
    let totalMs = 0;
    for (const [, amount, unit] of text.matchAll(/(\d+)([smhd])/g)) {
      totalMs += Number(amount) * UNITS_MS[unit as keyof typeof UNITS_MS];
    }
    return totalMs;
  }
  throw new UsageError(`"${text}" is not a time.`, "Give a time such as 90s, 2m or 1h.");
}

/** `2 min 5 s`. */
export function formatDuration(ms: number): string {
  const totalS = Math.max(0, Math.ceil(ms / 1000));
  const minutes = Math.floor(totalS / 60);
  const seconds = totalS % 60;
  if (minutes === 0) return `${seconds} s`;
  return seconds === 0 ? `${minutes} min` : `${minutes} min ${seconds} s`;
}
