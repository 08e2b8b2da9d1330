/** Addresses as the kernel wants them (`sockaddr_in`, `sockaddr_in6`). */
import { isIPv4, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";

const AF_INET = 2;
const AF_INET6 = 10;

/** `null` when the text is no address: `192.0.2.1`, `2001:db8::1`, `fe80::1%eth0`. Port 0. */
export function socketAddressOf(text: string): Buffer | null {
  if (isIPv4(text)) {
    const address = Buffer.alloc(16);
    address.writeUInt16LE(AF_INET, 0);
    address.set(text.split(".").map(Number), 4);
    return address;
  }
  const [plain = "", zone] = text.split("%", 2);
  if (!isIPv6(text) || !isIPv6(plain)) return null;
  const scope = zone === undefined ? 0 : scopeOf(zone);
  if (scope === null) return null;
  const address = Buffer.alloc(28);
  address.writeUInt16LE(AF_INET6, 0);
  address.set(bytesOf(plain), 8);
  address.writeUInt32LE(scope, 24);
  return address;
}

/** Index of an interface of this host, by number or name; `null` when there is none. */
function scopeOf(zone: string): number | null {
  if (/^[1-9]\d{0,8}$/.test(zone)) return Number(zone);
  const found = networkInterfaces()[zone]?.find(({ family, scopeid }) => family === "IPv6" && scopeid !== 0);
  return found?.family === "IPv6" ? (found.scopeid ?? null) : null;
}

function bytesOf(text: string): readonly number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const half = (high = "0", low = "0") => ((Number(high) << 8) | Number(low)).toString(16);
  const hex = dotted ? `${dotted[1]}${half(dotted[2], dotted[3])}:${half(dotted[4], dotted[5])}` : text;
  const [head = "", tail] = hex.split("::", 2);
  const groupsOf = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const [before, after] = [groupsOf(head), groupsOf(tail ?? "")];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return [...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff]);
}

/** Whether two are the same host: port, flow label and, where one has none, zone are left out. */
export function isSameAddress(one: Buffer, other: Buffer): boolean {
  if (one.length < 16 || other.length < 16 || one.readUInt16LE(0) !== other.readUInt16LE(0)) return false;
  if (one.readUInt16LE(0) === AF_INET) return one.readUInt32LE(4) === other.readUInt32LE(4);
  return one.length >= 28 && other.length >= 28 && one.compare(other, 8, 24, 8, 24) === 0;
}
