/** Flows to a collector: once, or on and on. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type FlowQuery, formatFlowQuery, type QueryNode } from "@wardline/domain/flows";
import type { Clock } from "../../ports.ts";
import type { FlowHistory, LabelResolver } from "../flow-history.ts";
import type { ExportPositions, HostPositions } from "./export-positions.ts";
import type { ExportedRecord } from "./log-records.ts";
import type { OtlpSender } from "./otlp-sender.ts";

/** Records in one request; a window of a host is not divided unless it alone has more. */
const CHUNK = 1_000;
const MAX_CHUNK = 5_000;

export interface OtlpExportPorts {
  readonly history: FlowHistory;
  readonly sender: OtlpSender;
  readonly clock: Clock;
  readonly labels: () => LabelResolver;
  readonly withMetrics: boolean;
}

/** Oldest first. Returns how many were delivered. @param limit 0 = all. @throws Failure DELIVERY_FAILED, and of the store */
export async function exportOnce(
  { history, sender, labels, withMetrics }: OtlpExportPorts,
  query: FlowQuery,
  limit: number,
  signal: AbortSignal,
): Promise<number> {
  let delivered = 0;
  try {
    for await (const piece of history.replay(query, { labels: labels() }, signal)) {
      const wanted = limit === 0 ? piece : piece.slice(0, limit - delivered);
      for (let start = 0; start < wanted.length && !signal.aborted; start += CHUNK) {
        const chunk = wanted.slice(start, start + CHUNK);
        await sender.sendRecords(chunk);
        delivered += chunk.length;
      }
      if (limit !== 0 && delivered >= limit) break;
    }
    if (withMetrics) await sender.sendMetrics();
  } catch (error) {
    throw withCount(error, delivered);
  }
  return delivered;
}

function withCount(error: unknown, delivered: number): unknown {
  if (!(error instanceof Failure) || error.code !== ErrorCode.DELIVERY_FAILED) return error;
  const { code, hint, retryable, message } = error;
  const before = `${delivered.toLocaleString("en")} records were delivered before.`;
  return new Failure({ code, hint, retryable, message: `${message} ${before}` });
}

export interface FollowPorts extends OtlpExportPorts {
  readonly positions: ExportPositions;
  /** The hosts of this console now. */
  readonly hosts: () => readonly { readonly id: string; readonly name: string }[];
  readonly everyMs: number;
  /** For a person, when something changes. */
  readonly note: (text: string) => void;
}

export interface FollowedExport {
  /** The collector: what is sent to another one has a position of its own. */
  readonly url: string;
  readonly query: FlowQuery;
  /** Where a host begins that was never exported. */
  readonly fromMs: number;
}

interface HostState {
  sequence: bigint;
  /** Since when nothing new has come from it. */
  quietSinceMs: number;
  /** Everything up to `sequence` is delivered, the newest window too. */
  isDrained: boolean;
}

/**
 * Until the signal aborts. A host delivers its windows in order, so its position is one moment; it is kept after the
 * collector took what is before it, and whatever ends this goes on there. The newest window of a host waits until a later
 * one has begun, or nothing has come from the host for two rounds.
 * @throws Failure ALREADY_EXISTS while another process exports the same
 */
export async function exportOnAndOn(ports: FollowPorts, wanted: FollowedExport, signal: AbortSignal): Promise<number> {
  const { positions, clock, note, everyMs } = ports;
  const key = `${wanted.url}\n${formatFlowQuery({ ...wanted.query, sinceMs: null, untilMs: null })}`;
  let delivered = 0;
  let isFailing = false;
  const states = new Map<string, HostState>();
  let kept: HostPositions = positions.read(key) ?? {};
  try {
    while (!signal.aborted) {
      requireLease(positions.acquire(key, clock.nowMs()));
      try {
        for (const host of ports.hosts()) {
          for await (const { count, untilMs } of newOf(
            ports,
            wanted,
            host,
            kept[host.id] ?? wanted.fromMs,
            states,
            signal,
          )) {
            delivered += count;
            kept = { ...kept, [host.id]: untilMs };
            positions.save(key, kept);
            requireLease(positions.acquire(key, clock.nowMs()));
          }
        }
        if (ports.withMetrics) await ports.sender.sendMetrics();
        if (isFailing) note("The collector takes flows again.");
        isFailing = false;
      } catch (error) {
        if (signal.aborted) break;
        if (!(error instanceof Failure) || !error.retryable) throw error;
        if (!isFailing) note(`${error.message} Trying again; nothing is left out.`);
        isFailing = true;
      }
      await clock.sleep(everyMs, signal);
    }
  } finally {
    positions.release(key);
  }
  return delivered;
}

