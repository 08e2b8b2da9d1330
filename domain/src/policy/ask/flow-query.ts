/** The recorded flows of a question, in the flow query language; `null` where it cannot say them. */
import { canonicalAddress, formatCidr } from "../address.ts";
import { effectiveAddresses } from "../endpoints.ts";
import { endpointMatches } from "../labels.ts";
import type { Inventory } from "../model.ts";
import type { AskPorts, AskSubject } from "./question.ts";

interface Asked {
  readonly from: AskSubject;
  readonly to: AskSubject;
  readonly ports: AskPorts | null;
}

/** Longer queries are refused by the language. */
const MOST_ADDRESSES = 30;

export function flowQueryOf(inventory: Inventory, { from, to, ports }: Asked): string | null {
  const terms = [sideOf(inventory, "src", from), sideOf(inventory, "dst", to), portsOf(ports)];
  if (terms.some((term) => term === null)) return null;
  return terms.filter((term) => term !== "").join(" ") || null;
}

/** Empty = everybody. */
function sideOf(inventory: Inventory, side: "src" | "dst", subject: AskSubject): string | null {
  const addresses = new Set<string>();
  for (const end of subject.ends) {
    if (end.kind === "any") return "";
    if (end.kind === "addresses" && end.except.length === 0) addresses.add(formatCidr(end.cidr));
    else if (end.kind === "keys" || end.kind === "endpoints") {
      const members = inventory.endpoints.filter((one) =>
        end.kind === "keys" ? end.keys.includes(one.key) : endpointMatches(end.selector, one, inventory.namespaces),
      );
      for (const text of members.flatMap((one) => effectiveAddresses(inventory, one))) {
        addresses.add(canonicalAddress(text) ?? text);
      }
    } else return null;
    if (addresses.size > MOST_ADDRESSES) return null;
  }
  return addresses.size === 0 ? null : `${side}:${[...addresses].join(",")}`;
}

function portsOf(ports: AskPorts | null): string | null {
  if (ports === null) return "";
  const ranges = ports.matches.filter((match) => match.kind === "range");
  const [first] = ranges;
  if (!first || ranges.length < ports.matches.length) return null;
  if (ranges.some(({ protocol }) => protocol !== first.protocol)) return null;
  if (ranges.some(({ low, high }) => low === 0 && high === 0xffff)) return `protocol:${first.protocol}`;
  // Of ICMP the language knows no types.
  if (first.protocol === 1 || first.protocol === 58) return null;
  const numbers = ranges.map(({ low, high }) => (low === high ? String(low) : `${low}-${high}`));
  return `port:${numbers.join(",")} protocol:${first.protocol}`;
}
