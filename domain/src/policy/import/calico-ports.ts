/** Protocols, ports and ICMP of a Calico rule. */
import { NAME_RULES } from "../formats/names.ts";
import { type Located, ObjectReader, readBoundedInteger, readList } from "../formats/object-reader.ts";
import { MAX_PORT } from "../formats/ports.ts";
import { type PortMatch, PROTOCOL } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { given, refuseValue } from "./refuse.ts";
import { CALICO_ICMP } from "./shapes.ts";

const PROTOCOLS: Readonly<Record<string, number>> = {
  TCP: PROTOCOL.tcp,
  UDP: PROTOCOL.udp,
  SCTP: PROTOCOL.sctp,
  ICMP: PROTOCOL.icmp,
  ICMPv6: PROTOCOL.icmpv6,
  UDPLite: 136,
};

const WITH_PORTS: readonly number[] = [PROTOCOL.tcp, PROTOCOL.udp, PROTOCOL.sctp];

/** `remote` holds the ports of the end that the connection is opened to. `null` = every port of every protocol. */
export function readCalicoPorts(
  report: Reporter,
  rule: ObjectReader,
  end: ObjectReader | null,
): readonly PortMatch[] | null {
  const source = report.range(rule.node);
  const protocolField = given(rule, "protocol");
  const protocol = protocolField ? readProtocol(report, protocolField) : null;
  const portsField = end && given(end, "ports");
  const notPortsField = end && given(end, "notPorts");
  const icmpField = given(rule, "icmp");
  if (protocolField && protocol === null) return [];
  if (portsField || notPortsField) {
    if (protocol === null || !WITH_PORTS.includes(protocol)) {
      const field = portsField ?? notPortsField;
      if (field) report.report("WL212", field.anchor, `${field.path} needs the protocol TCP, UDP or SCTP in the rule.`);
      return [];
    }
    return portMatches(report, { protocol, portsField, notPortsField, source });
  }
  if (icmpField) return readIcmp(report, icmpField, protocol);
  return protocol === null ? null : [{ kind: "range", protocol, low: 0, high: MAX_PORT, source }];
}

function readProtocol(report: Reporter, field: Located): number | null {
  const { node } = field;
  const text = node.kind === "scalar" ? String(node.value) : "";
  const known = Object.keys(PROTOCOLS).find((name) => name.toLowerCase() === text.toLowerCase());
  if (known !== undefined) return PROTOCOLS[known] ?? null;
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= 255) return Number(text);
  const message = `${field.path} is a protocol by name (${Object.keys(PROTOCOLS).join(", ")}) or by number from 1 to 255.`;
  report.report("WL206", node, message);
  return null;
}

interface PortRange {
  readonly low: number;
  readonly high: number;
}

interface PortFields {
  readonly protocol: number;
  readonly portsField: Located | null;
  readonly notPortsField: Located | null;
  readonly source: PortMatch["source"];
}

function portMatches(
  report: Reporter,
  { protocol, portsField, notPortsField, source }: PortFields,
): readonly PortMatch[] {
  const wanted = portsField ? readPorts(report, portsField) : [{ low: 0, high: MAX_PORT }];
  const unwanted = notPortsField ? readPorts(report, notPortsField) : [];
  const names = [...wanted, ...unwanted].filter((port) => typeof port === "string");
  const [name] = names;
  if (name !== undefined && notPortsField) {
    refuseValue(report, notPortsField, `all ports but some cannot be told where one is a name ("${name}")`);
    return [];
  }
  const taken = unwanted.filter((port) => typeof port !== "string");
  return wanted.flatMap((port): readonly PortMatch[] => {
    if (typeof port === "string") return [{ kind: "named", protocol, name: port, source }];
    return without(port, taken).map((range) => ({ kind: "range", protocol, ...range, source }));
  });
}

/** What is left of a range, in parts. */
function without(range: PortRange, taken: readonly PortRange[]): readonly PortRange[] {
  let parts: readonly PortRange[] = [range];
  for (const { low, high } of taken) {
    parts = parts.flatMap((part) =>
      [
        { low: part.low, high: Math.min(part.high, low - 1) },
        { low: Math.max(part.low, high + 1), high: part.high },
      ].filter((left) => left.low <= left.high),
    );
  }
  return parts;
}

/** `80`, `"6040:6050"` or a name. */
function readPorts(report: Reporter, field: Located): readonly (PortRange | string)[] {
  return (readList(report, field) ?? []).flatMap((entry): readonly (PortRange | string)[] => {
    const { node } = entry;
    const text = node.kind === "scalar" && node.value !== null ? String(node.value) : "";
    const [, lowText, highText = lowText] = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text) ?? [];
    if (lowText !== undefined) {
      const [low, high] = [Number(lowText), Number(highText)];
      if (low <= high && high <= MAX_PORT) return [{ low, high }];
    } else if (NAME_RULES.port.pattern.test(text) && text.length <= NAME_RULES.port.maxLength) return [text];
    report.report(
      "WL211",
      node,
      `${entry.path} is a port up to ${MAX_PORT}, a range such as "6040:6050", or the name of a port.`,
    );
    return [];
  });
}

function readIcmp(report: Reporter, field: Located, protocol: number | null): readonly PortMatch[] {
  if (protocol !== PROTOCOL.icmp && protocol !== PROTOCOL.icmpv6) {
    report.report("WL212", field.anchor, `${field.path} needs the protocol ICMP or ICMPv6 in the rule.`);
    return [];
  }
  const icmp = ObjectReader.open(report, field, CALICO_ICMP.known);
  if (!icmp) return [];
  const typeField = given(icmp, "type");
  const codeField = given(icmp, "code");
  const source = report.range(field.node);
  if (!typeField) {
    if (codeField) report.report("WL212", codeField.anchor, `${codeField.path} needs a type beside it.`);
    return [{ kind: "range", protocol, low: 0, high: MAX_PORT, source }];
  }
  const type = readBoundedInteger(report, typeField, { minimum: 0, maximum: 254 });
  const code = codeField && readBoundedInteger(report, codeField, { minimum: 0, maximum: 255 });
  if (type === null || (codeField && code === null)) return [];
  const low = (type << 8) | (code ?? 0);
  return [{ kind: "range", protocol, low, high: code === null ? (type << 8) | 255 : low, source }];
}
