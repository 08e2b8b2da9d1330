/**
 * The console's own audit log: one entry for each call that changed something, chained like those of the hosts and kept in
 * the same tables. A chain inside the database shows changes and holes; the head that is kept apart shows a cut end. Whoever
 * can write the whole database can write both: for that there are the logs of the hosts.
 */
import { createHash } from "node:crypto";
import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { AuditEntrySchema } from "@wardline/api/wardline/agent/v1/agent";
import { type AuditContent, type AuditEntry, isIntact, sealEntry } from "@wardline/domain/audit";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { toWireAuditEntry } from "@wardline/domain/wire";
import type { Clock, Logger } from "../ports.ts";
import type { SettingsTable } from "../store/settings-table.ts";
import type { AuditLogRow, AuditTables } from "./audit-tables.ts";
import { objectOf } from "./call-object.ts";

/** Stands beside the ids of hosts. */
export const CONSOLE_LOG_ID = "console";
const HEAD = "console-audit-head";

export interface ConsoleAuditPorts {
  readonly tables: AuditTables;
  readonly settings: SettingsTable;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly userName: string;
  readonly name: string;
}

const platformHash = (text: string): string => createHash("sha256").update(text).digest("hex");

/** Drafts are saved while somebody types, and what was read is marked by looking: their result has entries of its own. */
const WITHOUT_ENTRY = new Set([
  "PolicyService/SaveFile",
  "NotificationService/MarkNotificationsRead",
  "ClusterService/PutNote",
]);

export class ConsoleAudit {
  readonly #ports: ConsoleAuditPorts;

  constructor(ports: ConsoleAuditPorts) {
    this.#ports = ports;
  }

  get name(): string {
    return this.#ports.name;
  }

  /** Writes how a call ended. That it cannot be written is told to the log: the call has had its effect. */
  record<Schema extends DescMessage>(
    method: { readonly service: string; readonly name: string; readonly input: Schema },
    request: MessageShape<Schema>,
    error: unknown,
  ): void {
    if (WITHOUT_ENTRY.has(`${method.service}/${method.name}`)) return;
    try {
      const refusal = error instanceof Failure ? `${ErrorCode[error.code]}: ${error.message}` : error ? "a defect" : "";
      this.#append({
        actor: this.#ports.userName,
        role: "none",
        action: `${kebab(method.service.replace(/Service$/, ""))}.${kebab(method.name)}`,
        argumentDigest: createHash("sha256").update(toBinary(method.input, request)).digest("hex"),
        outcome: error ? "failed" : "done",
        detail: [objectOf(request), refusal].filter(Boolean).join(" · ").slice(0, 1_000),
      });
    } catch (problem) {
      this.#ports.logger.warn({ err: problem }, "an entry of the console's audit log could not be written");
    }
  }

  row(): AuditLogRow | null {
    return this.#ports.tables.current(CONSOLE_LOG_ID);
  }

  /** Walks the whole chain. What was found stays until a person accepts it. */
  verify(): AuditLogRow | null {
    const { tables, clock } = this.#ports;
    const row = this.row();
    if (row?.state !== "verified") return row;
    const finding = this.#judge(row.log);
    const nowMs = clock.nowMs();
    const checked = { ...row, ...finding, checkedAtMs: nowMs, ...(finding ? { foundAtMs: nowMs } : {}) };
    tables.write(checked, []);
    return checked;
  }

  /** Goes on with a new log; what was found stays. @throws Failure NOT_FOUND */
  accept(author: string, reason: string): AuditLogRow {
    const row = this.verify();
    if (!row || row.state === "verified")
      throw new Failure({
        code: ErrorCode.NOT_FOUND,
        message: "The console's own audit log is whole: there is nothing to accept.",
      });
    const nowMs = this.#ports.clock.nowMs();
    const next = { ...this.#first(nowMs), log: row.log + 1, acceptedBy: author, acceptedReason: reason };
    this.#ports.tables.write(next, []);
    this.#ports.settings.set(HEAD, "");
    return next;
  }

  #append(content: AuditContent): void {
    const { tables, settings, clock } = this.#ports;
    const nowMs = clock.nowMs();
    tables.together(() => {
      const row = this.row() ?? this.#first(nowMs);
      const before = tables.newest(CONSOLE_LOG_ID, row.log);
      const entry = sealEntry(content, new Date(nowMs).toISOString(), before, platformHash);
      tables.write(row, [toRow(entry, nowMs)]);
      // A new head over a cut end would hide the cut.
      if (this.#headFits(before)) settings.set(HEAD, `${entry.sequence} ${entry.hash}`);
    });
  }

  #headFits(before: { readonly sequence: number; readonly hash: string } | null): boolean {
    const head = this.#ports.settings.text(HEAD) ?? "";
    return head === (before ? `${before.sequence} ${before.hash}` : "");
  }

  #judge(log: number): Pick<AuditLogRow, "state" | "atSequence"> | null {
    let before: AuditEntry | null = null;
    for (const entry of this.#ports.tables.chain(CONSOLE_LOG_ID, log)) {
      const isNext = before === null || (entry.sequence === before.sequence + 1 && entry.previousHash === before.hash);
      if (!isNext || !isIntact(entry, platformHash)) return { state: "broken", atSequence: entry.sequence };
      before = entry;
    }
    const [sequence = "", hash] = (this.#ports.settings.text(HEAD) ?? "").split(" ");
    if (sequence === "" || (before?.sequence === Number(sequence) && before.hash === hash)) return null;
    const isCut = (before?.sequence ?? 0) < Number(sequence);
    return { state: isCut ? "truncated" : "forked", atSequence: Number(sequence) };
  }

  #first(nowMs: number): AuditLogRow {
    return {
      ...{ hostId: CONSOLE_LOG_ID, log: 1, hostName: this.#ports.name, state: "verified", atSequence: 0 },
      ...{ checkedAtMs: nowMs, foundAtMs: nowMs, toleratedAtSequence: 0, acceptedBy: "", acceptedReason: "" },
    };
  }
}

function toRow(entry: AuditEntry, timeMs: number) {
  const { sequence, actor, action, hash } = entry;
  return { sequence, timeMs, actor, action, hash, wire: toBinary(AuditEntrySchema, toWireAuditEntry(entry)) };
}

/** `SetSettings` becomes `set-settings`. */
function kebab(name: string): string {
  return name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, "-").toLowerCase();
}
