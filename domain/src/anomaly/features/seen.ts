/** A record as the detectors see it: judged, bounded, and with what all of them ask worked out once. */
import type { FlowRecord } from "../../flows/record.ts";
import { bytesOf, remoteAddressOf } from "../../flows/record.ts";
import type { Direction } from "../../policy/model.ts";
import { type AddressKind, addressKind } from "../support/addresses.ts";
import { remoteKey } from "./habits.ts";

export interface Seen {
  /** With texts cut to what may be kept. */
  readonly record: FlowRecord;
  readonly direction: Direction;
  readonly protocol: number;
  readonly remote: string;
  readonly kind: AddressKind;
  readonly port: number;
  /** Command or, where unknown, the last part of the control group. */
  readonly process: string;
  readonly subjectKey: string;
  /** Process and subject in one; direction, remote and port; direction and remote: for keys. */
  readonly who: string;
  readonly pairKey: string;
  readonly remoteKey: string;
  readonly isDenied: boolean;
  /** Nobody answered beyond a handshake, or it was denied. */
  readonly isFailed: boolean;
  /** Connections begun or refused. */
  readonly attempts: number;
  /** How many flows it stands for. */
  readonly flows: number;
  readonly sent: number;
  readonly received: number;
  /** Within the window. */
  readonly firstMs: number;
  readonly lastMs: number;
}

/** No wire carries more in 10 s; a count beyond is a lie. */
const MAX_COUNT = 1e12;
const MAX_TEXT = 256;
/** What a handshake and its refusal take of bytes in an answer. */
const HANDSHAKE_BYTES = 64;
export const MAX_AHEAD_MS = 86_400_000;

/** `null` when nothing can be made of it: no time, a time far in the future, traffic of the host with itself. */
export function seeRecord(record: FlowRecord, stepStartMs: number, nowMs: number): Seen | null {
  const windowStartMs = record.windowStartMs;
  if (!Number.isFinite(windowStartMs) || windowStartMs < 0 || windowStartMs > nowMs + MAX_AHEAD_MS) return null;
  const remote = cut(remoteAddressOf(record), 64);
  const kind = addressKind(remote);
  if (kind === "loopback") return null;
  const isDenied = record.verdict === "deny" || record.enforced === "deny";
  const started = count(record.started);
  const denied = count(record.deniedPackets);
  const { sent, received } = bytesOf(record);
  const flows = Math.max(1, count(record.foldedFlows));
  const answer = record.direction === "egress" ? count(received) : count(sent);
  const startMs = Math.max(windowStartMs, stepStartMs);
  const firstMs = within(record.firstSeenMs, startMs, startMs + 10_000);
  const process = processOf(record);
  const subjectKey = cut(record.subjectKey, MAX_TEXT);
  const direction = record.direction === "ingress" ? "ingress" : "egress";
  const port = Math.min(65_535, count(record.destinationPort));
  const key = remoteKey({ direction, remote });
  return {
    record: bounded(record),
    direction,
    pairKey: `${key}:${port}`,
    remoteKey: key,
    protocol: count(record.protocol),
    remote,
    kind,
    port,
    process,
    subjectKey,
    who: `${process}\t${subjectKey}`,
    isDenied,
    isFailed: isDenied || (started > 0 && answer <= HANDSHAKE_BYTES * started),
    attempts: Math.max(started, isDenied ? Math.max(1, Math.min(denied, flows)) : 0),
    flows,
    sent: count(sent),
    received: count(received),
    firstMs,
    lastMs: within(record.lastSeenMs, firstMs, startMs + 10_000),
  };
}

function count(value: number): number {
  if (!(value > 0)) return 0;
  return value > MAX_COUNT ? MAX_COUNT : Math.trunc(value);
}

function within(value: number, low: number, high: number): number {
  if (!(value > low)) return low;
  return value > high ? high : value;
}

function cut(text: string, limit: number): string {
  return text.length <= limit ? text : text.slice(0, limit);
}

function processOf({ process, cgroupPath }: FlowRecord): string {
  if (process.command !== "") return cut(process.command, 32);
  if (process.executable !== "") return cut(process.executable.slice(process.executable.lastIndexOf("/") + 1), 32);
  return cut(cgroupPath.slice(cgroupPath.lastIndexOf("/") + 1), 32);
}

const TEXTS = [
  "host",
  "sourceAddress",
  "destinationAddress",
  "sourceName",
  "destinationName",
  "observedName",
  "decisionSummary",
  "subjectKey",
  "cgroupPath",
] as const satisfies readonly (keyof FlowRecord)[];

/** The same record in all but monstrous cases: evidence keeps it. */
function bounded(record: FlowRecord): FlowRecord {
  const { process } = record;
  const isLong =
    TEXTS.some((key) => record[key].length > MAX_TEXT) ||
    record.policyKeys.length > 16 ||
    record.policyKeys.some((key) => key.length > MAX_TEXT) ||
    process.command.length > 32 ||
    process.executable.length > MAX_TEXT ||
    process.userName.length > 64;
  if (!isLong) return record;
  const texts = Object.fromEntries(TEXTS.map((key) => [key, cut(record[key], MAX_TEXT)]));
  return {
    ...record,
    ...texts,
    policyKeys: record.policyKeys.slice(0, 16).map((key) => cut(key, MAX_TEXT)),
    process: {
      ...process,
      command: cut(process.command, 32),
      executable: cut(process.executable, MAX_TEXT),
      userName: cut(process.userName, 64),
    },
  };
}
