import { cidrContains, cidrOfAddress, formatAddress, formatCidr, parseAddress, parseCidr } from "../address.ts";
import type { Cidr, Peer } from "../model.ts";
import type { ScalarNode } from "../yaml/node.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { type Located, ObjectReader, quoteLike, readList, readText } from "./object-reader.ts";
import { IP_BLOCK } from "./schema/common.ts";

/** One prefix, or `null` (reported). Host bits are cleared with a warning. */
export function readCidr(report: Reporter, value: Located): Cidr | null {
  const text = readText(report, value);
  if (text === null) return null;
  const node = value.node as ScalarNode;
  const parsed = parseCidr(text);
  if (!parsed.ok) {
    const message = `${value.path} "${text.slice(0, 60)}" ${parsed.message}.`;
    const asAddress = parsed.problem === "missing-prefix-length" ? parseAddress(text) : null;
    if (asAddress?.ok) {
      const fixed = `${formatAddress(asAddress.bytes)}/${asAddress.bytes.length * 8}`;
      report.reportFixable("WL210", node, message, `Change to ${fixed}`, quoteLike(node, fixed));
    } else {
      report.report("WL210", node, message);
    }
    return null;
  }
  if (parsed.hostBitsSet) {
    const canonical = formatCidr(parsed.cidr);
    const message = `${value.path} ${text} has bits set after its prefix; it is read as the whole of ${canonical}.`;
    report.reportFixable("WL308", node, message, `Change to ${canonical}`, quoteLike(node, canonical));
  } else if (parsed.mapped) {
    reportMapped(report, value, text, formatCidr(parsed.cidr));
  }
  return parsed.cidr;
}

/** Canonical text of one address, or `null` (reported). */
export function readAddress(report: Reporter, value: Located): string | null {
  const text = readText(report, value);
  if (text === null) return null;
  const parsed = parseAddress(text);
  if (!parsed.ok) {
    report.report("WL210", value.node, `${value.path} "${text.slice(0, 60)}" ${parsed.message}.`);
    return null;
  }
  const canonical = formatAddress(parsed.bytes);
  if (parsed.mapped) reportMapped(report, value, text, canonical);
  return canonical;
}

/** A prefix or a single address, or `null` (reported). */
export function readCidrOrAddress(report: Reporter, value: Located): Cidr | null {
  if (value.node.kind === "scalar" && String(value.node.value).includes("/")) return readCidr(report, value);
  const text = readAddress(report, value);
  const parsed = text === null ? null : parseAddress(text);
  return parsed?.ok ? cidrOfAddress(parsed) : null;
}

function reportMapped(report: Reporter, value: Located, text: string, canonical: string): void {
  const message = `${value.path} ${text} is IPv4 written as IPv6; it is read as ${canonical}.`;
  const newText = quoteLike(value.node as ScalarNode, canonical);
  report.reportFixable("WL315", value.node, message, `Change to ${canonical}`, newText);
}

/** Of the many blocks without exceptions. */
const NO_ENTRIES: readonly Located[] = [];
const NO_PREFIXES: readonly Cidr[] = [];

/** An ipBlock: `cidr` without the prefixes in `except`. `null` when it cannot be read (reported). */
export function readIpBlock(report: Reporter, value: Located): Peer | null {
  const block = ObjectReader.open(report, value, IP_BLOCK.known);
  if (!block) return null;
  const cidrField = block.require("cidr");
  const exceptField = block.get("except");
  const cidr = cidrField && readCidr(report, cidrField);
  const entries = (exceptField && readList(report, exceptField)) ?? NO_ENTRIES;
  const except =
    entries === NO_ENTRIES
      ? NO_PREFIXES
      : entries.flatMap((entry) => {
          const excluded = readCidr(report, entry);
          return excluded && cidr && checkExcept(report, entry, cidr, excluded) ? [excluded] : [];
        });
  if (!cidr) return null;
  if (except.some((excluded) => cidrContains(excluded, cidr))) {
    const message = `${value.path} excepts all of ${formatCidr(cidr)}, so it matches no address.`;
    report.report("WL312", exceptField?.anchor ?? value.anchor, message);
  }
  return { kind: "addresses", cidr, except, source: report.range(cidrField?.node ?? value.node) };
}

function checkExcept(report: Reporter, entry: Located, cidr: Cidr, excluded: Cidr): boolean {
  if (cidrContains(cidr, excluded)) return true;
  const why =
    cidr.family === excluded.family
      ? "is not inside"
      : `is IPv${excluded.family} and cannot be inside the IPv${cidr.family} block`;
  report.report("WL307", entry.node, `${entry.path} ${formatCidr(excluded)} ${why} ${formatCidr(cidr)}.`);
  return false;
}
