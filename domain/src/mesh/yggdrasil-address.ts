/**
 * What an ed25519 key is called on a Yggdrasil network: the address of the node and the prefix that is routed to it.
 *
 * Both are computed from the public key and from nothing else, in the same way since 0.4.0 (0.3 used another one): the key
 * is inverted, its leading ones are counted and cut off with the zero behind them, and what follows fills the address. So
 * the overlay can hold a sender to its address: the daemon drops a packet whose source is not the address or the prefix of
 * the key that signed the session. An address holds 112 bits of the key and a prefix 48, each beside the count; a second
 * key for the same prefix can be searched for by who has the machines, one for the same address cannot.
 */
import { cidrContainsAddress, formatAddress, formatCidr, parseAddress } from "../policy/address.ts";
import type { Cidr } from "../policy/model.ts";

const KEY_BYTES = 32;
const ADDRESS_BYTES = 16;
const SUBNET_PREFIX_LENGTH = 64;
/** First byte of a node's address; with the last bit set it is that of a routed prefix. */
const NODE_PREFIX = 0x02;
const SUBNET_PREFIX = 0x03;
/** Where the bits of the key begin: behind the prefix and the count of leading ones. */
const KEY_BITS_START = 2;

const KEY_TEXT = /^[0-9A-Fa-f]{64}$/;

/** What of a node an address is: the node's own, or one in the prefix that is routed to it. */
export type MeshAddressOwner = "node" | "subnet";

/** Whether the text is a public key: 64 hexadecimal digits. */
export function isMeshKey(text: string): boolean {
  return KEY_TEXT.test(text);
}

/** A key as it is stored and compared: lower case; `null` when the text is none. */
export function canonicalMeshKey(text: string): string | null {
  return isMeshKey(text) ? text.toLowerCase() : null;
}

/** The node's address as 16 bytes in network order; `null` when the text is not a key. */
export function yggdrasilAddressBytes(key: string): Uint8Array | null {
  if (!isMeshKey(key)) return null;
  const inverted = Uint8Array.from({ length: KEY_BYTES }, (_, index) => {
    return ~Number.parseInt(key.slice(index * 2, index * 2 + 2), 16) & 0xff;
  });
  const ones = leadingOnes(inverted);
  const address = new Uint8Array(ADDRESS_BYTES);
  address[0] = NODE_PREFIX;
  // A key of zeros has 256 ones; the daemon counts in one byte.
  address[1] = ones & 0xff;
  for (let index = KEY_BITS_START; index < ADDRESS_BYTES; index += 1) {
    const firstBit = ones + 1 + (index - KEY_BITS_START) * 8;
    // The daemon writes whole bytes only: what is left of a key that is nearly all zeros stays zero.
    if (firstBit + 8 > KEY_BYTES * 8) break;
    address[index] = byteAtBit(inverted, firstBit);
  }
  return address;
}

/** The node's address in 200::/8 as canonical text; `null` when the text is not a key. */
export function yggdrasilAddress(key: string): string | null {
  const bytes = yggdrasilAddressBytes(key);
  return bytes === null ? null : formatAddress(bytes);
}

/** The prefix in 300::/8 that the network routes to the node; `null` when the text is not a key. */
export function yggdrasilSubnetCidr(key: string): Cidr | null {
  const address = yggdrasilAddressBytes(key);
  if (address === null) return null;
  const bytes = new Uint8Array(ADDRESS_BYTES);
  bytes.set(address.subarray(0, SUBNET_PREFIX_LENGTH / 8));
  bytes[0] = SUBNET_PREFIX;
  return { family: 6, bytes, prefixLength: SUBNET_PREFIX_LENGTH };
}

/** {@link yggdrasilSubnetCidr} as canonical text, such as `301:5522:b70b:f5f3::/64`. */
export function yggdrasilSubnet(key: string): string | null {
  const cidr = yggdrasilSubnetCidr(key);
  return cidr === null ? null : formatCidr(cidr);
}

/**
 * Whether an address belongs to a key, and as what. `null` = it does not, or one of the texts is no key or no address: an
 * address that somebody claims is never taken for a key's without this.
 */
export function meshAddressOwner(key: string, address: string): MeshAddressOwner | null {
  const own = yggdrasilAddress(key);
  const subnet = yggdrasilSubnetCidr(key);
  const parsed = parseAddress(address);
  if (own === null || subnet === null || !parsed.ok) return null;
  if (formatAddress(parsed.bytes) === own) return "node";
  return cidrContainsAddress(subnet, parsed.bytes) ? "subnet" : null;
}

function leadingOnes(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) {
    const zeros = Math.clz32(~byte & 0xff) - 24;
    count += zeros;
    if (zeros < 8) break;
  }
  return count;
}

function byteAtBit(bytes: Uint8Array, bit: number): number {
  const index = bit >> 3;
  const pair = (bytes[index]! << 8) | (bytes[index + 1] ?? 0);
  return (pair >> (8 - (bit & 7))) & 0xff;
}
