import { type NamedPort, type PortMatch, PROTOCOL, type SourceRange } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { readName } from "./names.ts";
import { type Located, ObjectReader, readChoice, readInteger, readList } from "./object-reader.ts";
import { MAX_PORT, TRANSPORT_PROTOCOLS } from "./schema/common.ts";
import { NAMED_PORT } from "./schema/inventory.ts";

export { MAX_PORT, TRANSPORT_PROTOCOLS };

const PROTOCOL_NUMBERS = { TCP: PROTOCOL.tcp, UDP: PROTOCOL.udp, SCTP: PROTOCOL.sctp } as const;

export type TransportProtocol = (typeof TRANSPORT_PROTOCOLS)[number];

export function protocolNumber(protocol: TransportProtocol): number {
  return PROTOCOL_NUMBERS[protocol];
}

/** A port number from 1 to 65535, or `null` (reported). */
export function readPortNumber(report: Reporter, value: Located): number | null {
  const port = readInteger(report, value);
  return port !== null && checkPortNumber(report, value, port) ? port : null;
}

export function checkPortNumber(report: Reporter, value: Located, port: number): boolean {
  if (port >= 1 && port <= MAX_PORT) return true;
  report.report("WL211", value.node, `${value.path} is ${port}; ports go from 1 to ${MAX_PORT}.`);
  return false;
}

/** `port` as a number or a name. */
export function readPortOrName(
  report: Reporter,
  value: Located,
  options: { readonly numericText: boolean },
): { readonly number: number } | { readonly name: string } | null {
  const node = value.node;
  const isText = node.kind === "scalar" && typeof node.value === "string";
  if (isText && options.numericText && /^[1-9]\d{0,4}$/.test(node.value as string)) {
    const number = Number(node.value);
    return checkPortNumber(report, value, number) ? { number } : null;
  }
  if (isText && !/^\d+$/.test(node.value as string)) {
    const name = readName(report, value, "port");
    return name === null ? null : { name };
  }
  const number = readPortNumber(report, value);
  return number === null ? null : { number };
}

/** A port or an inclusive range of ports for one protocol; `null` when it cannot be read (reported). */
export function readPortRange(
  report: Reporter,
  entry: ObjectReader,
  protocol: number,
  port: ReturnType<typeof readPortOrName>,
): PortMatch | null {
  const source = report.range(entry.node);
  const endField = entry.get("endPort");
  const end = endField && readPortNumber(report, endField);
  if (!endField) {
    if (port === null) return null;
    if ("name" in port) return { kind: "named", protocol, name: port.name, source };
    return { kind: "range", protocol, low: port.number, high: port.number, source };
  }
  if (port === null || end === null) return null;
  if ("name" in port) {
    const message = `${endField.path} needs a number in port; a named port is a single port.`;
    report.report("WL216", endField.anchor, message);
    return null;
  }
  if (end < port.number) {
    report.report("WL216", endField.node, `${endField.path} ${end} is below port ${port.number}.`);
    return null;
  }
  return { kind: "range", protocol, low: port.number, high: end, source };
}

/** `start` and `end` of a range that holds more than one port, or `null` (reported). */
export function readStartAndEnd(
  report: Reporter,
  range: ObjectReader,
): { readonly low: number; readonly high: number } | null {
  const startField = range.require("start");
  const endField = range.require("end");
  const low = startField && readPortNumber(report, startField);
  const high = endField && readPortNumber(report, endField);
  if (low === null || high === null || !endField) return null;
  if (low < high) return { low, high };
  const why = low === high ? `is the start as well; one port is not written as a range` : `is below the start ${low}`;
  report.report("WL216", endField.node, `${endField.path} ${high} ${why}.`);
  return null;
}

/** A port name that says nothing about the protocol. */
export function namedPortOfAnyProtocol(name: string, source: SourceRange): readonly PortMatch[] {
  return TRANSPORT_PROTOCOLS.map((protocol) => ({ kind: "named", protocol: protocolNumber(protocol), name, source }));
}

/** The named ports of a host or workload. The same name may stand once for each protocol. */
export function readNamedPorts(report: Reporter, value: Located): readonly NamedPort[] {
  const entries = readList(report, value) ?? [];
  const ports: NamedPort[] = [];
  for (const entry of entries) {
    const port = readNamedPort(report, entry);
    if (!port) continue;
    if (ports.some((other) => other.name === port.name && other.protocol === port.protocol)) {
      const message = `${entry.path}: the port name "${port.name}" is already used for this protocol.`;
      report.report("WL316", entry.anchor, message);
      continue;
    }
    ports.push(port);
  }
  return ports;
}

function readNamedPort(report: Reporter, value: Located): NamedPort | null {
  const entry = ObjectReader.open(report, value, NAMED_PORT.known);
  if (!entry) return null;
  const nameField = entry.require("name");
  const portField = entry.require("port");
  const protocolField = entry.get("protocol");
  const name = nameField && readName(report, nameField, "port");
  const port = portField && readPortNumber(report, portField);
  const protocol = protocolField ? readChoice(report, protocolField, TRANSPORT_PROTOCOLS) : "TCP";
  if (name === null || port === null || protocol === null) return null;
  return { name, protocol: protocolNumber(protocol), port };
}
