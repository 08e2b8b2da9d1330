/** What usually listens on a port (IANA, and custom). */
const TCP = 6;
const UDP = 17;

const NAMES: Readonly<Record<number, string>> = {
  20: "FTP data",
  21: "FTP",
  22: "SSH",
  23: "Telnet",
  25: "SMTP",
  53: "DNS",
  67: "DHCP server",
  68: "DHCP client",
  69: "TFTP",
  80: "HTTP",
  88: "Kerberos",
  110: "POP3",
  111: "RPC bind",
  123: "NTP",
  143: "IMAP",
  161: "SNMP",
  179: "BGP",
  389: "LDAP",
  443: "HTTPS",
  445: "SMB",
  465: "SMTP over TLS",
  500: "IKE",
  514: "syslog",
  587: "mail submission",
  636: "LDAP over TLS",
  853: "DNS over TLS",
  993: "IMAP over TLS",
  995: "POP3 over TLS",
  1433: "SQL Server",
  1521: "Oracle",
  1883: "MQTT",
  2049: "NFS",
  2375: "Docker",
  2376: "Docker over TLS",
  2379: "etcd clients",
  2380: "etcd peers",
  3000: "web applications",
  3306: "MySQL",
  3389: "RDP",
  4222: "NATS",
  4317: "OpenTelemetry",
  5060: "SIP",
  5353: "multicast DNS",
  5432: "PostgreSQL",
  5671: "AMQP over TLS",
  5672: "AMQP",
  5900: "VNC",
  6379: "Redis",
  6443: "Kubernetes API",
  8080: "HTTP, alternative",
  8443: "HTTPS, alternative",
  8883: "MQTT over TLS",
  9000: "web applications",
  9090: "Prometheus",
  9092: "Kafka",
  9093: "Alertmanager",
  9100: "node exporter",
  9200: "Elasticsearch",
  10250: "kubelet",
  11211: "memcached",
  27017: "MongoDB",
  51820: "WireGuard",
};

/** Empty = nothing usual. */
export function usualService(protocol: number, port: number): string {
  return protocol === TCP || protocol === UDP ? (NAMES[port] ?? "") : "";
}

const PROTOCOL_NAMES: Readonly<Record<number, string>> = { 1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP" };

export function protocolName(protocol: number): string {
  return PROTOCOL_NAMES[protocol] ?? `protocol ${protocol}`;
}

/** By name (any case) or number; `null` = neither. */
export function protocolNumber(text: string): number | null {
  const named = Object.entries(PROTOCOL_NAMES).find(([, name]) => name.toLowerCase() === text.toLowerCase());
  if (named) return Number(named[0]);
  return /^\d{1,3}$/.test(text) && Number(text) <= 255 ? Number(text) : null;
}
