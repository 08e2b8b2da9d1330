/** Labels that no document holds, by the rules that hold for those in documents. */
import { LABEL_NAME_PART, NAME_RULES } from "./formats/names.ts";

const SHOWN_LENGTH = 60;

/** What is wrong with a label, as a sentence; `null` = nothing. */
export function labelProblem(key: string, value: string): string | null {
  const slash = key.indexOf("/");
  const prefix = slash < 0 ? null : key.slice(0, slash);
  if (prefix !== null && !fits(prefix, NAME_RULES.subdomain)) {
    return `The label key "${shown(key)}" has a part before / that is not a DNS name.`;
  }
  if (!fits(key.slice(slash + 1), LABEL_NAME_PART)) {
    return `The label key "${shown(key)}" is not allowed: it takes ${LABEL_NAME_PART.description}, at most ${LABEL_NAME_PART.maxLength}.`;
  }
  if (!fits(value, NAME_RULES.labelValue)) {
    const { description, maxLength } = NAME_RULES.labelValue;
    return `The label ${key} has the value "${shown(value)}", which is not allowed: it takes ${description}, at most ${maxLength}.`;
  }
  return null;
}

/** RFC 1123: lower-case letters, digits and hyphens, at most 63. */
export function isDnsLabel(text: string): boolean {
  return fits(text, NAME_RULES.label);
}

function fits(text: string, { maxLength, pattern }: { readonly maxLength: number; readonly pattern: RegExp }): boolean {
  return text.length <= maxLength && pattern.test(text);
}

/** Printable and short: it came from somebody else. */
function shown(text: string): string {
  const cut = text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text;
  return cut.replace(/[^\x20-\x7e…]/g, "?");
}
