/**
 * Synthetic traffic of one host, seeded: sources that open connections by chance with a season, in a beat, or as a job at a
 * time of day, rolled up into records of 10 s as an agent does. Connections that last are spread over their windows.
 */
import type { FlowRecord } from "../../flows/record.ts";
import type { Direction } from "../../policy/model.ts";
import { nextBelow, nextRandom, type RandomState } from "../support/random.ts";

export const WINDOW_MS = 10_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export interface Remote {
  readonly address: string;
  readonly name: string;
}

export interface Connection {
  readonly remote: Remote;
  readonly port: number;
  readonly sent: number;
  readonly received: number;
  readonly durationMs: number;
  readonly isFailed?: boolean;
  readonly isDenied?: boolean;
  readonly process?: string;
}

export interface Source {
  readonly direction: Direction;
  readonly protocol: number;
  readonly process: string;
  /** Connections an hour at a moment; a beat instead when `everyMs` is set, a job when `atHour` is. */
  readonly perHour?: (atMs: number) => number;
  readonly everyMs?: number;
  readonly jitterMs?: number;
  readonly atHour?: number;
  /** How many connections a beat or job opens. */
  readonly count?: (random: RandomState) => number;
  connect(random: RandomState, atMs: number): Connection;
}

interface Running {
  readonly source: Source;
  readonly connection: Connection;
  readonly startMs: number;
  readonly endMs: number;
}

export class HostTraffic {
  readonly host: Remote;
  readonly #sources: readonly Source[];
  readonly #random: RandomState;
  readonly #next: number[];
  #running: Running[] = [];

  constructor(host: Remote, sources: readonly Source[], random: RandomState, fromMs: number) {
    this.host = host;
    this.#sources = sources;
    this.#random = random;
    this.#next = sources.map((source) => this.#firstAfter(source, fromMs));
  }

