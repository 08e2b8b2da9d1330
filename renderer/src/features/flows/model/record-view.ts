/** One record as the list shows it: words for each column, and the condition that finds others like it. */
import type { HistoryRecord } from "@wardline/api/wardline/console/v1/history";
import { FlowHook } from "@wardline/api/wardline/v1/flow";
import type { FlowRecord } from "@wardline/api/wardline/v1/flow_record";
import { Direction } from "@wardline/api/wardline/v1/policy";
import { formatValue } from "@wardline/domain/flows";
import { flowVerdict, type VerdictKind } from "../../../data/flow-buffer.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import {
  formatBytes,
  formatClock,
  formatClockMs,
  formatCount,
  formatDuration,
  formatProtocolPort,
  formatQuantity,
  formatShortDateTime,
  protocolName,
  shortKey,
  VERDICT_WORDS,
} from "../../../ui/index.ts";
import type { ColumnName } from "./columns.ts";

export interface CellView {
  readonly text: string;
  /** Beside it, fainter: the address next to its name. */
  readonly detail?: string;
  readonly isCode?: boolean;
  readonly isFaint?: boolean;
  readonly verdict?: VerdictKind;
  /** `port:443`; absent when nothing finds it. */
  readonly term?: string;
}

export function timeOf(record: FlowRecord | undefined): number | null {
  return optionalMs(record?.firstSeen) ?? optionalMs(record?.windowStart);
}

/** `21 Nov 14:03:22.417`. */
function formatShortDateTimeMs(timeMs: number): string {
  return formatShortDateTime(timeMs).replace(formatClock(timeMs), formatClockMs(timeMs));
}

const SPANS = ["", "", " (1 min)", " (1 h)", " (1 d)"];
const UNKNOWN: CellView = { text: "not known", isFaint: true };
const DELETED = / \(deleted\)$/;

const term = (field: string, value: string) => `${field}:${formatValue(value)}`;

function endCell(name: string, address: string, field: string): CellView {
  if (address === "") return name === "" ? UNKNOWN : { text: name, term: term("name", name) };
  if (name === "") return { text: address, isCode: true, term: term(field, address) };
  return { text: name, detail: address, term: term(field, address) };
}

/** What a cell of the list says. Texts are as they came: `visibleText` is for whoever draws them. */
export function cellOf(item: HistoryRecord, column: ColumnName): CellView {
  const { record } = item;
  if (!record) return UNKNOWN;
  const isIngress = record.direction === Direction.INGRESS;
  switch (column) {
    case "when": {
      const timeMs = timeOf(record);
      if (timeMs === null) return UNKNOWN;
      // A single flow, as it came.
      if (record.windowSeconds === 0) return { text: formatShortDateTimeMs(timeMs), isCode: true };
      return { text: `${formatShortDateTime(timeMs)}${SPANS[item.resolution] ?? ""}`, isCode: true };
    }
    case "host":
      return { text: item.host, term: term("host", item.host) };
    case "direction":
      return { text: isIngress ? "in ←" : "out →", term: isIngress ? "direction:in" : "direction:out" };
    case "subject":
      return isIngress ? destinationCell(item, record) : sourceCell(item, record);
    case "peer":
      return isIngress ? sourceCell(item, record) : destinationCell(item, record);
    case "port":
      return portCell(record);
    case "protocol":
      return {
        text: protocolName(record.protocol),
        term: term("protocol", protocolName(record.protocol).toLowerCase()),
      };
    case "verdict":
      return verdictCell(flowVerdict(record));
    case "policy":
    case "rule":
      return decisionCell(record, column);
    case "process":
    case "user":
    case "cgroup":
      return ownerCell(record, column);
    default:
      return numberCell(record, column);
  }
}

function sourceCell(item: HistoryRecord, record: FlowRecord): CellView {
  return endCell(item.sourceDisplayName || record.sourceName, record.sourceAddress, "src");
}

function destinationCell(item: HistoryRecord, record: FlowRecord): CellView {
  if (record.foldedFlows > 0 && record.destinationAddress === "") {
    return { text: formatQuantity(record.foldedFlows, "different flow"), isFaint: true };
  }
  return endCell(item.destinationDisplayName || record.destinationName, record.destinationAddress, "dst");
}

function portCell({ protocol, destinationPort }: FlowRecord): CellView {
  const text = formatProtocolPort(protocol, destinationPort);
  const hasPort = protocol !== 1 && protocol !== 58;
  return { text, isCode: true, ...(hasPort ? { term: term("port", String(destinationPort)) } : {}) };
}

function verdictCell(verdict: VerdictKind): CellView {
  const terms: Record<VerdictKind, string> = {
    allow: "verdict:allow",
    deny: "enforced:deny",
    observed: "verdict:deny enforced:allow",
    unknown: "",
  };
  return { text: VERDICT_WORDS[verdict], verdict, ...(terms[verdict] === "" ? {} : { term: terms[verdict] }) };
}

function decisionCell({ decision }: FlowRecord, column: "policy" | "rule"): CellView {
  const key = decision?.policyKeys[0] ?? "";
  if (column === "rule") {
    return decision?.rule
      ? { text: decision.rule }
      : { text: key === "" ? "none" : "no rule allows it", isFaint: true };
  }
  if (key === "") return { text: decision?.summary || "no policy", isFaint: true, term: "-policy:*" };
  const more = (decision?.policyKeys.length ?? 1) - 1;
  return { text: shortKey(key), ...(more > 0 ? { detail: `and ${more} more` } : {}), term: term("policy", key) };
}

function ownerCell({ process, cgroupPath, hook }: FlowRecord, column: "process" | "user" | "cgroup"): CellView {
  if (column === "cgroup") {
    return cgroupPath === "" ? UNKNOWN : { text: cgroupPath, isCode: true, term: term("cgroup", cgroupPath) };
  }
  if (!process) return hook === FlowHook.EDGE ? { text: "no socket here", isFaint: true } : UNKNOWN;
  if (column === "user") {
    const user = process.userName || String(process.userId);
    return { text: user, term: term("user", user) };
  }
  const path = process.executable.replace(DELETED, "");
  if (process.command === "" && path === "") return UNKNOWN;
  // 0 when several processes took part.
  const detail = process.pid > 0 ? { detail: String(process.pid) } : {};
  return { text: process.command || path, ...detail, term: term("process", path || process.command) };
}

function numberCell(record: FlowRecord, column: ColumnName): CellView {
  switch (column) {
    case "connections":
      return { text: formatCount(record.started) };
    case "denied":
      return { text: formatCount(record.deniedPackets) };
    case "bytes":
      return { text: formatBytes(record.originatorBytes + record.responderBytes) };
    case "packets":
      return { text: formatCount(record.packets) };
    case "duration": {
      const [firstMs, lastMs] = [optionalMs(record.firstSeen), optionalMs(record.lastSeen)];
      return firstMs === null || lastMs === null ? UNKNOWN : { text: formatDuration(Math.max(0, lastMs - firstMs)) };
    }
    default:
      return { text: String(record.generation) };
  }
}
