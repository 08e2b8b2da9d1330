/** A value as it stands in a query: in quotes where it would be read as something else without. */

/** @param isAlways in quotes, also where they are not needed */
export function formatValue(text: string, isAlways = false): string {
  if (!isAlways && /^[^\s(),"<>=!][^\s(),"]*$/.test(text) && !text.endsWith(":")) return text;
  return `"${text.replace(/[\\"]/g, "\\$&")}"`;
}
