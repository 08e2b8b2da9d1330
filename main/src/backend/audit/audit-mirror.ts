/**
 * Follows the audit log of each host and keeps what was seen. A chain alone does not show that its end was cut off or that
 * all of it was written anew: a copy elsewhere does. What is found stays until a person accepts it.
 */
import { createHash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { AuditEntrySchema, type AuditEntry as WireEntry } from "@wardline/api/wardline/agent/v1/agent";
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { type AuditEntry, type AuditFinding, followAudit, isIntact } from "@wardline/domain/audit";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { fromWireAuditEntry } from "@wardline/domain/wire";
import { hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { Clock, Logger } from "../ports.ts";
import type { AuditLogRow, AuditTables, NewEntry } from "./audit-tables.ts";

const PAGE_LENGTH = 500;
/** A host that always has more to tell must not keep the console busy: it goes on at the next round. */
const MAX_PAGES = 100;
/** Of a log that is seen for the first time, this much of its end is copied. */
const FIRST_ENTRIES = 10_000;
const ROUND_MS = 30_000;
const CALL_TIMEOUT_MS = 30_000;
/** Characters. Agents cut the texts of an entry at 2,000 each. */
const LONGEST_ENTRY = 16_384;
const MAX_COUNT = BigInt(Number.MAX_SAFE_INTEGER);

export interface AuditMirrorPorts {
  readonly tables: AuditTables;
  readonly clock: Clock;
  readonly logger: Logger;
}

const platformHash = (text: string): string => createHash("sha256").update(text).digest("hex");

export class AuditMirror {
  readonly #ports: AuditMirrorPorts;
  /** One round at a time for each host. */
  readonly #rounds = new Map<string, Promise<AuditLogRow>>();

  constructor(ports: AuditMirrorPorts) {
    this.#ports = ports;
  }

  /** Keeps the mirror of a host up to date while it is connected, until the signal aborts. */
  async follow(host: ManagedHost, signal: AbortSignal): Promise<void> {
    const { connection } = host;
    let syncedAtMs = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      const seen = connection.changes.version;
      const dueInMs = syncedAtMs + ROUND_MS - this.#ports.clock.nowMs();
      if (connection.state.reachability === Reachability.CONNECTED && dueInMs <= 0) {
        syncedAtMs = this.#ports.clock.nowMs();
        try {
          await this.sync(host);
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          this.#ports.logger.warn({ host: host.id, code: error.code }, "audit log not mirrored");
        }
        continue;
      }
      if (dueInMs > 0) await this.#ports.clock.sleep(dueInMs, signal);
      else await connection.changes.wait(seen, 60_000, signal);
    }
  }

  /** Fetches what is new and judges it. @throws Failure when the host cannot be asked */
  sync(host: ManagedHost): Promise<AuditLogRow> {
    const running = this.#rounds.get(host.id);
    if (running) return running;
    const round = this.#sync(host).finally(() => this.#rounds.delete(host.id));
    this.#rounds.set(host.id, round);
    return round;
  }

  /**
   * Goes on with the log that the host has now, from its newest entry; what was seen stays as a log of its own.
   * @throws Failure when the host cannot be asked, NOT_FOUND when there is nothing to accept
   */
  async accept(host: ManagedHost, author: string, reason: string): Promise<AuditLogRow> {
    const before = await this.sync(host);
    if (before.state === "verified")
      throw new Failure({
        code: ErrorCode.NOT_FOUND,
        message: `The audit log of ${hostNameOf(host)} continues what was seen of it: there is nothing to accept.`,
      });
    const newest = await this.#ask(host, { limit: 1 });
    const entry = newest.entries[0];
    const { clock, tables } = this.#ports;
    const next: AuditLogRow = {
      hostId: host.id,
      log: before.log + 1,
      hostName: hostNameOf(host),
      state: "verified",
      atSequence: 0,
      checkedAtMs: clock.nowMs(),
      foundAtMs: clock.nowMs(),
      toleratedAtSequence: toCount(newest.brokenAtSequence),
      acceptedBy: author,
      acceptedReason: reason,
    };
    // Also where it does not fit itself: the person has looked, and what follows has to follow from it.
    tables.write(next, entry ? [toRow(entry)] : []);
    return next;
  }

  async #sync(host: ManagedHost): Promise<AuditLogRow> {
    const { tables } = this.#ports;
    let current = tables.current(host.id) ?? (await this.#begin(host));
    // What was found stays: a log that fits again may have been put back.
    if (current.state !== "verified") return current;
    for (let page = 0; page < MAX_PAGES; page++) {
      const known = tables.newest(host.id, current.log);
      const answer = await this.#ask(host, {
        ascending: true,
        afterSequence: BigInt(Math.max(0, (known?.sequence ?? 0) - 1)),
        limit: PAGE_LENGTH,
      });
      const said = toCount(answer.brokenAtSequence);
      const wires = answer.entries.slice(0, PAGE_LENGTH);
      const extract = {
        entries: wires.map(readEntry),
        lastSequence: toCount(answer.lastSequence),
        firstSequence: toCount(answer.firstSequence),
        brokenAtSequence: said === current.toleratedAtSequence ? 0 : said,
      };
      const finding = followAudit(known, extract, platformHash);
      current = this.#settle(current, host, finding, wires);
      if (current.state !== "verified") return current;
      const reached = tables.newest(host.id, current.log)?.sequence ?? 0;
      if (reached >= extract.lastSequence) break;
    }
    return current;
  }

  /** The first time: the end of the log is taken as it is, everything after it has to follow from it. */
  async #begin(host: ManagedHost): Promise<AuditLogRow> {
    const { tables, clock } = this.#ports;
    const nowMs = clock.nowMs();
    const row: AuditLogRow = {
      hostId: host.id,
      log: 1,
      hostName: hostNameOf(host),
      state: "verified",
      atSequence: 0,
      checkedAtMs: nowMs,
      foundAtMs: nowMs,
      toleratedAtSequence: 0,
      acceptedBy: "",
      acceptedReason: "",
    };
    const { lastSequence, firstSequence } = await this.#ask(host, { limit: 1 });
    const first: WireEntry[] = [];
    if (lastSequence > FIRST_ENTRIES || firstSequence > 1n) {
      const newest = lastSequence - BigInt(FIRST_ENTRIES);
      const afterSequence = newest >= firstSequence ? newest : firstSequence - 1n;
      const { entries } = await this.#ask(host, { ascending: true, afterSequence, limit: 1 });
      const [entry] = entries;
      if (entry && isIntact(readEntry(entry), platformHash)) first.push(entry);
    }
    tables.write(row, first.map(toRow));
    return row;
  }

  #settle(current: AuditLogRow, host: ManagedHost, finding: AuditFinding, wires: readonly WireEntry[]): AuditLogRow {
    const { tables, clock, logger } = this.#ports;
    const checked = { ...current, hostName: hostNameOf(host), checkedAtMs: clock.nowMs() };
    if (finding.kind === "continues") {
      const added = new Set(finding.entries.map(({ sequence }: AuditEntry) => BigInt(sequence)));
      tables.write(checked, wires.filter(({ sequence }) => added.has(sequence)).map(toRow));
      return checked;
    }
    const { atSequence } = finding;
    // An entry above all that were seen tells it from a log that ends too early.
    const state = finding.kind === "missed" ? "truncated" : finding.kind;
    logger.warn({ host: host.id, state, atSequence }, "audit log does not continue what was seen of it");
    const found = { ...checked, state, atSequence, foundAtMs: clock.nowMs() };
    tables.write(found, []);
    return found;
  }

  #ask(host: ManagedHost, request: { limit: number; ascending?: boolean; afterSequence?: bigint }) {
    return host.connection.call((client) => client.listAudit(request, { timeoutMs: CALL_TIMEOUT_MS }));
  }
}

/** A host may say any number that has 64 bits; above what can be counted it is no place of a log. */
function toCount(said: bigint): number {
  return Number(said < MAX_COUNT ? said : MAX_COUNT);
}

/** An entry that is longer than any agent's does not fit, whatever its hash: it is not kept. */
function readEntry(wire: WireEntry): AuditEntry {
  const entry = fromWireAuditEntry(wire);
  const { actor, action, argumentDigest, outcome, detail } = entry;
  const length = [actor, action, argumentDigest, outcome, detail].reduce((sum, text) => sum + text.length, 0);
  return length > LONGEST_ENTRY ? { ...entry, hash: "" } : entry;
}

function toRow(wire: WireEntry): NewEntry {
  const entry = fromWireAuditEntry(wire);
  return {
    sequence: toCount(wire.sequence),
    // One that a person accepted although it does not fit may have none.
    timeMs: Date.parse(entry.time) || 0,
    actor: entry.actor,
    action: entry.action,
    hash: entry.hash,
    // Fields that no hash covers are not kept.
    wire: toBinary(AuditEntrySchema, wire, { writeUnknownFields: false }),
  };
}
