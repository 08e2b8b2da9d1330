/** The addresses of this process' network namespace, as the kernel's own tables list them. */
import { closeSync, readFileSync } from "node:fs";
import { parseAddress } from "@wardline/domain/policy";
import { getSocketOption, openSocket } from "../../../linux/ffi/libc.ts";

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SOL_SOCKET = 1;
const SO_NETNS_COOKIE = 71;

export interface LocalAddresses {
  /** Canonical text; loopback networks are left out: nobody refuses those. */
  readonly addresses: readonly string[];
  /** False when a whole network is local (`ip route add local`), which a list of addresses cannot say. */
  readonly isComplete: boolean;
}

/** Reads /proc/net/fib_trie: each `|--` line is a prefix, each line below it one of its kinds. */
export function parseFibTrie(text: string): LocalAddresses {
  const addresses = new Set<string>();
  let isComplete = true;
  let prefix = "";
  for (const line of text.split("\n")) {
    const leaf = /^\s*\|-- (\S+)$/.exec(line);
    if (leaf) prefix = leaf[1] ?? "";
    const local = /^\s*\/(\d+) \w+ LOCAL$/.exec(line);
    if (!local || prefix.startsWith("127.")) continue;
    if (local[1] === "32") addresses.add(prefix);
    else isComplete = false;
  }
  return { addresses: [...addresses], isComplete };
}

/** Reads /proc/net/if_inet6: 32 hex digits of address first. */
export function parseIfInet6(text: string): readonly string[] {
  return text
    .split("\n")
    .map((line) => line.slice(0, 32))
    .filter((hex) => /^[0-9a-f]{32}$/.test(hex))
    .map((hex) => (hex.match(/.{4}/g) ?? []).join(":"));
}

function readOptional(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

export function readLocalAddresses(): LocalAddresses {
  const ipv4 = parseFibTrie(readOptional("/proc/self/net/fib_trie"));
  const ipv6 = parseIfInet6(readOptional("/proc/self/net/if_inet6"));
  return { addresses: [...ipv4.addresses, ...ipv6], isComplete: ipv4.isComplete };
}

/** 16 bytes as the datapath writes addresses: IPv4 as `::ffff:a.b.c.d`. `null` for what is no address. */
export function addressBytes(text: string): Buffer | null {
  const parsed = parseAddress(text);
  if (!parsed.ok) return null;
  const bytes = Buffer.alloc(16);
  if (parsed.family === 4) {
    bytes.writeUInt16BE(0xffff, 10);
    bytes.set(parsed.bytes, 12);
  } else {
    bytes.set(parsed.bytes);
  }
  return bytes;
}

/** The kernel's number of this process' network namespace, as BPF programs see it. `null` before Linux 5.14. */
export function networkNamespaceCookie(): bigint | null {
  const socket = openSocket(AF_INET, SOCK_DGRAM_CLOEXEC, 0);
  if (socket === null) return null;
  try {
    const value = Buffer.alloc(8);
    return getSocketOption(socket, SOL_SOCKET, SO_NETNS_COOKIE, value) === 8 ? value.readBigUInt64LE() : null;
  } finally {
    closeSync(socket);
  }
}
