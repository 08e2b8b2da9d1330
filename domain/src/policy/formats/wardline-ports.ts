/** Ports of `wardline.io/v1`: any IP protocol, ICMP by type and code. */
import { type PortMatch, PROTOCOL } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { type Located, ObjectReader, readBoundedInteger, readBoundedList, readChoice } from "./object-reader.ts";
import { MAX_PORT, readPortOrName, readPortRange } from "./ports.ts";
import { BYTE, PROTOCOL_WORDS, WARDLINE_PORT, WARDLINE_PORTS } from "./schema/wardline-common.ts";

const NUMBERS: Readonly<Record<(typeof PROTOCOL_WORDS)[number], number>> = {
  TCP: PROTOCOL.tcp,
  UDP: PROTOCOL.udp,
  SCTP: PROTOCOL.sctp,
  ICMP: PROTOCOL.icmp,
  ICMPv6: PROTOCOL.icmpv6,
};

const WITH_PORTS: readonly number[] = [PROTOCOL.tcp, PROTOCOL.udp, PROTOCOL.sctp];
const WITH_TYPES: readonly number[] = [PROTOCOL.icmp, PROTOCOL.icmpv6];

/** The `ports` of a mapping; `null` = the field is absent: every port and protocol. */
export function readWardlinePorts(report: Reporter, from: ObjectReader): readonly PortMatch[] | null {
  const field = from.get("ports");
  if (!field) return null;
  const bounds = { ...WARDLINE_PORTS, hint: "To mean every port and protocol, leave it out." };
  return (readBoundedList(report, field, bounds) ?? []).flatMap((entry) => readWardlinePort(report, entry) ?? []);
}

function readWardlinePort(report: Reporter, value: Located): PortMatch | null {
  const errorsBefore = report.errorCount;
  const entry = ObjectReader.open(report, value, WARDLINE_PORT.known);
  if (!entry) return null;
  if (entry.node.entries.length === 0) {
    report.report("WL219", entry.anchor, `${value.path} is empty. Write protocol, port or both.`);
    return null;
  }
  const protocol = readProtocol(report, entry);
  if (protocol === null || report.errorCount > errorsBefore) return null;
  reportMisfits(report, entry, protocol);
  if (report.errorCount > errorsBefore) return null;
  if (WITH_TYPES.includes(protocol)) return readIcmp(report, entry, protocol);
  const portField = entry.get("port");
  if (portField) {
    return readPortRange(report, entry, protocol, readPortOrName(report, portField, { numericText: false }));
  }
  if (entry.has("endPort") && !entry.has("port")) {
    const message = `${value.path}: endPort needs a port to start from.`;
    report.report("WL216", entry.getNullable("endPort")!.anchor, message);
  }
  if (report.errorCount > errorsBefore) return null;
  return { kind: "range", protocol, low: 0, high: MAX_PORT, source: report.range(entry.node) };
}

function readProtocol(report: Reporter, entry: ObjectReader): number | null {
  const field = entry.get("protocol");
  if (!field) return entry.has("protocol") ? null : PROTOCOL.tcp;
  const { node } = field;
  if (node.kind === "scalar" && typeof node.value === "number") return readBoundedInteger(report, field, BYTE);
  const word = readChoice(report, field, PROTOCOL_WORDS);
  return word && NUMBERS[word];
}

/** Ports stand only with protocols that have them, types and codes only with ICMP. */
function reportMisfits(report: Reporter, entry: ObjectReader, protocol: number): void {
  const name = Object.entries(NUMBERS).find(([, number]) => number === protocol)?.[0] ?? `protocol ${protocol}`;
  for (const field of ["port", "endPort"]) {
    const located = entry.getNullable(field);
    if (!located || WITH_PORTS.includes(protocol)) continue;
    const instead = WITH_TYPES.includes(protocol) ? " Its messages are told apart by type and code." : "";
    report.report("WL232", located.anchor, `${located.path}: ${name} has no ports.${instead}`);
  }
  for (const field of ["type", "code"]) {
    const located = entry.getNullable(field);
    if (!located || WITH_TYPES.includes(protocol)) continue;
    const message = `${located.path}: only ICMP and ICMPv6 have a ${field}; the protocol here is ${name}.`;
    report.report("WL232", located.anchor, message);
  }
}

/** For ICMP the port of a packet is `type << 8 | code`. */
function readIcmp(report: Reporter, entry: ObjectReader, protocol: number): PortMatch | null {
  const source = report.range(entry.node);
  const typeField = entry.get("type");
  const codeField = entry.get("code");
  if (codeField && !entry.has("type")) {
    report.report("WL232", codeField.anchor, `${codeField.path} needs a type that it belongs to.`);
    return null;
  }
  const type = typeField && readBoundedInteger(report, typeField, BYTE);
  const code = codeField && readBoundedInteger(report, codeField, BYTE);
  if (!typeField) return entry.has("type") ? null : { kind: "range", protocol, low: 0, high: MAX_PORT, source };
  if (type === null || (codeField && code === null) || (entry.has("code") && !codeField)) return null;
  const low = (type << 8) | (code ?? 0);
  return { kind: "range", protocol, low, high: code === null ? low | 0xff : low, source };
}
