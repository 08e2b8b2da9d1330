/** Amounts as people read them. */

const BYTES = ["B", "kB", "MB", "GB", "TB", "PB"];
const COUNTS = ["", "k", "M", "G"];

/** `1.2 MB`: powers of ten, as the query language has them. */
export function formatBytes(bytes: number): string {
  const { value, unit } = scaled(bytes, BYTES);
  return `${value} ${unit}`;
}

/** `1,204`, `3.4M`: exact up to five digits. */
export function formatCount(count: number): string {
  if (count < 100_000) return count.toLocaleString("en");
  const { value, unit } = scaled(count, COUNTS);
  return `${value}${unit}`;
}

function scaled(amount: number, units: readonly string[]): { readonly value: string; readonly unit: string } {
  let value = amount;
  let index = 0;
  while (value >= 999.5 && index < units.length - 1) {
    value /= 1000;
    index += 1;
  }
  return {
    value: index === 0 || value >= 99.5 ? String(Math.round(value)) : value.toFixed(1),
    unit: units[index] ?? "",
  };
}
