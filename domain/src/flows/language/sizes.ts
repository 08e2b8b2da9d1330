/** Numbers with units: `1M` is a million, `1MiB` is 1,048,576. */

const UNITS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ["k", 1e3],
  ["kb", 1e3],
  ["kib", 1024],
  ["ki", 1024],
  ["m", 1e6],
  ["mb", 1e6],
  ["mib", 1024 ** 2],
  ["mi", 1024 ** 2],
  ["g", 1e9],
  ["gb", 1e9],
  ["gib", 1024 ** 3],
  ["gi", 1024 ** 3],
  ["t", 1e12],
  ["tb", 1e12],
  ["tib", 1024 ** 4],
  ["ti", 1024 ** 4],
]);
const EXACT: readonly (readonly [string, number])[] = [
  ["T", 1e12],
  ["TiB", 1024 ** 4],
  ["G", 1e9],
  ["GiB", 1024 ** 3],
  ["M", 1e6],
  ["MiB", 1024 ** 2],
  ["k", 1e3],
  ["KiB", 1024],
];

/** A whole number; `null` when the text is none or too large to be exact. */
export function readSize(text: string): number | null {
  const parts = /^(\d{1,16}(?:\.\d{1,9})?)([a-z]{0,3})$/.exec(text.toLowerCase());
  const unit = parts ? UNITS.get(parts[2] ?? "") : undefined;
  if (!parts || unit === undefined) return null;
  const value = Math.round(Number(parts[1]) * unit);
  return value <= Number.MAX_SAFE_INTEGER ? value : null;
}

/** The shortest text that `readSize` reads as the same. */
export function formatSize(value: number): string {
  for (const [unit, factor] of EXACT) if (value > 0 && value % factor === 0) return `${value / factor}${unit}`;
  return String(value);
}
