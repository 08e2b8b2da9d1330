import type { ScalarNode } from "../yaml/node.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { type ListBounds, type Located, quoteLike, readBoundedList, readText } from "./object-reader.ts";
import { DOMAIN_NAME, DOMAIN_OR_SERVICE_NAME, MAX_DOMAIN_NAME_LENGTH } from "./schema/domain-names.ts";

/**
 * Domain names in lower case and without the dot at the end; those that are none are reported and left out.
 *
 * `services`: names of services (`_db._tcp.example.org`) count too.
 */
export function readDomainNames(
  report: Reporter,
  value: Located,
  { services = false, ...bounds }: ListBounds & { readonly services?: boolean },
): readonly string[] {
  const entries = readBoundedList(report, value, bounds) ?? [];
  const { pattern } = services ? DOMAIN_OR_SERVICE_NAME : DOMAIN_NAME;
  return [...new Set(entries.flatMap((entry) => readDomainName(report, entry, pattern) ?? []))];
}

function readDomainName(report: Reporter, value: Located, pattern: RegExp): string | null {
  const text = readText(report, value);
  if (text === null) return null;
  const name = text.toLowerCase().replace(/\.$/, "");
  if (name.length <= MAX_DOMAIN_NAME_LENGTH && pattern.test(text)) return name;
  const shown = text.slice(0, 60);
  const message = `${value.path} "${shown}" is not a domain name: ${reason(text)}.`;
  const bare = /^[a-z][a-z0-9+.-]*:\/\/([^/:?#]+)/i.exec(text)?.[1];
  if (bare !== undefined && DOMAIN_NAME.pattern.test(bare)) {
    report.reportFixable("WL227", value.node, message, `Change to ${bare}`, quoteLike(value.node as ScalarNode, bare));
  } else {
    report.report("WL227", value.node, message);
  }
  return null;
}

function reason(text: string): string {
  if (text.length > MAX_DOMAIN_NAME_LENGTH) return `it has more than ${MAX_DOMAIN_NAME_LENGTH} characters`;
  if (text.includes("://")) return "write the name alone, without a scheme or path";
  if (/[^\x20-\x7e]/.test(text)) return "write it in its ASCII form (xn--…)";
  if (text === "*")
    return "* stands for labels before a name, as in *.example.org; every address is networks 0.0.0.0/0";
  if (text.includes("*")) return "* can only stand alone as the first label, as in *.example.org";
  if (/^[0-9.]+$|:/.test(text)) return "addresses are written as networks";
  if (!text.includes(".")) return "it needs at least two labels, as in example.org";
  return "labels are letters, digits, hyphens and underscores, with a letter or digit at both ends";
}
