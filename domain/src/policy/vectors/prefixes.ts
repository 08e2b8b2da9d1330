/**
 * Sets of addresses as lists of prefixes. Two prefixes are disjoint or one holds the other, so the intersection of two
 * lists is the shorter set of each pair that meets.
 */
import { cidrContains } from "../address.ts";
import type { Cidr, Peer, SourceRange } from "../model.ts";

const WHOLE: Readonly<Record<4 | 6, Cidr>> = {
  4: { family: 4, bytes: new Uint8Array(4), prefixLength: 0 },
  6: { family: 6, bytes: new Uint8Array(16), prefixLength: 0 },
};

export function wholeFamily(family: 4 | 6): Cidr {
  return WHOLE[family];
}

/** The addresses that are in both sets. `null` = every address. */
export function intersectPrefixes(left: readonly Cidr[] | null, right: readonly Cidr[] | null): readonly Cidr[] | null {
  if (left === null) return right;
  if (right === null) return left;
  return left.flatMap((one) =>
    right.flatMap((other) => (cidrContains(one, other) ? [other] : cidrContains(other, one) ? [one] : [])),
  );
}

/**
 * Peers for "in one of `prefixes` and in none of `without`". Each prefix loses what of `without` lies inside it, and
 * counts not at all when it lies inside of that; without any prefix the whole family is the one that loses. `null` =
 * everybody.
 */
export function addressPeers(
  family: 4 | 6,
  prefixes: readonly Cidr[] | null,
  without: readonly Cidr[],
  source: SourceRange,
): readonly Peer[] | null {
  if (prefixes === null && without.length === 0) return null;
  return (prefixes ?? [wholeFamily(family)])
    .filter((cidr) => !without.some((taken) => cidrContains(taken, cidr)))
    .map((cidr) => ({
      kind: "addresses",
      cidr,
      except: without.filter((taken) => cidrContains(cidr, taken)),
      source,
    }));
}
