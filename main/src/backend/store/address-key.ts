/** Addresses as 16 bytes that sort and compare in SQLite: IPv4 as its mapped IPv6 form. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { parseAddress, parseCidr } from "@wardline/domain/policy";

const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

function widen(bytes: Uint8Array): Uint8Array {
  return bytes.length === 4 ? Uint8Array.from([...MAPPED_PREFIX, ...bytes]) : bytes;
}

/** Empty when the text is not an address. */
export function addressKey(address: string): Uint8Array {
  const parsed = parseAddress(address);
  return parsed.ok ? widen(parsed.bytes) : new Uint8Array();
}

/**
 * First and last address of an address or CIDR.
 * @throws Failure INVALID_ARGUMENT
 */
export function addressRange(text: string): { low: Uint8Array; high: Uint8Array } {
  const trimmed = text.trim();
  if (!trimmed.includes("/")) {
    const address = parseAddress(trimmed);
    if (!address.ok) throw badRange(trimmed, address.message);
    return { low: widen(address.bytes), high: widen(address.bytes) };
  }
  const parsed = parseCidr(trimmed);
  if (!parsed.ok) throw badRange(trimmed, parsed.message);
  const { bytes, prefixLength } = parsed.cidr;
  const last = bytes.map((byte, index) => {
    const fixedBits = Math.max(0, Math.min(8, prefixLength - index * 8));
    return byte | (0xff >> fixedBits);
  });
  return { low: widen(bytes), high: widen(last) };
}

function badRange(text: string, message: string): Failure {
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `${JSON.stringify(text.slice(0, 80))} ${message}.`,
    hint: "Write an address or a CIDR, such as fd00::1 or 10.0.0.0/8.",
  });
}
