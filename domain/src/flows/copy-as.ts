/** One record as others write it: a command, YAML, a match of nftables. Every text is quoted for where it goes. */
import { formatFlowQuery } from "./language/format.ts";
import { protocolName } from "./language/protocols.ts";
import { hasPorts } from "./match.ts";
import type { QueryNode } from "./query.ts";
import type { FlowRecord } from "./record.ts";

/** What finds records of the same ends, port and verdict. */
export function likeRecord(record: FlowRecord): string {
  const field = (name: "src" | "dst" | "port" | "protocol" | "verdict" | "host", value: string): QueryNode[] =>
    value === "" ? [] : [{ kind: "field", field: name, values: [value] }];
  const parts = [
    ...field("host", record.host),
    ...field("src", record.sourceAddress),
    ...field("dst", record.destinationAddress),
    ...field("protocol", String(record.protocol)),
    ...(hasPorts(record.protocol) ? field("port", String(record.destinationPort)) : []),
    ...field("verdict", record.verdict),
  ];
  return formatFlowQuery({ where: { kind: "and", parts }, sinceMs: null, untilMs: null });
}

/** For a POSIX shell. */
export function recordAsCli(record: FlowRecord): string {
  return queryAsCli(likeRecord(record));
}

/** @param text in the query language */
export function queryAsCli(text: string): string {
  return `wardline flows query ${shellQuoted(text)}`;
}

function shellQuoted(text: string): string {
  // A NUL or a line would end the command where nobody expects it.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for.
  return `'${text.replace(/[\u0000-\u001f\u007f]+/g, " ").replaceAll("'", "'\\''")}'`;
}

/** A document of YAML 1.2; texts in double quotes, as JSON has them. */
export function recordAsYaml(record: FlowRecord): string {
  const text = (value: string) => JSON.stringify(value);
  const time = (ms: number) => text(new Date(ms).toISOString());
  const lines: string[] = [
    `host: ${text(record.host)}`,
    `firstSeen: ${time(record.firstSeenMs)}`,
    `lastSeen: ${time(record.lastSeenMs)}`,
    `direction: ${record.direction}`,
    `protocol: ${text(protocolName(record.protocol))}`,
    "source:",
    `  address: ${text(record.sourceAddress)}`,
    ...(record.sourceName ? [`  name: ${text(record.sourceName)}`] : []),
    "destination:",
    `  address: ${text(record.destinationAddress)}`,
    ...(record.destinationName ? [`  name: ${text(record.destinationName)}`] : []),
    ...(hasPorts(record.protocol) ? [`  port: ${record.destinationPort}`] : []),
    ...(record.observedName ? [`observedName: ${text(record.observedName)}`] : []),
    `verdict: ${record.verdict}`,
    `enforced: ${record.enforced}`,
    record.policyKeys.length === 0 ? "policies: []" : "policies:",
    ...record.policyKeys.map((key) => `  - ${text(key)}`),
    ...(record.subjectKey ? [`subject: ${text(record.subjectKey)}`] : []),
    ...(record.cgroupPath ? [`cgroup: ${text(record.cgroupPath)}`] : []),
    ...(record.process.command || record.process.executable
      ? ["process:", `  command: ${text(record.process.command)}`, `  executable: ${text(record.process.executable)}`]
      : []),
    ...(record.process.userName ? [`user: ${text(record.process.userName)}`] : []),
    `connections: ${record.started}`,
    `deniedPackets: ${record.deniedPackets}`,
    `packets: ${record.packets}`,
    `originatorBytes: ${record.originatorBytes}`,
    `responderBytes: ${record.responderBytes}`,
  ];
  return `${lines.join("\n")}\n`;
}

const NFT_PROTOCOLS: Readonly<Record<number, string>> = {
  6: "tcp",
  17: "udp",
  132: "sctp",
  33: "dccp",
  136: "udplite",
};

/** The match of a rule of nftables, without its verdict: `ip saddr 10.0.0.1 ip daddr 10.0.0.2 tcp dport 443`. */
export function recordAsNft(record: FlowRecord): string {
  const isIpv6 = `${record.sourceAddress}${record.destinationAddress}`.includes(":");
  const family = isIpv6 ? "ip6" : "ip";
  const parts: string[] = [];
  if (/^[0-9a-f.:]+$/i.test(record.sourceAddress)) parts.push(`${family} saddr ${record.sourceAddress}`);
  if (/^[0-9a-f.:]+$/i.test(record.destinationAddress)) parts.push(`${family} daddr ${record.destinationAddress}`);
  const { protocol, destinationPort: port } = record;
  const transport = NFT_PROTOCOLS[protocol];
  if (transport) parts.push(`${transport} dport ${port}`);
  else if (protocol === 1 || protocol === 58) {
    const family = protocol === 1 ? "icmp" : "icmpv6";
    parts.push(`${family} type ${port >> 8} ${family} code ${port & 0xff}`);
  } else parts.push(`meta l4proto ${protocol}`);
  return parts.join(" ");
}