function requireLease(isOurs: boolean): void {
  if (isOurs) return;
  throw new Failure({
    code: ErrorCode.ALREADY_EXISTS,
    message: "Another process of this console exports the same query to the same collector.",
    hint: "It would be sent twice. End the other one first.",
  });
}

/** Delivers whole windows, and says after each delivery up to when the host is done. */
async function* newOf(
  { history, sender, clock, labels, everyMs }: FollowPorts,
  { query }: FollowedExport,
  host: { readonly id: string; readonly name: string },
  fromMs: number,
  states: Map<string, HostState>,
  signal: AbortSignal,
): AsyncGenerator<{ readonly count: number; readonly untilMs: number }> {
  const read = await history.positions(host.id);
  const sequence = read.reduce((sum, position) => sum + position.sequence, 0n);
  const nowMs = clock.nowMs();
  const before = states.get(host.id);
  const isNew = before?.sequence !== sequence;
  const state = before && !isNew ? before : { sequence, quietSinceMs: nowMs, isDrained: false };
  states.set(host.id, state);
  if (state.isDrained) return;
  const isQuiet = nowMs - state.quietSinceMs >= 2 * everyMs;
  let chunk: ExportedRecord[] = [];
  let windowMs = Number.NEGATIVE_INFINITY;
  /** Index in the chunk where the newest window begins. */
  let windowAt = 0;
  const where = onHost(query.where, host.name);
  const options = { labels: labels() };
  for await (const piece of history.replay({ where, sinceMs: fromMs, untilMs: null }, options, signal)) {
    for (const record of piece) {
      if (record.hostId !== host.id || record.windowStartMs < fromMs) continue;
      if (record.windowStartMs > windowMs) {
        if (chunk.length >= CHUNK) {
          await deliver(sender, chunk);
          yield { count: chunk.length, untilMs: record.windowStartMs };
          chunk = [];
        }
        windowMs = record.windowStartMs;
        windowAt = chunk.length;
      }
      chunk.push(record);
      if (windowAt > 0 && chunk.length >= MAX_CHUNK) {
        await deliver(sender, chunk.slice(0, windowAt));
        yield { count: windowAt, untilMs: windowMs };
        chunk = chunk.slice(windowAt);
        windowAt = 0;
      }
    }
  }
  if (signal.aborted) return;
  const ready = isQuiet ? chunk.length : windowAt;
  if (ready > 0) await deliver(sender, chunk.slice(0, ready));
  // Not before the collector took them: what it refuses is read again.
  state.isDrained = isQuiet;
  if (ready > 0) yield { count: ready, untilMs: isQuiet ? windowMs + 1 : windowMs };
}

/** One window may have more than a request takes. */
async function deliver(sender: OtlpSender, records: readonly ExportedRecord[]): Promise<void> {
  for (let start = 0; start < records.length; start += MAX_CHUNK) {
    await sender.sendRecords(records.slice(start, start + MAX_CHUNK));
  }
}

/** A host that was never reached has no name yet; its records are told by its id alone then. */
function onHost(where: QueryNode, name: string): QueryNode {
  if (!/^[A-Za-z0-9._-]+$/.test(name)) return where;
  const host: QueryNode = { kind: "field", field: "host", values: [name] };
  return where.kind === "all" ? host : { kind: "and", parts: [host, where] };
}
