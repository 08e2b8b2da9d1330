/** Addresses that nobody can register or claim: no other host can have them, or they are not what they seem. */
import { type Cidr, cidrContains, cidrOfAddress, parseAddress, parseCidr } from "../policy/index.ts";

/** What a health check, which the leader makes as root, must never touch; the reason follows "it is". */
const UNUSABLE = (
  [
    ["0.0.0.0/8", "not the address of anything"],
    ["::/128", "not the address of anything"],
    ["127.0.0.0/8", "loopback"],
    ["::1/128", "loopback"],
    ["169.254.169.254/32", "where clouds keep the secrets of a machine"],
    ["100.100.100.200/32", "where clouds keep the secrets of a machine"],
    ["fd00:ec2::254/128", "where clouds keep the secrets of a machine"],
    ["169.254.0.0/16", "link-local, which means another machine on every link"],
    ["fe80::/10", "link-local, which means another machine on every link"],
    ["224.0.0.0/4", "multicast, which no single host has"],
    ["ff00::/8", "multicast, which no single host has"],
    ["240.0.0.0/4", "reserved or broadcast"],
  ] as const
).map(([text, reason]) => ({ cidr: prefix(text), reason }));

/** Prefixes of IPv6 with an IPv4 address in them (RFC 6052, RFC 4291, RFC 3056), and where it begins, in bytes. */
const EMBEDDING = [
  { cidr: prefix("64:ff9b::/96"), at: 12 },
  { cidr: prefix("::/96"), at: 12 },
  { cidr: prefix("2002::/16"), at: 2 },
];

function prefix(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(`${text} is a prefix`);
  return parsed.cidr;
}

/** Why this text is no address that a service or a member can have; `null` = it is one. Follows "it is" or the text itself. */
export function unusableAddressReason(text: string): string | null {
  const parsed = parseAddress(text);
  if (!parsed.ok) return "not an IPv4 or IPv6 address";
  const whole = cidrOfAddress(parsed);
  const found = UNUSABLE.find(({ cidr }) => cidrContains(cidr, whole));
  if (found) return found.reason;
  const embedding = EMBEDDING.find(({ cidr }) => cidrContains(cidr, whole));
  if (!embedding) return null;
  const inner = unusableAddressReason(parsed.bytes.slice(embedding.at, embedding.at + 4).join("."));
  return inner === null ? null : `another form of an address that is ${inner}`;
}
