/** Addresses as 16 bytes that sort and compare in SQLite: IPv4 as its mapped IPv6 form. */
import { parseAddress, parseCidr } from "@wardline/domain/policy/addresses";

const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

function widen(bytes: Uint8Array): Uint8Array {
  return bytes.length === 4 ? Uint8Array.from([...MAPPED_PREFIX, ...bytes]) : bytes;
}

/** Empty when the text is not an address. */
export function addressKey(address: string): Uint8Array {
  const parsed = parseAddress(address);
  return parsed.ok ? widen(parsed.bytes) : new Uint8Array();
}

/** First and last address of an address or CIDR; `null` for anything else, which contains nothing. */
export function addressRange(text: string): {
  readonly low: Uint8Array;
  readonly high: Uint8Array;
  readonly isIpv4: boolean;
  readonly isPrefix: boolean;
} | null {
  if (!text.includes("/")) {
    const address = parseAddress(text);
    if (!address.ok) return null;
    const key = widen(address.bytes);
    return { low: key, high: key, isIpv4: address.family === 4, isPrefix: false };
  }
  const parsed = parseCidr(text);
  if (!parsed.ok) return null;
  const { bytes, prefixLength, family } = parsed.cidr;
  const last = bytes.map((byte, index) => byte | (0xff >> Math.max(0, Math.min(8, prefixLength - index * 8))));
  return { low: widen(bytes), high: widen(last), isIpv4: family === 4, isPrefix: true };
}
