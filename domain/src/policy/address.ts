/**
 * IP addresses and prefixes as text and bytes. Pure, so that it runs in the browser as well as in Node.
 *
 * Text in: RFC 4291 section 2.2, strict (no leading zeros in dotted decimals, no zone, no port, no spaces).
 * Text out: RFC 5952.
 */
import type { Cidr } from "./model.ts";

export type AddressProblem =
  /** Not an address at all. */
  | "syntax"
  /** A scoped address such as `fe80::1%eth0`: a policy cannot depend on the name of an interface. */
  | "zone"
  /** A dotted decimal with leading zeros, which some programs read as octal. */
  | "leading-zero"
  /** A prefix where an address belongs, or an address where a prefix belongs. */
  | "unexpected-prefix-length"
  | "missing-prefix-length"
  /** Not a number, or more bits than the family has. */
  | "bad-prefix-length";

export interface AddressFailure {
  readonly ok: false;
  readonly problem: AddressProblem;
  /** A sentence part that follows the quoted text: `"10.0.0.300" is not an IP address`. */
  readonly message: string;
}

export interface ParsedAddress {
  readonly ok: true;
  readonly family: 4 | 6;
  /** Network order, 4 or 16 bytes. IPv4-mapped IPv6 input gives 4 bytes. */
  readonly bytes: Uint8Array;
  /** True when the text was IPv4-mapped IPv6. */
  readonly mapped: boolean;
}

export interface ParsedCidr {
  readonly ok: true;
  /** Host bits are cleared. */
  readonly cidr: Cidr;
  /** True when the text had host bits set: it named one address and meant, or did not mean, its network. */
  readonly hostBitsSet: boolean;
  /** True when the text was IPv4-mapped IPv6. */
  readonly mapped: boolean;
}

const MAPPED_PREFIX_LENGTH = 96;
/** Longer than any address or prefix; bounds the work on hostile text. */
const MAX_TEXT_LENGTH = 64;

function fail(problem: AddressProblem, message: string): AddressFailure {
  return { ok: false, problem, message };
}

const NOT_AN_ADDRESS = "is not an IPv4 or IPv6 address";

/** Reads one address. Never throws. */
export function parseAddress(text: string): ParsedAddress | AddressFailure {
  if (text.length > MAX_TEXT_LENGTH) return fail("syntax", NOT_AN_ADDRESS);
  if (text.includes("/")) return fail("unexpected-prefix-length", "has a prefix length; one address is needed here");
  const raw = parseRaw(text);
  if (!raw.ok) return raw;
  const mapped = raw.bytes.length === 16 && isMapped(raw.bytes);
  const bytes = mapped ? raw.bytes.slice(12) : raw.bytes;
  return { ok: true, family: bytes.length === 4 ? 4 : 6, bytes, mapped };
}

/** Reads a prefix such as `10.0.0.0/8`. Never throws. */
export function parseCidr(text: string): ParsedCidr | AddressFailure {
  if (text.length > MAX_TEXT_LENGTH) return fail("syntax", "is not an address with a prefix length");
  const slash = text.indexOf("/");
  const raw = parseRaw(slash < 0 ? text : text.slice(0, slash));
  if (!raw.ok) return raw;
  const familyBits = raw.bytes.length * 8;
  if (slash < 0) {
    return fail("missing-prefix-length", `has no prefix length; write "${text}/${familyBits}" for this one address`);
  }
  const lengthText = text.slice(slash + 1);
  const prefixLength = /^(0|[1-9]\d{0,2})$/.test(lengthText) ? Number(lengthText) : Number.NaN;
  if (!(prefixLength <= familyBits)) {
    return fail("bad-prefix-length", `needs a prefix length between 0 and ${familyBits}`);
  }
  const bytes = maskBytes(raw.bytes, prefixLength);
  const hostBitsSet = bytes !== raw.bytes;
  if (bytes.length === 16 && prefixLength >= MAPPED_PREFIX_LENGTH && isMapped(bytes)) {
    const cidr: Cidr = { family: 4, bytes: bytes.slice(12), prefixLength: prefixLength - MAPPED_PREFIX_LENGTH };
    return { ok: true, cidr, hostBitsSet, mapped: true };
  }
  return { ok: true, cidr: { family: bytes.length === 4 ? 4 : 6, bytes, prefixLength }, hostBitsSet, mapped: false };
}

/** The prefix of exactly one address. */
export function cidrOfAddress(address: Pick<ParsedAddress, "family" | "bytes">): Cidr {
  return { family: address.family, bytes: address.bytes, prefixLength: address.bytes.length * 8 };
}

/** Canonical text of an address, or `null` when the text is none. `::FFFF:10.0.0.1` gives `10.0.0.1`. */
export function canonicalAddress(text: string): string | null {
  const parsed = parseAddress(text);
  return parsed.ok ? formatAddress(parsed.bytes) : null;
}

