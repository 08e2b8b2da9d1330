/** YAML of a few shapes, for documents that people read and edit on. */

export type YamlValue = string | number | readonly YamlValue[] | { readonly [key: string]: YamlValue };

const PLAIN = /^[A-Za-z][A-Za-z0-9_./-]*$/;
const NOT_TEXT = /^(true|false|yes|no|on|off|null|y|n)$/i;

/** On one line: `{app: web, port: 443}`. */
export function flow(value: YamlValue): string {
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return scalar(value);
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  const entries = Object.entries(value as Readonly<Record<string, YamlValue>>);
  return `{${entries.map(([key, each]) => `${scalar(key)}: ${flow(each)}`).join(", ")}}`;
}

/** Quoted unless every reader takes it as the same text. */
export function scalar(text: string): string {
  return PLAIN.test(text) && !NOT_TEXT.test(text) ? text : JSON.stringify(text);
}

/** A comment of one line; what could end it is left out. */
export function comment(text: string): string {
  return `# ${text.replace(/[^\x20-\x7e]/g, "?")}`;
}
