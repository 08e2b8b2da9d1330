import { create, fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { AuditEntrySchema } from "@wardline/api/wardline/agent/v1/agent";
import * as wire from "@wardline/api/wardline/console/v1/audit";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToDetail } from "@wardline/domain/wire";
import { type HostRegistry, hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import { boundedReason, type Guard, pageSize, safeNumber } from "../rpc/guard.ts";
import { auditHeader, auditLine } from "./audit-export.ts";
import type { AuditMirror } from "./audit-mirror.ts";
import type { AuditLogRow, AuditTables, EntryFilter, LogState } from "./audit-tables.ts";
import { CONSOLE_LOG_ID, type ConsoleAudit } from "./console-audit.ts";

const USUAL_PAGE = 100;
const MAX_PAGE = 1000;

const STATES: Record<LogState, wire.AuditState> = {
  verified: wire.AuditState.VERIFIED,
  broken: wire.AuditState.BROKEN,
  truncated: wire.AuditState.TRUNCATED,
  forked: wire.AuditState.FORKED,
};

export interface AuditServicePorts {
  readonly registry: HostRegistry;
  readonly tables: AuditTables;
  readonly mirror: AuditMirror;
  readonly own: ConsoleAudit;
  readonly userName: string;
}

export class AuditServiceImpl {
  readonly #ports: AuditServicePorts;

  constructor(ports: AuditServicePorts) {
    this.#ports = ports;
  }

  routes(guard: Guard): ServiceImpl<typeof wire.AuditService> {
    return {
      listAudit: guard.unary((request: wire.ListAuditRequest) => this.list(request)),
      verifyAudit: guard.unary((request: wire.VerifyAuditRequest) => this.verify(request)),
      acceptAudit: guard.unary((request: wire.AcceptAuditRequest) => this.accept(request)),
      exportAudit: guard.stream((request: wire.ExportAuditRequest, signal) => this.export(request, signal)),
    };
  }

  /** @throws Failure INVALID_ARGUMENT, NOT_FOUND */
  list(request: wire.ListAuditRequest) {
    const { tables, own } = this.#ports;
    const { hosts, hasConsole } = this.#select(request.hostIds);
    const limit = pageSize(request.limit, USUAL_PAGE, MAX_PAGE);
    return create(wire.ListAuditResponseSchema, {
      entries: this.#entries({ ...filterOf(request), limit }),
      hosts: [
        ...hosts.map((host) => this.#verdict(host, tables.current(host.id))),
        ...(hasConsole ? [this.#ownVerdict(own.row())] : []),
      ],
    });
  }

  /** Hosts that cannot be asked are told apart; they do not keep the others from being verified. */
  async verify(request: wire.VerifyAuditRequest) {
    const { hosts, hasConsole } = this.#select(request.hostIds);
    const verdicts = await Promise.all(hosts.map((host) => this.#verify(host)));
    const own = hasConsole ? [this.#ownVerdict(this.#ports.own.verify())] : [];
    return create(wire.VerifyAuditResponseSchema, { hosts: [...verdicts, ...own] });
  }

  async accept(request: wire.AcceptAuditRequest) {
    const { registry, mirror, own, userName } = this.#ports;
    const host = request.hostId === CONSOLE_LOG_ID ? null : registry.byIdOrName(request.hostId);
    const reason = boundedReason(request.reason);
    if (reason === "")
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: "Say why the log that the host has now is the right one.",
        hint: "The reason is kept beside the entries that were seen before.",
      });
    const verdict = host
      ? this.#verdict(host, await mirror.accept(host, userName, reason))
      : this.#ownVerdict(own.accept(userName, reason));
    return create(wire.AcceptAuditResponseSchema, { verdict });
  }

  /** Page by page, so that a reader who is slow holds nothing up. @throws Failure INVALID_ARGUMENT, NOT_FOUND */
  async *export(
    { filter, format }: wire.ExportAuditRequest,
    signal: AbortSignal,
  ): AsyncGenerator<wire.ExportAuditResponse> {
    const request = filter ?? create(wire.ListAuditRequestSchema);
    this.#select(request.hostIds);
    let count = 0;
    let chunk = auditHeader(format);
    for (let before: EntryFilter["before"] = null; !signal.aborted; ) {
      const entries = this.#entries({ ...filterOf(request), before, limit: MAX_PAGE });
      for (const entry of entries) chunk += auditLine(entry, format);
      count += entries.length;
      yield create(wire.ExportAuditResponseSchema, { chunk: Buffer.from(chunk), entryCount: BigInt(count) });
      const last = entries.at(-1);
      if (!last?.entry?.time || entries.length < MAX_PAGE) return;
      before = { timeMs: timestampMs(last.entry.time), id: Number(last.id) };
      chunk = "";
    }
  }

  #entries(filter: EntryFilter): wire.MirroredEntry[] {
    return this.#ports.tables.list(filter).map((row) =>
      create(wire.MirroredEntrySchema, {
        id: BigInt(row.id),
        hostId: row.hostId,
        hostName: row.hostName,
        log: row.log,
        entry: fromBinary(AuditEntrySchema, row.wire),
      }),
    );
  }

  #select(hostIds: readonly string[]): { readonly hosts: readonly ManagedHost[]; readonly hasConsole: boolean } {
    const { registry } = this.#ports;
    const ids = hostIds.filter((id) => id !== CONSOLE_LOG_ID);
    return {
      hosts: hostIds.length > 0 && ids.length === 0 ? [] : registry.select(ids),
      hasConsole: hostIds.length === 0 || ids.length < hostIds.length,
    };
  }

  #ownVerdict(row: AuditLogRow | null): wire.AuditVerdict {
    const hostName = this.#ports.own.name;
    if (!row)
      return create(wire.AuditVerdictSchema, {
        ...{ hostId: CONSOLE_LOG_ID, hostName, state: wire.AuditState.VERIFIED },
        explanation: "Nothing was changed with this console yet.",
      });
    return this.#toVerdict(CONSOLE_LOG_ID, hostName, row);
  }

  async #verify(host: ManagedHost): Promise<wire.AuditVerdict> {
    try {
      return this.#verdict(host, await this.#ports.mirror.sync(host));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const last = this.#ports.tables.current(host.id);
      const verdict = this.#verdict(host, last);
      // What was found before is more than that it cannot be asked now.
      if (last === null || last.state === "verified") verdict.state = wire.AuditState.UNKNOWN;
      verdict.explanation = `${hostNameOf(host)} could not be asked. ${verdict.explanation}`.trim();
      verdict.error = failureToDetail(error);
      return verdict;
    }
  }

  #verdict(host: ManagedHost, row: AuditLogRow | null): wire.AuditVerdict {
    const hostName = hostNameOf(host);
    if (!row)
      return create(wire.AuditVerdictSchema, {
        hostId: host.id,
        hostName,
        state: wire.AuditState.UNKNOWN,
        explanation: `Nothing was seen of the log of ${hostName} yet.`,
      });
    return this.#toVerdict(host.id, hostName, row);
  }

  #toVerdict(hostId: string, hostName: string, row: AuditLogRow): wire.AuditVerdict {
    const entryCount = this.#ports.tables.entryCount(row.hostId, row.log);
    return create(wire.AuditVerdictSchema, {
      hostId,
      hostName,
      state: STATES[row.state],
      atSequence: BigInt(row.atSequence),
      entryCount: BigInt(entryCount),
      verifiedAt: timestampFromMs(row.checkedAtMs),
      explanation: explain(row, entryCount, this.#ports.tables.newest(row.hostId, row.log)?.sequence ?? 0),
      log: row.log,
      acceptedBy: row.acceptedBy,
      acceptedReason: row.acceptedReason,
      // An accepted log begins with its acceptance.
      ...(row.acceptedBy && row.state === "verified" ? { acceptedAt: timestampFromMs(row.foundAtMs) } : {}),
    });
  }
}