/** RFC 5952 text of 4 or 16 bytes in network order. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`);
  if (isMapped(bytes)) return `::ffff:${bytes.slice(12).join(".")}`;
  const groups: number[] = [];
  for (let index = 0; index < 16; index += 2) groups.push((bytes[index]! << 8) | bytes[index + 1]!);
  const run = longestZeroRun(groups);
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":");
  if (run.length < 2) return hex(groups);
  return `${hex(groups.slice(0, run.start))}::${hex(groups.slice(run.start + run.length))}`;
}

/** Canonical text of a prefix, such as `2001:db8::/32`. */
export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr.bytes)}/${cidr.prefixLength}`;
}

/** Whether every address of `inner` is in `outer`. Families never contain each other. */
export function cidrContains(outer: Cidr, inner: Cidr): boolean {
  return outer.prefixLength <= inner.prefixLength && cidrContainsAddress(outer, inner.bytes);
}

/** Whether the address (4 or 16 bytes; IPv4-mapped bytes count as IPv4) is in the prefix. */
export function cidrContainsAddress(cidr: Cidr, address: Uint8Array): boolean {
  const bytes = address.length === 16 && cidr.family === 4 && isMapped(address) ? address.subarray(12) : address;
  if (bytes.length !== cidr.bytes.length) return false;
  const wholeBytes = cidr.prefixLength >> 3;
  for (let index = 0; index < wholeBytes; index += 1) {
    if (bytes[index] !== cidr.bytes[index]) return false;
  }
  const restBits = cidr.prefixLength & 7;
  if (restBits === 0) return true;
  const shift = 8 - restBits;
  return bytes[wholeBytes]! >> shift === cidr.bytes[wholeBytes]! >> shift;
}

/** Whether the two prefixes share an address. */
export function cidrsOverlap(one: Cidr, other: Cidr): boolean {
  return cidrContains(one, other) || cidrContains(other, one);
}

type RawAddress = { readonly ok: true; readonly bytes: Uint8Array } | AddressFailure;

function parseRaw(text: string): RawAddress {
  const zone = text.indexOf("%");
  if (zone > 0 && parseRaw(text.slice(0, zone)).ok) {
    return fail("zone", "has a zone (the part after %), which means something on one machine only");
  }
  return text.includes(":") ? parseIPv6(text) : parseIPv4(text);
}

function parseIPv4(text: string): RawAddress {
  const bytes = readDottedQuad(text);
  if (bytes !== null) return { ok: true, bytes };
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part))) return fail("syntax", NOT_AN_ADDRESS);
  if (parts.some((part) => part.length > 1 && part.startsWith("0"))) {
    return fail("leading-zero", "has leading zeros, which some programs read as octal");
  }
  const numbers = parts.map(Number);
  if (numbers.some((number) => number > 255)) return fail("syntax", NOT_AN_ADDRESS);
  return { ok: true, bytes: Uint8Array.from(numbers) };
}

/** Four numbers up to 255 without leading zeros, digit by digit: addresses are read by the million. `null` = something else. */
function readDottedQuad(text: string): Uint8Array | null {
  const bytes = new Uint8Array(4);
  let part = 0;
  let digits = 0;
  let value = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code >= 48 && code <= 57) {
      value = value * 10 + code - 48;
      digits += 1;
      if (value > 255 || (digits > 1 && value < 10)) return null;
    } else if (code === 46 && digits > 0 && part < 3) {
      bytes[part] = value;
      part += 1;
      digits = 0;
      value = 0;
    } else {
      return null;
    }
  }
  if (part !== 3 || digits === 0) return null;
  bytes[3] = value;
  return bytes;
}

function parseIPv6(text: string): RawAddress {
  const halves = text.split("::");
  if (halves.length > 2) return fail("syntax", NOT_AN_ADDRESS);
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (!head || !tail) return fail("syntax", NOT_AN_ADDRESS);
  const length = head.length + tail.length;
  // `::` stands for at least one group of zeros.
  if (halves.length === 1 ? length !== 16 : length > 14) return fail("syntax", NOT_AN_ADDRESS);
  const bytes = new Uint8Array(16);
  bytes.set(head, 0);
  bytes.set(tail, 16 - tail.length);
  return { ok: true, bytes };
}

/** The bytes of colon-separated groups, the last of which may be a dotted decimal; `null` = bad syntax. */
function parseGroups(text: string, mayEndDotted: boolean): number[] | null {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    if (mayEndDotted && index === groups.length - 1 && group.includes(".")) {
      const dotted = parseIPv4(group);
      if (!dotted.ok) return null;
      bytes.push(...dotted.bytes);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else {
      return null;
    }
  }
  return bytes;
}

function isMapped(bytes: Uint8Array): boolean {
  for (let index = 0; index < 10; index += 1) if (bytes[index] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

/** The bytes without the bits behind the prefix: the very same where there are none. */
function maskBytes(bytes: Uint8Array, prefixLength: number): Uint8Array {
  let masked = bytes;
  for (let index = prefixLength >> 3; index < bytes.length; index += 1) {
    const byte = bytes[index] ?? 0;
    const kept = index === prefixLength >> 3 ? byte & (0xff00 >> (prefixLength & 7)) & 0xff : 0;
    if (kept === byte) continue;
    if (masked === bytes) masked = bytes.slice();
    masked[index] = kept;
  }
  return masked;
}

/** The first of the longest runs of zero groups (RFC 5952 section 4.2.3). */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let index = 0; index <= groups.length; index += 1) {
    if (groups[index] === 0) continue;
    if (index - start > best.length) best = { start, length: index - start };
    start = index + 1;
  }
  return best;
}

/** Whether two texts are one address; IPv4-mapped IPv6 counts as IPv4. False when either is none. */
export function sameAddressText(left: string, right: string): boolean {
  const one = parseAddress(left);
  const other = parseAddress(right);
  if (!one.ok || !other.ok || one.family !== other.family) return false;
  return one.bytes.every((byte, position) => byte === other.bytes[position]);
}

/** Every IPv4 and every IPv6 address. */
export const WHOLE_FAMILIES: readonly Cidr[] = [
  { family: 4, bytes: new Uint8Array(4), prefixLength: 0 },
  { family: 6, bytes: new Uint8Array(16), prefixLength: 0 },
];
