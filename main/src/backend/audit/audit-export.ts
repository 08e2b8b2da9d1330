import { timestampMs } from "@bufbuild/protobuf/wkt";
import { AuditFormat, type MirroredEntry } from "@wardline/api/wardline/console/v1/audit";
import { csvLine } from "@wardline/domain/text";
import { fromWireAuditEntry } from "@wardline/domain/wire";

const COLUMNS = [
  "time",
  "host",
  "host_id",
  "log",
  "sequence",
  "actor",
  "role",
  "action",
  "outcome",
  "detail",
  "argument_digest",
  "previous_hash",
  "hash",
];

export function auditHeader(format: AuditFormat): string {
  return format === AuditFormat.NDJSON ? "" : csvLine(COLUMNS);
}

/** Times in UTC. With `previous_hash` and `hash`, so that the chain can be verified from the file. */
export function auditLine({ hostId, hostName, log, entry }: MirroredEntry, format: AuditFormat): string {
  if (!entry) return "";
  const { sequence, actor, role, action, outcome, detail, argumentDigest, previousHash, hash } =
    fromWireAuditEntry(entry);
  const time = entry.time ? new Date(timestampMs(entry.time)).toISOString() : "";
  if (format === AuditFormat.NDJSON)
    return `${JSON.stringify({ time, host: hostName, hostId, log, sequence, actor, role, action, outcome, detail, argumentDigest, previousHash, hash })}\n`;
  return csvLine([
    time,
    hostName,
    hostId,
    log,
    sequence,
    actor,
    role,
    action,
    outcome,
    detail,
    argumentDigest,
    previousHash,
    hash,
  ]);
}
