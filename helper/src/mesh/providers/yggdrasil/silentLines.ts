/**
 * Connections to peers that carry nothing, by the kernel's word: what was sent over them was sent again and again, and nothing came
 * back. A daemon notices that after six seconds (0.4.7); the kernel knows it within one, as soon as there is something to send,
 * and asking it sends nothing. Connections over UDP (quic), and to peers that are known by a name, are not seen.
 */
import { parsePeerUri } from "@wardline/domain/mesh";
import { canonicalAddress } from "@wardline/domain/policy";
import type { TcpConnection, TcpTable } from "../../../linux/network/tcpConnections.ts";

/**
 * Sent again so often without an answer, each time after twice the wait: on a line of a few milliseconds 0.8 s. A line that loses
 * now and then, and went on each time, loses that often by chance: there it takes 3.2 s.
 */
const RETRANSMITS = { usual: 2, lossy: 4 } as const;
const LOSSY = { withinMs: 10_000, resent: 3 } as const;
/** Lines of a daemon that were not found, or are others now, are looked for again no more often: it goes through all of the host's. */
const SEARCH_EVERY_MS = 5_000;
/** A kernel that gave no answer is asked again after this: it may have had no memory or no descriptors left for a moment. */
const REFUSED_FOR_MS = 60_000;

interface Line {
  /** `null` = not over TCP, or to a name: it cannot be found. */
  readonly place: { readonly host: string; readonly port: number } | null;
  connections: readonly TcpConnection[];
  resent: number;
  /** What was sent again and arrived then: how much, and when that was seen. */
  recovered: readonly { readonly atMs: number; readonly segments: number }[];
  isSilent: boolean;
}

function newLine(remote: string): Line {
  const parsed = parsePeerUri(remote);
  const isTcp = parsed.ok && parsed.peer.scheme !== "quic" && canonicalAddress(parsed.peer.host) !== null;
  const place = isTcp ? { host: parsed.peer.host, port: parsed.peer.port } : null;
  return { place, connections: [], resent: 0, recovered: [], isSilent: false };
}

export class SilentLines {
  readonly #open: () => TcpTable;
  readonly #nowMs: () => number;
  #table: TcpTable | null = null;
  /** No answer is asked for before; infinite when closed. */
  #refusedUntilMs = Number.NEGATIVE_INFINITY;
  /** By `remote` of the daemon's answer. */
  readonly #lines = new Map<string, Line>();
  #searchedAtMs = Number.NEGATIVE_INFINITY;

  /** @param nowMs monotonic */
  constructor(open: () => TcpTable, nowMs: () => number) {
    this.#open = open;
    this.#nowMs = nowMs;
  }

  /** @param remotes of all connections that the daemon has, as it tells them */
  follow(remotes: readonly string[]): void {
    const wanted = new Set(remotes);
    for (const remote of this.#lines.keys()) if (!wanted.has(remote)) this.#lines.delete(remote);
    for (const remote of wanted) if (!this.#lines.has(remote)) this.#lines.set(remote, newLine(remote));
    const isMissing = [...this.#lines.values()].some(({ place, connections }) => place && connections.length === 0);
    const nowMs = this.#nowMs();
    if (!isMissing || nowMs - this.#searchedAtMs < SEARCH_EVERY_MS) return;
    this.#searchedAtMs = nowMs;
    this.#asking((table) => this.#search(table));
  }

  /** Asks the kernel. Whether one of them became silent, or is no longer. */
  look(): boolean {
    return this.#asking((table) => [...this.#lines.values()].map((line) => this.#lookAt(table, line)).includes(true));
  }

  isSilent(remote: string): boolean {
    return this.#lines.get(remote)?.isSilent ?? false;
  }

  close(): void {
    this.#giveUp(Number.POSITIVE_INFINITY);
  }

  /** Where the kernel gives no answers, what the daemon says is all that is known. */
  #asking(ask: (table: TcpTable) => boolean): boolean {
    const nowMs = this.#nowMs();
    if (nowMs < this.#refusedUntilMs) return false;
    try {
      this.#table ??= this.#open();
      return ask(this.#table);
    } catch {
      this.#giveUp(nowMs + REFUSED_FOR_MS);
      return false;
    }
  }

  #giveUp(untilMs: number): void {
    this.#table?.close();
    this.#table = null;
    this.#lines.clear();
    this.#refusedUntilMs = untilMs;
  }

  #search(table: TcpTable): boolean {
    const missing = [...this.#lines.values()].flatMap((line) =>
      line.place && line.connections.length === 0 ? [{ line, ...line.place }] : [],
    );
    for (const [port, lines] of Map.groupBy(missing, (each) => each.port)) {
      const found = [...table.to(4, port), ...table.to(6, port)];
      for (const { line, host } of lines) {
        line.connections = found.filter(({ remoteAddress }) => canonicalAddress(remoteAddress) === host);
        line.resent = resentOf(line);
      }
    }
    return false;
  }

  /** Silent are they where all of them are: which of several is the daemon's is not known. */
  #lookAt(table: TcpTable, line: Line): boolean {
    const before = line.isSilent;
    line.connections = line.connections.flatMap((each) => table.again(each) ?? []);
    const nowMs = this.#nowMs();
    const resent = resentOf(line);
    const isWaiting = line.connections.some(({ retransmits }) => retransmits > 0);
    line.recovered = line.recovered.filter(({ atMs }) => nowMs - atMs < LOSSY.withinMs);
    if (!isWaiting && resent > line.resent)
      line.recovered = [...line.recovered, { atMs: nowMs, segments: resent - line.resent }];
    if (!isWaiting) line.resent = resent;
    const isLossy = line.recovered.reduce((sum, { segments }) => sum + segments, 0) >= LOSSY.resent;
    const needed = isLossy ? RETRANSMITS.lossy : RETRANSMITS.usual;
    line.isSilent =
      line.connections.length > 0 &&
      line.connections.every(
        ({ retransmits, unacknowledged }) => unacknowledged > 0 && retransmits >= (before ? 1 : needed),
      );
    return line.isSilent !== before;
  }
}

function resentOf({ connections }: Line): number {
  return connections.reduce((sum, { resent }) => sum + resent, 0);
}
