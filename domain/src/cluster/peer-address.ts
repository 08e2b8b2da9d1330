/** Where the other members of a cluster reach a host, proposed from the addresses that it has. */

export const USUAL_PEER_PORT = 7443;

/**
 * `10.0.0.1:7443` or `[fd00::1]:7443`; `null` when no address would do. Private IPv4 first, then private IPv6, then public ones:
 * members of one cluster most often share a network of their own.
 */
export function proposePeerAddress(addresses: readonly string[], port: number = USUAL_PEER_PORT): string | null {
  const ranked = addresses
    .map((address) => ({ address, rank: rankOf(address.toLowerCase()) }))
    .filter(({ rank }) => rank < UNUSABLE)
    .sort((a, b) => a.rank - b.rank);
  const best = ranked[0]?.address;
  if (best === undefined) return null;
  return best.includes(":") ? `[${best}]:${port}` : `${best}:${port}`;
}

const UNUSABLE = 9;

function rankOf(address: string): number {
  if (address.includes(":")) return rankOfV6(address);
  const parts = address.split(".").map(Number);
  const [first = 0, second = 0] = parts;
  if (parts.length !== 4 || parts.some((part) => !(Number.isInteger(part) && part >= 0 && part <= 255)))
    return UNUSABLE;
  // Loopback, link-local (RFC 3927), multicast and reserved.
  if (first === 0 || first === 127 || (first === 169 && second === 254) || first >= 224) return UNUSABLE;
  const isPrivate =
    first === 10 || (first === 172 && second >= 16 && second <= 31) || (first === 192 && second === 168);
  return isPrivate ? 0 : 2;
}

function rankOfV6(address: string): number {
  if (address.includes("%") || address === "::" || address === "::1") return UNUSABLE;
  // Link-local (fe80::/10) and multicast (ff00::/8).
  if (/^fe[89ab]/.test(address) || address.startsWith("ff")) return UNUSABLE;
  return /^f[cd]/.test(address) ? 1 : 3;
}
