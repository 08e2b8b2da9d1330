import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { AuditEntrySchema, type AuditEntry as WireAuditEntry } from "@wardline/api/wardline/agent/v1/agent";
import { Role } from "@wardline/api/wardline/v1/host";
import type { AuditEntry, AuditOutcome, AuditRole } from "../audit/index.ts";

const ROLES: Readonly<Record<AuditRole, Role>> = {
  none: Role.UNSPECIFIED,
  viewer: Role.VIEWER,
  operator: Role.OPERATOR,
  admin: Role.ADMIN,
};
const NAMES = new Map<Role, AuditRole>([
  [Role.UNSPECIFIED, "none"],
  [Role.VIEWER, "viewer"],
  [Role.OPERATOR, "operator"],
  [Role.ADMIN, "admin"],
]);

export function toWireAuditEntry(entry: AuditEntry): WireAuditEntry {
  return create(AuditEntrySchema, {
    sequence: BigInt(entry.sequence),
    time: timestampFromMs(Date.parse(entry.time)),
    actor: entry.actor,
    role: ROLES[entry.role],
    action: entry.action,
    argumentDigest: entry.argumentDigest,
    outcome: entry.outcome,
    previousHash: entry.previousHash,
    hash: entry.hash,
    detail: entry.detail,
  });
}

/**
 * As it was written. What cannot have been written by an agent (a time out of range, an unknown role) becomes an entry
 * whose hash does not fit: the chain decides, not this converter.
 */
export function fromWireAuditEntry(wire: WireAuditEntry): AuditEntry {
  return {
    sequence: Number(wire.sequence),
    time: isoTime(wire),
    actor: wire.actor,
    role: NAMES.get(wire.role) ?? "none",
    action: wire.action,
    argumentDigest: wire.argumentDigest,
    outcome: wire.outcome as AuditOutcome,
    detail: wire.detail,
    previousHash: wire.previousHash,
    hash: wire.hash,
  };
}

/** Of the years that JavaScript can write; the empty text for others. */
const MAX_TIME_MS = 8.64e15;

function isoTime({ time }: WireAuditEntry): string {
  const timeMs = time ? timestampMs(time) : Number.NaN;
  return Math.abs(timeMs) <= MAX_TIME_MS ? new Date(timeMs).toISOString() : "";
}
