/** Which connections of this host run over the overlay now: what a person may be working through. */
import { open } from "node:fs/promises";
import { formatAddress } from "@wardline/domain/policy";

const TABLE = "/proc/net/tcp6";
const MAX_TABLE_BYTES = 4 * 1024 * 1024;
const ESTABLISHED = "01";
/** 200::/7. */
const OVERLAY_FIRST_BYTES = new Set([0x02, 0x03]);

/** Addresses at the other end, one for each connection; empty where the table cannot be read. */
export async function overlayConnections(path = TABLE): Promise<readonly string[]> {
  const handle = await open(path, "r").catch(() => null);
  if (handle === null) return [];
  try {
    const buffer = Buffer.alloc(MAX_TABLE_BYTES);
    let size = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, size, buffer.length - size, null);
      size += bytesRead;
      if (bytesRead === 0 || size === buffer.length) break;
    }
    return remoteAddresses(buffer.toString("latin1", 0, size));
  } catch {
    return [];
  } finally {
    await handle.close();
  }
}

/** From the kernel's table: `N: LOCAL:PORT REMOTE:PORT STATE …`, addresses as four words in the order of the machine. */
export function remoteAddresses(table: string): readonly string[] {
  const found: string[] = [];
  for (const line of table.split("\n")) {
    const [, , remote = "", state] = line.trim().split(/\s+/, 4);
    const [, digits] = /^([0-9A-F]{32}):[0-9A-F]{4}$/.exec(remote) ?? [];
    if (state !== ESTABLISHED || digits === undefined) continue;
    const bytes = new Uint8Array(16);
    for (let index = 0; index < 16; index += 1) {
      const place = (index & ~3) + (3 - (index & 3));
      bytes[index] = Number.parseInt(digits.slice(place * 2, place * 2 + 2), 16);
    }
    if (OVERLAY_FIRST_BYTES.has(bytes[0]!)) found.push(formatAddress(bytes));
  }
  return found;
}
