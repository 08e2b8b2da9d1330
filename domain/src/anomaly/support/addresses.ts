/** What kind of address a remote end has. By its text: records hold canonical texts, and nothing here decides about access. */

export type AddressKind = "unknown" | "loopback" | "multicast" | "private" | "public";

const KINDS: readonly (readonly [RegExp, AddressKind])[] = [
  [/^(?:127\.|::1$|::ffff:127\.)/, "loopback"],
  [/^(?:2(?:2[4-9]|3\d)\.|255\.255\.255\.255$|ff[0-9a-f]{2}:|0\.0\.0\.0$|::$)/, "multicast"],
  [/^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/, "private"],
  [/^(?:f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:|0?[23][0-9a-f]{2}::?)/, "private"],
];

export function addressKind(address: string): AddressKind {
  if (address === "") return "unknown";
  for (const [pattern, kind] of KINDS) if (pattern.test(address)) return kind;
  return "public";
}

/** The neighbourhood of an address: /24, or /64 of IPv6. */
export function remoteGroup(address: string): string {
  if (address.includes(":")) {
    const head = address.split("::")[0] ?? "";
    return `${head.split(":").slice(0, 4).join(":")}::/64`;
  }
  const end = address.lastIndexOf(".");
  return end === -1 ? address : `${address.slice(0, end)}.0/24`;
}

/** Ports by which one takes charge of another machine. */
export const ADMIN_PORTS: ReadonlySet<number> = new Set([
  22, 23, 135, 139, 445, 2375, 2376, 3389, 5900, 5985, 5986, 6443, 10250,
]);

/** Ports where a password or key is asked for. */
export const LOGIN_PORTS: ReadonlySet<number> = new Set([
  21, 22, 23, 25, 110, 143, 389, 445, 465, 587, 636, 993, 995, 1433, 1521, 3306, 3389, 5432, 5900, 5985, 5986, 6379,
  27017,
]);

const PORT_NAMES = new Map([
  [22, "SSH"],
  [23, "Telnet"],
  [445, "SMB"],
  [3389, "RDP"],
  [5900, "VNC"],
  [5985, "WinRM"],
  [3306, "MySQL"],
  [5432, "PostgreSQL"],
]);

export function portName(port: number): string {
  const name = PORT_NAMES.get(port);
  return name === undefined ? `port ${port}` : `${name} (port ${port})`;
}
