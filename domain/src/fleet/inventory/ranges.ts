/** Ansible's ranges in host names: `web[01:20]`, `rack[a:f]`, `n[0:10:2]`, several in one name. */
import { INVENTORY_LIMITS } from "./model.ts";

const MAX_PATTERN_LENGTH = 500;
const RANGE = /\[([^\]]*)\]/;

/** The names; a string says what is wrong with the pattern. */
export function expandRanges(pattern: string): readonly string[] | string {
  if (pattern.length > MAX_PATTERN_LENGTH) return "is too long for the name of a host";
  let names = [pattern];
  // Each round takes one range out of all names alike.
  while (names[0] !== undefined && RANGE.test(names[0])) {
    const range = RANGE.exec(names[0]);
    const steps = valuesOf(range?.[1] ?? "");
    if (typeof steps === "string") return steps;
    if (names.length * steps.length > INVENTORY_LIMITS.maxHosts) {
      return `stands for more than ${INVENTORY_LIMITS.maxHosts.toLocaleString("en")} hosts`;
    }
    names = names.flatMap((name) => steps.map((step) => name.replace(RANGE, () => step)));
  }
  return names;
}

function valuesOf(range: string): readonly string[] | string {
  const match = /^([0-9]{1,9}|[a-z]|[A-Z]):([0-9]{1,9}|[a-z]|[A-Z])(?::([0-9]{1,6}))?$/.exec(range);
  const [, from = "", to = "", stepText = "1"] = match ?? [];
  const step = Number(stepText);
  const isNumber = /^\d/.test(from);
  if (!match || isNumber !== /^\d/.test(to) || step < 1) return `has the range [${range.slice(0, 20)}], which is none`;
  const [start, end] = isNumber ? [Number(from), Number(to)] : [from.charCodeAt(0), to.charCodeAt(0)];
  if (start > end) return `has the range [${range}], which goes backwards`;
  if ((end - start) / step >= INVENTORY_LIMITS.maxHosts) {
    return `stands for more than ${INVENTORY_LIMITS.maxHosts.toLocaleString("en")} hosts`;
  }
  const values: string[] = [];
  for (let value = start; value <= end; value += step) {
    // Leading zeros of the first number give the width.
    values.push(
      isNumber ? String(value).padStart(from.startsWith("0") ? from.length : 0, "0") : String.fromCharCode(value),
    );
  }
  return values;
}
