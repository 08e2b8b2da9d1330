/**
 * A flow record as a log record: attributes by OpenTelemetry's semantic conventions (source, destination, network, host,
 * process, log.record.uid), and `wardline.*` for what they have no name for.
 */
import { createHash } from "node:crypto";
import { SeverityNumber } from "@opentelemetry/api-logs";
import { bytesOf, type FlowRecord, hasPorts, protocolName } from "@wardline/domain/flows";

export type ExportedRecord = FlowRecord & { readonly hostId: string };

export interface LogFields {
  readonly timestampMs: number;
  readonly severityNumber: SeverityNumber;
  readonly severityText: string;
  readonly body: string;
  readonly attributes: Record<string, string | number | boolean | string[]>;
}

export const FLOW_EVENT_NAME = "wardline.flow";

/** Attributes that are unknown are left out. */
export function logFieldsOf(record: ExportedRecord): LogFields {
  const isDenied = record.verdict === "deny";
  const { sent, received } = bytesOf(record);
  const { process } = record;
  const attributes: LogFields["attributes"] = {
    "log.record.uid": uidOf(record),
    "host.id": record.hostId,
    "host.name": record.host,
    "source.address": record.sourceAddress,
    "destination.address": record.destinationAddress,
    ...(hasPorts(record.protocol) ? { "destination.port": record.destinationPort } : {}),
    "network.transport": protocolName(record.protocol),
    "network.type": record.destinationAddress.includes(":") ? "ipv6" : "ipv4",
    "network.io.direction": record.direction === "ingress" ? "receive" : "transmit",
    ...text("process.executable.name", process.command),
    ...text("process.executable.path", process.executable),
    ...text("process.owner", process.userName),
    ...(process.pid > 0 ? { "process.pid": process.pid } : {}),
    ...text("wardline.source.name", record.sourceName),
    ...text("wardline.destination.name", record.destinationName),
    ...text("wardline.observed_name", record.observedName),
    "wardline.verdict": record.verdict,
    "wardline.enforced": record.enforced,
    ...(record.policyKeys.length > 0 ? { "wardline.policy.keys": [...record.policyKeys] } : {}),
    ...text("wardline.decision", record.decisionSummary),
    ...text("wardline.subject", record.subjectKey),
    ...text("wardline.cgroup", record.cgroupPath),
    "wardline.window_ms": record.windowMs,
    "wardline.connections": record.started,
    "wardline.connections.ended": record.ended,
    "wardline.denied_packets": record.deniedPackets,
    "wardline.packets": record.packets,
    "wardline.bytes.sent": sent,
    "wardline.bytes.received": received,
    ...(record.foldedFlows > 0 ? { "wardline.folded_flows": record.foldedFlows } : {}),
  };
  return {
    timestampMs: record.firstSeenMs,
    severityNumber: isDenied ? SeverityNumber.WARN : SeverityNumber.INFO,
    severityText: isDenied ? "WARN" : "INFO",
    body: `${record.verdict} ${endOf(record.sourceName, record.sourceAddress)} > ${endOf(record.destinationName, record.destinationAddress)} ${serviceOf(record)}`,
    attributes,
  };
}

function text(name: string, value: string): Record<string, string> {
  return value === "" ? {} : { [name]: value };
}

function endOf(name: string, address: string): string {
  return name === "" ? address : `${name} (${address})`;
}

function serviceOf({ protocol, destinationPort }: FlowRecord): string {
  return hasPorts(protocol) ? `${protocolName(protocol)}/${destinationPort}` : protocolName(protocol);
}

/** The same for the same record: a receiver can tell one that was sent again from another. */
function uidOf(record: ExportedRecord): string {
  const { hostId, windowStartMs, windowMs, direction, protocol, sourceAddress, destinationAddress, destinationPort } =
    record;
  const { verdict, enforced, policyKeys, decisionSummary, subjectKey, cgroupPath, process, observedName } = record;
  const identity = [
    ...[hostId, windowStartMs, windowMs, direction, protocol, sourceAddress, destinationAddress, destinationPort],
    ...[verdict, enforced, policyKeys, decisionSummary, subjectKey, cgroupPath, process, observedName],
    ...[record.sourceName, record.destinationName, record.firstSeenMs, record.lastSeenMs, record.foldedFlows],
  ];
  return createHash("sha256").update(JSON.stringify(identity)).digest("hex").slice(0, 32);
}
