import { create, fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { AuditEntrySchema } from "@wardline/api/wardline/agent/v1/agent";
import * as wire from "@wardline/api/wardline/console/v1/audit";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToDetail } from "@wardline/domain/wire";
import { type HostRegistry, hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import { boundedReason, type Guard, pageSize, safeNumber } from "../rpc/guard.ts";
import type { AuditMirror } from "./audit-mirror.ts";
import type { AuditLogRow, AuditTables, LogState } from "./audit-tables.ts";

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
    };
  }

  /** @throws Failure INVALID_ARGUMENT, NOT_FOUND */
  list(request: wire.ListAuditRequest) {
    const { registry, tables } = this.#ports;
    const hosts = registry.select(request.hostIds);
    const { before, beforeId } = request;
    const rows = tables.list({
      hostIds: request.hostIds,
      action: request.action,
      actor: request.actor,
      before: before ? { timeMs: timestampMs(before), id: safeNumber(beforeId, "before_id") } : null,
      limit: pageSize(request.limit, USUAL_PAGE, MAX_PAGE),
    });
    return create(wire.ListAuditResponseSchema, {
      entries: rows.map((row) => ({
        id: BigInt(row.id),
        hostId: row.hostId,
        hostName: row.hostName,
        log: row.log,
        entry: fromBinary(AuditEntrySchema, row.wire),
      })),
      hosts: hosts.map((host) => this.#verdict(host, tables.current(host.id))),
    });
  }

  /** Hosts that cannot be asked are told apart; they do not keep the others from being verified. */
  async verify(request: wire.VerifyAuditRequest) {
    const { registry } = this.#ports;
    const hosts = await Promise.all(registry.select(request.hostIds).map((host) => this.#verify(host)));
    return create(wire.VerifyAuditResponseSchema, { hosts });
  }

  async accept(request: wire.AcceptAuditRequest) {
    const { registry, mirror, userName } = this.#ports;
    const host = registry.byIdOrName(request.hostId);
    const reason = boundedReason(request.reason);
    if (reason === "")
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: "Say why the log that the host has now is the right one.",
        hint: "The reason is kept beside the entries that were seen before.",
      });
    const row = await mirror.accept(host, userName, reason);
    return create(wire.AcceptAuditResponseSchema, { verdict: this.#verdict(host, row) });
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
    const entryCount = this.#ports.tables.entryCount(row.hostId, row.log);
    return create(wire.AuditVerdictSchema, {
      hostId: host.id,
      hostName,
      state: STATES[row.state],
      atSequence: BigInt(row.atSequence),
      entryCount: BigInt(entryCount),
      verifiedAt: timestampFromMs(row.checkedAtMs),
      explanation: explain(row, entryCount),
    });
  }
}

function explain(row: AuditLogRow, entryCount: number): string {
  const { atSequence } = row;
  switch (row.state) {
    case "verified":
      return `The chain is whole and continues what was seen of it: ${entryCount.toLocaleString("en")} entries are kept here.`;
    case "broken":
      return `Entry ${atSequence} does not follow from the one before it: it was changed, or one between them was removed.`;
    case "truncated":
      return `The log ends before entry ${atSequence}, which was seen already: its end was cut off, or a new log was begun.`;
    case "forked":
      return `Entry ${atSequence} is another one than was seen before: the log was written anew.`;
  }
}
