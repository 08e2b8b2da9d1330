/** `toPorts` and `icmps` of Cilium, down to the transport layer. */
import { readName } from "../formats/names.ts";
import {
  type Located,
  ObjectReader,
  readBoundedInteger,
  readBoundedList,
  readChoice,
  readList,
} from "../formats/object-reader.ts";
import { MAX_PORT } from "../formats/ports.ts";
import { type PortMatch, PROTOCOL } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { given, refuseFields, refuseValue } from "./refuse.ts";
import { CILIUM_ICMP, CILIUM_ICMP_FIELD, CILIUM_PORT, CILIUM_PORT_PROTOCOLS, CILIUM_TO_PORTS } from "./shapes.ts";

const PROTOCOLS = CILIUM_PORT_PROTOCOLS;

const PROTOCOL_NUMBERS: Readonly<Partial<Record<(typeof PROTOCOLS)[number], readonly number[]>>> = {
  ANY: [PROTOCOL.tcp, PROTOCOL.udp, PROTOCOL.sctp],
  TCP: [PROTOCOL.tcp],
  UDP: [PROTOCOL.udp],
  SCTP: [PROTOCOL.sctp],
};

/** Protocols without ports that Cilium lists among the ports. */
const WHOLE_PROTOCOLS: Readonly<Record<string, number>> = { VRRP: 112, IGMP: 2 };

const REFUSED = {
  rules: "it restricts what is said inside a connection",
  terminatingTLS: "TLS is not ended here",
  originatingTLS: "TLS is not begun here",
  serverNames: "names inside TLS are not looked at",
  listener: "there is no proxy to send connections to",
};

export function readToPorts(report: Reporter, value: Located): readonly PortMatch[] {
  return (readList(report, value) ?? []).flatMap((entry) => {
    const rule = ObjectReader.open(report, entry, {
      fields: [...CILIUM_TO_PORTS.known.fields, ...Object.keys(REFUSED)],
    });
    if (!rule) return [];
    refuseFields(rule, REFUSED);
    const ports = rule.require("ports", "Every port of every protocol is the rule without toPorts.");
    const bounds = { minItems: 1, hint: "Every port of every protocol is the rule without toPorts." };
    return ports ? (readBoundedList(report, ports, bounds) ?? []).flatMap((port) => readPort(report, port)) : [];
  });
}

function readPort(report: Reporter, value: Located): readonly PortMatch[] {
  const port = ObjectReader.open(report, value, CILIUM_PORT.known);
  if (!port) return [];
  const source = report.range(port.node);
  const protocolField = given(port, "protocol");
  const word = protocolField ? readChoice(report, protocolField, PROTOCOLS) : "ANY";
  const whole = word === null ? undefined : WHOLE_PROTOCOLS[word];
  if (whole !== undefined && !given(port, "port")) {
    return [{ kind: "range", protocol: whole, low: 0, high: MAX_PORT, source }];
  }
  const range = readRange(report, port);
  if (word === null || range === null) return [];
  const protocols = PROTOCOL_NUMBERS[word];
  if (!protocols) {
    if (protocolField) refuseValue(report, protocolField, `${word} has no ports; ICMP is written as icmps`);
    return [];
  }
  return protocols.map(
    (protocol): PortMatch =>
      typeof range === "string"
        ? { kind: "named", protocol, name: range, source }
        : { kind: "range", protocol, ...range, source },
  );
}

/** Ports are text: `"80"`, a name, or `"0"` for every port, as when there is none. */
function readRange(
  report: Reporter,
  port: ObjectReader,
): { readonly low: number; readonly high: number } | string | null {
  const field = port.get("port");
  if (!field) return port.has("port") ? null : { low: 0, high: MAX_PORT };
  const { node } = field;
  const text =
    node.kind === "scalar" && (typeof node.value === "string" || typeof node.value === "number") ? node.source : null;
  if (text === null || !/^\d+$/.test(text)) {
    if (port.has("endPort") && given(port, "endPort"))
      return refuseValue(report, field, "a range needs a number to start from");
    return readName(report, field, "port");
  }
  const low = Number(text);
  if (low > MAX_PORT) {
    report.report("WL211", node, `${field.path} is ${text}; ports go from 0 (every port) to ${MAX_PORT}.`);
    return null;
  }
  const endField = given(port, "endPort");
  const end = endField ? readBoundedInteger(report, endField, { minimum: 0, maximum: MAX_PORT }) : 0;
  if (end === null) return null;
  if (low === 0 && end === 0) return { low: 0, high: MAX_PORT };
  if (endField && end !== 0 && end < low) {
    report.report("WL216", endField.node, `${endField.path} ${end} is below port ${low}.`);
    return null;
  }
  return { low, high: end === 0 ? low : end };
}

/** Names of types, as Cilium has them (pkg/policy/api/icmp.go). */
const ICMP_TYPES: Readonly<Record<"IPv4" | "IPv6", Readonly<Record<string, number>>>> = {
  IPv4: {
    EchoReply: 0,
    DestinationUnreachable: 3,
    Redirect: 5,
    Echo: 8,
    EchoRequest: 8,
    RouterAdvertisement: 9,
    RouterSelection: 10,
    TimeExceeded: 11,
    ParameterProblem: 12,
    Timestamp: 13,
    TimestampReply: 14,
    Photuris: 40,
    ExtendedEchoRequest: 42,
    ExtendedEchoReply: 43,
  },
  IPv6: {
    DestinationUnreachable: 1,
    PacketTooBig: 2,
    TimeExceeded: 3,
    ParameterProblem: 4,
    EchoRequest: 128,
    EchoReply: 129,
    RouterSolicitation: 133,
    RouterAdvertisement: 134,
    NeighborSolicitation: 135,
    NeighborAdvertisement: 136,
    RedirectMessage: 137,
  },
};

export function readIcmps(report: Reporter, value: Located): readonly PortMatch[] {
  return (readList(report, value) ?? []).flatMap((entry) => {
    const icmp = ObjectReader.open(report, entry, CILIUM_ICMP.known);
    const fields = icmp?.require("fields");
    return fields
      ? (readBoundedList(report, fields, { minItems: 1 }) ?? []).flatMap((one) => readIcmp(report, one))
      : [];
  });
}

function readIcmp(report: Reporter, value: Located): readonly PortMatch[] {
  const field = ObjectReader.open(report, value, CILIUM_ICMP_FIELD.known);
  if (!field) return [];
  const familyField = given(field, "family");
  const family = familyField ? readChoice(report, familyField, ["IPv4", "IPv6"] as const) : "IPv4";
  const typeField = field.require("type");
  if (family === null || !typeField) return [];
  const { node } = typeField;
  const text = node.kind === "scalar" ? String(node.value) : "";
  const number = /^\d{1,3}$/.test(text) ? Number(text) : new Map(Object.entries(ICMP_TYPES[family])).get(text);
  if (number === undefined || number > 255) {
    refuseValue(report, typeField, `${family} has no such ICMP type`);
    return [];
  }
  const type = number;
  const protocol = family === "IPv4" ? PROTOCOL.icmp : PROTOCOL.icmpv6;
  return [{ kind: "range", protocol, low: type << 8, high: (type << 8) | 255, source: report.range(field.node) }];
}