  /** The records of the window that begins at `startMs`; call for one window after the other. */
  window(startMs: number): FlowRecord[] {
    const records = new Map<string, FlowRecord>();
    const endMs = startMs + WINDOW_MS;
    for (const [index, source] of this.#sources.entries()) this.#begin(source, index, startMs, endMs, records);
    if (this.#running.length > 0) {
      for (const running of this.#running) this.#goOn(running, startMs, records);
      this.#running = this.#running.filter((running) => running.endMs > endMs);
    }
    return [...records.values()];
  }

  #begin(source: Source, index: number, startMs: number, endMs: number, records: Map<string, FlowRecord>): void {
    if (source.perHour !== undefined) {
      const expected = (source.perHour(startMs) * WINDOW_MS) / HOUR_MS;
      for (let count = poisson(this.#random, expected); count > 0; count--) {
        this.#open(source, startMs + nextRandom(this.#random) * WINDOW_MS, records, startMs);
      }
      return;
    }
    while ((this.#next[index] ?? 0) < endMs) {
      const atMs = this.#next[index] ?? 0;
      const count = source.count?.(this.#random) ?? 1;
      for (let one = 0; one < count; one++) this.#open(source, Math.max(atMs, startMs), records, startMs);
      this.#next[index] = this.#after(source, atMs);
    }
  }

  #firstAfter(source: Source, fromMs: number): number {
    if (source.everyMs !== undefined) return fromMs + nextRandom(this.#random) * source.everyMs;
    if (source.atHour === undefined) return 0;
    const today = Math.floor(fromMs / DAY_MS) * DAY_MS + source.atHour * HOUR_MS;
    return (today < fromMs ? today + DAY_MS : today) + nextRandom(this.#random) * (source.jitterMs ?? 0);
  }

  #after(source: Source, atMs: number): number {
    const jitter = (nextRandom(this.#random) - 0.5) * 2 * (source.jitterMs ?? 0);
    if (source.everyMs !== undefined) return atMs + Math.max(1000, source.everyMs + jitter);
    const day = Math.floor(atMs / DAY_MS) * DAY_MS;
    return day + DAY_MS + (source.atHour ?? 0) * HOUR_MS + Math.abs(jitter);
  }

  #open(source: Source, atMs: number, records: Map<string, FlowRecord>, windowMs: number): void {
    const connection = source.connect(this.#random, atMs);
    const running = { source, connection, startMs: atMs, endMs: atMs + connection.durationMs };
    if (running.endMs > windowMs + WINDOW_MS) this.#running.push(running);
    const share = connection.durationMs <= WINDOW_MS ? 1 : shareOf(running, windowMs);
    this.#record(records, running, windowMs, share, true, running.endMs <= windowMs + WINDOW_MS);
  }

  #goOn(running: Running, windowMs: number, records: Map<string, FlowRecord>): void {
    if (running.startMs >= windowMs) return;
    this.#record(records, running, windowMs, shareOf(running, windowMs), false, running.endMs <= windowMs + WINDOW_MS);
  }

  #record(
    records: Map<string, FlowRecord>,
    { source, connection, startMs }: Running,
    windowMs: number,
    share: number,
    isStart: boolean,
    isEnd: boolean,
  ): void {
    addFlow(records, {
      host: this.host,
      windowMs,
      atMs: isStart ? startMs : windowMs,
      direction: source.direction,
      protocol: source.protocol,
      process: connection.process ?? source.process,
      connection,
      share,
      isStart,
      isEnd,
    });
  }
}

function shareOf({ connection, startMs, endMs }: Running, windowMs: number): number {
  const overlap = Math.min(endMs, windowMs + WINDOW_MS) - Math.max(startMs, windowMs);
  return Math.max(0, overlap) / Math.max(1, connection.durationMs);
}

export interface Flow {
  readonly host: Remote;
  readonly windowMs: number;
  readonly atMs: number;
  readonly direction: Direction;
  readonly protocol: number;
  readonly process: string;
  readonly connection: Connection;
  readonly share: number;
  readonly isStart: boolean;
  readonly isEnd: boolean;
}

type Mutable = { -readonly [Key in keyof FlowRecord]: FlowRecord[Key] };

/** Into the record of its identity, as an agent rolls up. */
export function addFlow(records: Map<string, FlowRecord>, flow: Flow): void {
  const { host, windowMs, atMs, direction, protocol, process, connection, share, isStart, isEnd } = flow;
  const { remote, port, isDenied = false, isFailed = false } = connection;
  const key = `${direction}|${remote.address}|${port}|${protocol}|${process}|${isDenied}`;
  const isOut = direction === "egress";
  const atRoundMs = Math.floor(atMs);
  let record = records.get(key) as Mutable | undefined;
  if (record === undefined) {
    record = {
      host: host.name,
      windowStartMs: windowMs,
      windowMs: WINDOW_MS,
      firstSeenMs: atRoundMs,
      lastSeenMs: atRoundMs,
      direction,
      protocol,
      sourceAddress: isOut ? host.address : remote.address,
      destinationAddress: isOut ? remote.address : host.address,
      destinationPort: port,
      sourceName: isOut ? host.name : remote.name,
      destinationName: isOut ? remote.name : host.name,
      observedName: "",
      verdict: isDenied ? "deny" : "allow",
      enforced: isDenied ? "deny" : "allow",
      policyKeys: [],
      decisionSummary: "",
      subjectKey: `host:${host.name}`,
      cgroupPath: `/system.slice/${process}.service`,
      process: { pid: 0, userId: 0, userName: "", command: process, executable: `/usr/bin/${process}` },
      started: 0,
      ended: 0,
      deniedPackets: 0,
      packets: 0,
      originatorBytes: 0,
      responderBytes: 0,
      foldedFlows: 0,
    };
    records.set(key, record);
  }
  record.firstSeenMs = Math.min(record.firstSeenMs, atRoundMs);
  record.lastSeenMs = Math.max(record.lastSeenMs, atRoundMs);
  if (isDenied) {
    record.deniedPackets += 1;
    return;
  }
  if (isStart) record.started += 1;
  if (isEnd) record.ended += 1;
  const sent = isFailed ? (isOut ? 60 : 0) : Math.round(connection.sent * share) + (isStart ? 250 : 0);
  const received = isFailed ? (isOut ? 0 : 60) : Math.round(connection.received * share) + (isStart ? 250 : 0);
  record.originatorBytes += isOut ? sent : received;
  record.responderBytes += isOut ? received : sent;
  record.packets += Math.max(1, Math.round((sent + received) / 900));
}

export function poisson(random: RandomState, expected: number): number {
  if (expected <= 0) return 0;
  if (expected > 30) return Math.max(0, Math.round(expected + Math.sqrt(expected) * normal(random)));
  const limit = Math.exp(-expected);
  let product = nextRandom(random);
  let count = 0;
  while (product > limit) {
    product *= nextRandom(random);
    count++;
  }
  return count;
}

export function normal(random: RandomState): number {
  return Math.sqrt(-2 * Math.log(1 - nextRandom(random))) * Math.cos(2 * Math.PI * nextRandom(random));
}

/** Heavy-tailed: the median, and a spread as a power of e. */
export function lognormal(random: RandomState, median: number, spread: number): number {
  return Math.min(median * 1e4, median * Math.exp(spread * normal(random)));
}

/** Few are asked for often, many seldom. */
export function zipf<T>(random: RandomState, items: readonly T[]): T {
  const index = Math.floor(items.length ** nextRandom(random)) - 1;
  return items[Math.max(0, Math.min(items.length - 1, index))] as T;
}

export function pick<T>(random: RandomState, items: readonly T[]): T {
  return items[nextBelow(random, items.length)] as T;
}

export function publicAddress(random: RandomState): string {
  const first = 11 + nextBelow(random, 111);
  return `${first === 100 || first === 127 ? 99 : first}.${nextBelow(random, 256)}.${nextBelow(random, 256)}.${1 + nextBelow(random, 254)}`;
}

/** Share of the day's peak: quiet nights, a quieter weekend. */
export function season(atMs: number, { night, weekend }: { readonly night: number; readonly weekend: number }): number {
  const hour = (atMs % DAY_MS) / HOUR_MS;
  const day = Math.floor(atMs / DAY_MS + 4) % 7;
  const wave = 0.5 - 0.5 * Math.cos(((hour - 3) / 24) * 2 * Math.PI);
  return (night + (1 - night) * wave) * (day === 0 || day === 6 ? weekend : 1);
}

export function isWorkTime(atMs: number): boolean {
  const hour = (atMs % DAY_MS) / HOUR_MS;
  const day = Math.floor(atMs / DAY_MS + 4) % 7;
  return day !== 0 && day !== 6 && hour >= 8 && hour < 18 && !(hour >= 12 && hour < 12.75);
}