function filterOf(request: wire.ListAuditRequest): Omit<EntryFilter, "limit"> {
  const { hostIds, action, actor, text, outcome, since, until, before, beforeId } = request;
  return {
    ...{ hostIds, action, actor, text: text.slice(0, 200), outcome },
    sinceMs: since ? timestampMs(since) : null,
    untilMs: until ? timestampMs(until) : null,
    before: before ? { timeMs: timestampMs(before), id: safeNumber(beforeId, "before_id") } : null,
  };
}

function explain(row: AuditLogRow, entryCount: number, newestSeen: number): string {
  const { atSequence } = row;
  switch (row.state) {
    case "verified":
      return `The chain is whole and continues what was seen of it: ${entryCount === 1 ? "1 entry is" : `${entryCount.toLocaleString("en")} entries are`} kept here.`;
    case "broken":
      return `Entry ${atSequence} does not follow from the one before it: it was changed, or one between them was removed.`;
    case "truncated":
      if (atSequence > newestSeen)
        return `The host removed entries from ${atSequence} on by the limits of its log, before this console saw them: what is left cannot be held against what was seen.`;
      return `The log ends before entry ${atSequence}, which was seen already: its end was cut off, or a new log was begun.`;
    case "forked":
      return `Entry ${atSequence} is another one than was seen before: the log was written anew.`;
  }
}
